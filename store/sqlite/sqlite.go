// Package sqlite keeps a store in one SQLite database. Every change goes
// through one writer, which commits what is waiting together; readers never
// hold a transaction longer than one call. Only one process has the database
// open at a time.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"

	"postroom/migrations"
	"postroom/store"
)

// FileName is the name of the database in the data folder.
const FileName = "postroom.db"

// DefaultPageSize is the page size of a new database, in octets.
const DefaultPageSize = 4096

// Options say how a Store is opened. Only Dir is needed.
type Options struct {
	Dir      string           // the data folder; made, with rights for its owner alone, if it isn't there
	Expire   time.Duration    // how long a queued recipient is tried; zero: 5 days
	Reserve  int64            // octets of disk to keep free: below it Accept fails with store.ErrDiskFull
	PageSize int              // of a new database; zero: DefaultPageSize
	Log      *slog.Logger     // nil: nothing is logged
	Now      func() time.Time // nil: time.Now
}

// A Store is an open database. Its methods may be called by many goroutines at
// once.
type Store struct {
	opts    Options
	log     *slog.Logger
	now     func() time.Time
	lock    *os.File
	writeDB *sql.DB
	readDB  *sql.DB
	writer  *writer

	usage     usage          // how full each maildrop is
	directory directoryCache // answers about addresses
}

// Open opens the database in opts.Dir, makes it if there is none, and brings its
// schema up to date. It fails with store.ErrLocked if another process has it
// open, and with store.ErrNewer if a newer version of postroom wrote it.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s := &Store{opts: opts, log: opts.Log, now: opts.Now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.opts.Expire == 0 {
		s.opts.Expire = 5 * 24 * time.Hour
	}
	if s.opts.PageSize == 0 {
		s.opts.PageSize = DefaultPageSize
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	var err error
	if s.lock, err = lockDir(opts.Dir); err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		s.lock.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) path() string { return filepath.Join(s.opts.Dir, FileName) }

func (s *Store) open(ctx context.Context) error {
	s.writeDB = openWriter(s.path(), s.opts.PageSize)
	if err := migrate(ctx, s.writeDB); err != nil {
		s.writeDB.Close()
		return err
	}
	conn, err := s.writeDB.Conn(ctx)
	if err != nil {
		s.writeDB.Close()
		return fmt.Errorf("open database: %w", err)
	}
	s.readDB = openReaders(s.path(), max(4, 2*runtime.NumCPU()))
	s.writer = newWriter(conn, nil)
	return s.loadUsage(ctx)
}

// Close commits what has been taken, refuses the rest with store.ErrClosed and
// closes the database.
func (s *Store) Close() error {
	s.writer.close()
	return errors.Join(s.readDB.Close(), s.writeDB.Close(), s.lock.Close())
}

// write runs a change and returns once it is durable. bytes is about how much it
// writes. See writer.do.
func (s *Store) write(ctx context.Context, bytes int64, apply func(*tx) error) error {
	return s.writer.do(ctx, bytes, apply)
}

// reader returns the pool for queries. A caller reads its rows into memory and
// closes them before it does anything slow: an open reader keeps the WAL from
// being reused.
func (s *Store) reader() *sql.DB { return s.readDB }

// lockDir takes the lock of a data folder. It is gone with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", dir, store.ErrLocked)
		}
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	return f, nil
}

// migrate brings the schema up to date.
func migrate(ctx context.Context, db *sql.DB) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, fs.FS(migrations.Files), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if have > want {
		return fmt.Errorf("%w (schema %d, this program knows %d)", store.ErrNewer, have, want)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// micros is how times are kept.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v)
}
