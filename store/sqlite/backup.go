package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"postroom/store"
)

const (
	backupStep   = 2048     // pages copied at a time
	backupGrowth = 64 << 20 // octets by which the WAL is expected to grow meanwhile, at the least
)

// Backup writes a copy of the database, as it is at this moment, to a new file,
// while mail goes on. It fails if the file exists, and before it begins if the
// disks have no room for the copy and for what the WAL gathers meanwhile; the WAL
// can't shrink until the copy is done. progress, which may be nil, is told how
// many octets of how many are copied.
func (s *Store) Backup(ctx context.Context, file string, progress func(done, total int64)) error {
	if !s.backup.TryLock() {
		return fmt.Errorf("another backup is running: %w", store.ErrInUse)
	}
	defer s.backup.Unlock()
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("%s: %w", file, store.ErrConflict)
	}
	if err := s.roomForBackup(filepath.Dir(file)); err != nil {
		return err
	}
	s.checks.pinned.Store(true)
	defer s.unpin()
	part := file + ".part"
	err := s.copyTo(ctx, part, progress)
	if err == nil {
		err = publish(part, file)
	}
	if err != nil {
		_ = os.Remove(part) // as likely as not it was never made
		return fmt.Errorf("backup: %w", err)
	}
	s.report(ctx, "note a backup", s.noteBackup(ctx, file)) // it is made all the same
	return nil
}

// roomForBackup fails with store.ErrDiskFull if the copy, or the WAL's growth
// during the copy, doesn't fit.
func (s *Store) roomForBackup(dir string) error {
	var size int64
	err := s.queryRow(`SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`).Scan(&size)
	if err != nil {
		return fmt.Errorf("measure database: %w", err)
	}
	growth := max(backupGrowth, size/4)
	here, total, err := diskSpace(s.opts.Dir)
	if err != nil {
		return fmt.Errorf("measure disk: %w", err)
	}
	there, _, err := diskSpace(dir)
	if err != nil {
		return fmt.Errorf("backup into %s: %w", dir, err)
	}
	needHere := growth + min(s.opts.Reserve, total/50)
	if sameDisk(s.opts.Dir, dir) {
		needHere += size
	}
	if here < needHere || there < size {
		return fmt.Errorf("the copy takes %d MB, and the database may grow by %d MB meanwhile; %d MB are free: %w",
			size>>20, growth>>20, min(here, there)>>20, store.ErrDiskFull)
	}
	return nil
}

func sameDisk(a, b string) bool {
	var sa, sb unix.Stat_t
	return unix.Stat(a, &sa) == nil && unix.Stat(b, &sb) == nil && sa.Dev == sb.Dev
}

// catchUps bounds how often a checkpoint beside the writer is repeated because
// the writer has gone on meanwhile.
const catchUps = 5

// unpin lets the WAL start again, and gives back what it has grown by. Most of it
// is moved into the database beside the writer, before that may try by itself: so
// little is left to do while everybody waits.
func (s *Store) unpin() {
	for range catchUps {
		left, err := s.checks.passive(context.Background(), s.checkDB.Load())
		if err != nil {
			s.log.Warn("checkpoint after backup failed", "err", err)
		}
		if err != nil || left < checkpointEvery {
			break
		}
	}
	s.checks.truncate.Store(true)
	s.checks.pinned.Store(false)
	err := s.write(context.Background(), 0, func(*tx) error { return nil })
	if err != nil && !errors.Is(err, store.ErrClosed) {
		s.log.Warn("checkpoint after backup failed", "err", err)
	}
}

