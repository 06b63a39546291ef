package delivery

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"postroom/delivery/smtpclient"
)

// spareTime is how long a connection is kept that nobody has use for.
const spareTime = 2 * time.Second

// spares are connections that their jobs have left in good order, for jobs of
// other destinations whose mail goes to the same host: many domains share a few
// servers. They count among the connections in all; the one that has been here
// longest makes room.
type spares struct {
	mu     sync.Mutex
	list   []*spare // the oldest first
	closed bool
}

// A spare is a connection that nobody uses.
type spare struct {
	spareKey
	conn  *smtpclient.Conn
	since time.Time // when it was made
	timer *time.Timer
}

// A spareKey says where a connection leads, and in whose name it was made.
type spareKey struct {
	host   string
	at     netip.AddrPort
	source netip.Addr
	name   string
	level  smtpclient.Level
}

// shareable returns the key of a way whose connections do for any domain: none
// that a relay's user has logged in on, and none that had to satisfy one domain's
// policy.
func (w way) shareable() (key spareKey, ok bool) {
	if w.next.relay != nil || w.host.Chosen || w.rule.demands() || w.rule.lax || w.rule.testing != "" {
		return key, false
	}
	return spareKey{w.host.Name, w.at, w.source.IP, w.source.Name, w.rule.Level}, true
}

// put takes a job's connection, if it is of use to others, and ends it otherwise.
func (s *spares) put(j *job) {
	key, ok := j.at.shareable()
	if !ok || j.passing || !j.conn.Usable() || !s.add(&spare{spareKey: key, conn: j.conn, since: j.since}) {
		j.conn.Quit()
	}
	j.conn = nil
}

func (s *spares) add(p *spare) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.list = append(s.list, p)
	p.timer = time.AfterFunc(spareTime, func() { s.expire(p) })
	return true
}

// take returns a connection that fits, nil if there is none.
func (s *spares) take(key spareKey) *spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range s.list {
		if p.spareKey == key {
			s.remove(i)
			return p
		}
	}
	return nil
}

// remove takes one from the list.
func (s *spares) remove(i int) {
	s.list[i].timer.Stop()
	copy(s.list[i:], s.list[i+1:])
	s.list[len(s.list)-1] = nil
	s.list = s.list[:len(s.list)-1]
}

func (s *spares) expire(p *spare) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.list {
		if other == p {
			s.dismiss(i)
			return
		}
	}
}

// dismiss ends a connection. Who calls it may make another one at once.
func (s *spares) dismiss(i int) {
	conn := s.list[i].conn
	s.remove(i)
	conn.Leave()
}

// makeRoom ends connections until there are no more than most.
func (s *spares) makeRoom(most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.list) > max(0, most) {
		s.dismiss(0)
	}
}

// close ends all connections, and takes no more.
func (s *spares) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.makeRoom(0)
}

// borrow sends over a connection that another destination's job has left, if
// there is one. It reports false if there is none, or if it was closed meanwhile.
func (a *attempt) borrow(ctx context.Context, w way) bool {
	key, ok := w.shareable()
	if !ok {
		return false
	}
	p := a.job.run.spares.take(key)
	if p == nil {
		return false
	}
	a.connected(ctx, p.conn, w)
	a.job.since = p.since
	return !a.unreached
}

// room ends spare connections until there may be one more in all.
func (r *run) room() {
	r.mu.Lock()
	active := r.active
	r.mu.Unlock()
	r.spares.makeRoom(r.d.Concurrency - active)
}
