package sqlite

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A diskGauge tells whether the disk has fallen below the reserve. It asks the
// system at most twice a second.
type diskGauge struct {
	dir     string
	reserve int64
	asked   atomic.Int64 // when, in nanoseconds
	full    atomic.Bool
}

const diskInterval = 500 * time.Millisecond

// below reports whether less than the reserve is free; or less than 2 % of the
// disk, if that is smaller.
func (g *diskGauge) below(now time.Time) bool {
	last := g.asked.Load()
	if age := now.UnixNano() - last; age >= 0 && age < int64(diskInterval) || !g.asked.CompareAndSwap(last, now.UnixNano()) {
		return g.full.Load()
	}
	free, size, err := diskSpace(g.dir)
	g.full.Store(err == nil && free < min(g.reserve, size/50))
	return g.full.Load()
}

// diskSpace returns the octets that are free to us, and the size of the disk.
func diskSpace(dir string) (free, size int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// Full reports whether the disk has less than the reserve left, so that new mail
// is to be refused for the time being (452 4.3.1). What makes room, and what
// records what has been done, still commits.
func (s *Store) Full() bool { return s.disk.below(s.now()) }