// copyTo copies the database to a file that nobody else knows yet. The copy is
// one read transaction: it shows the moment at which it began.
func (s *Store) copyTo(ctx context.Context, file string, progress func(done, total int64)) error {
	source := openReaders(s.path(), 1)
	defer source.Close()
	from, err := source.Conn(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := from.ExecContext(ctx, `BEGIN`); err != nil {
		return err
	}
	if err := from.QueryRowContext(ctx, `SELECT COUNT(*) FROM setting`).Scan(new(int64)); err != nil {
		return err
	}
	target, err := openCopy(ctx, file)
	if err != nil {
		return err
	}
	defer target.Close()
	return from.Raw(func(driverConn any) error {
		return s.copyPages(ctx, target, driverConn.(*sqlite3.SQLiteConn), progress)
	})
}

// openCopy makes the file of a copy, for its owner alone.
func openCopy(ctx context.Context, file string) (*sqlite3.SQLiteConn, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	// Nothing is lost with a copy that isn't finished, so it needs no journal; it
	// is synced once, at the end.
	conn, err := newConnector(file, nil, "synchronous = OFF", "journal_mode = OFF").Connect(ctx)
	if err != nil {
		return nil, err
	}
	return conn.(*sqlite3.SQLiteConn), nil
}

func (s *Store) copyPages(ctx context.Context, to, from *sqlite3.SQLiteConn, progress func(done, total int64)) error {
	b, err := to.Backup("main", from, "main")
	if err != nil {
		return err
	}
	err = s.copySteps(ctx, b, progress)
	return errors.Join(err, b.Finish())
}

func (s *Store) copySteps(ctx context.Context, b *sqlite3.SQLiteBackup, progress func(done, total int64)) error {
	for {
		done, err := b.Step(backupStep)
		if err != nil {
			return err
		}
		if progress != nil {
			total := int64(b.PageCount()) * s.checks.pageSize
			progress(total-int64(b.Remaining())*s.checks.pageSize, total)
		}
		if done {
			return nil
		}
		if err := s.stillRoom(ctx); err != nil {
			return err
		}
	}
}

// stillRoom ends a copy that would take the last of the disk: mail goes first.
func (s *Store) stillRoom(ctx context.Context) error {
	if s.Full() {
		return store.ErrDiskFull
	}
	return ctx.Err()
}

// publish syncs a finished file and gives it its name, if that is still free.
func publish(part, file string) error {
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(part, file); err != nil { // unlike a rename, it never replaces a file
		return err
	}
	if err := os.Remove(part); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Restore makes the database of a data folder from a backup. It never overwrites
// one: it fails with store.ErrConflict if the folder has a database. All of the
// queue is held, because what was waiting at the time of the backup has most
// likely been sent since.
func Restore(ctx context.Context, file string, opts Options) error {
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	lock, err := lockDir(opts.Dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	target := filepath.Join(opts.Dir, FileName)
	if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("nothing is written over, restore into a new data folder: %s %w", target, store.ErrConflict)
	}
	part := target + ".part"
	if err := restoreTo(ctx, file, part); err != nil {
		removeDatabase(part)
		return fmt.Errorf("restore: %w", err)
	}
	if err := publish(part, target); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

func removeDatabase(file string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		_ = os.Remove(file + suffix)
	}
}

// restoreTo copies a backup, checks the copy, and prepares it for its new life.
func restoreTo(ctx context.Context, file, part string) error {
	removeDatabase(part)
	if err := copyFile(ctx, file, part); err != nil {
		return err
	}
	db := openWriter(part, DefaultPageSize)
	if err := errors.Join(prepareRestored(ctx, db, time.Now()), db.Close()); err != nil {
		return err
	}
	if _, err := os.Stat(part + "-wal"); err == nil {
		return errors.New("the copy still has a WAL after it was closed")
	}
	return nil
}

func copyFile(ctx context.Context, from, to string) error {
	if _, err := os.Stat(from); err != nil {
		return err
	}
	source, err := newConnector(from, nil, "query_only = ON").Connect(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := openCopy(ctx, to)
	if err != nil {
		return err
	}
	defer target.Close()
	b, err := target.Backup("main", source.(*sqlite3.SQLiteConn), "main")
	if err != nil {
		return err
	}
	_, err = b.Step(-1)
	return errors.Join(err, b.Finish())
}

func prepareRestored(ctx context.Context, db *sql.DB, now time.Time) error {
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return fmt.Errorf("this is no backup of postroom: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("the backup is damaged: %s", verdict)
	}
	if _, err := db.ExecContext(ctx, `SELECT queue.id FROM queue, trail LIMIT 0`); err != nil {
		return fmt.Errorf("this is no backup of postroom: %w", err)
	}
	if err := migrate(ctx, db); err != nil {
		return err
	}
	if err := forgetOwed(ctx, db); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, `UPDATE queue SET hold = hold | ?`, store.HeldByRestore)
	if err != nil {
		return fmt.Errorf("hold the queue: %w", err)
	}
	_, err = db.ExecContext(ctx, `
		INSERT INTO event (trail, seq, at, kind, recipient, detail)
		SELECT message, (SELECT COALESCE(MAX(seq), -1) FROM event WHERE trail = q.message)
			+ row_number() OVER (PARTITION BY message ORDER BY id), ?, ?, recipient, ?
		FROM queue q`, micros(now), string(store.Held), `{"reason":"the data was restored from a backup"}`)
	if err != nil {
		return fmt.Errorf("trace the restore: %w", err)
	}
	return nil
}

// forgetOwed drops reports of success: they were sent long ago, and nobody sees
// them to release them.
func forgetOwed(ctx context.Context, db *sql.DB) error {
	for _, query := range []string{
		`INSERT OR IGNORE INTO reap (message) SELECT message FROM queue WHERE report <> 0`,
		`DELETE FROM queue WHERE report <> 0`,
	} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("forget reports: %w", err)
		}
	}
	return nil
}
