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
	"sync"
	"sync/atomic"
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
	Reserve  int64            // octets of disk to keep free, 2 % of the disk if that is less: below it Accept fails with store.ErrDiskFull
	PageSize int              // of a new database; zero: DefaultPageSize
	Log      *slog.Logger     // nil: nothing is logged
	Now      func() time.Time // nil: time.Now

	// Committed is told of each commit by the writer's goroutine: how many changes it
	// made durable, and how long that took from its beginning. It must be quick. Nil:
	// nobody is told.
	Committed func(changes int, took time.Duration)

	KeepTrace    time.Duration // how long the trace of accepted mail is kept; zero: forever
	KeepRefused  time.Duration // how long the trace of refused mail is kept; zero: forever
	MostRefusals int64         // how many refusals are kept at the most; zero: no bound
}

// A Store is an open database. Its methods may be called by many goroutines at
// once.
type Store struct {
	opts    Options
	log     *slog.Logger
	now     func() time.Time
	lock    *os.File
	writeDB *sql.DB // replaced, as readers is, when the database is opened again
	readers atomic.Pointer[readers]
	checkDB atomic.Pointer[sql.DB] // the checkpointer's connection
	conn    *sql.Conn              // the writer's
	writer  *writer

	usage     usage          // how full each maildrop is
	directory directoryCache // answers about addresses
	meter     meter          // what is sent to other servers
	devices   devices        // who submits without logging in
	vacations vacations      // who is away
	signing   signingCache   // and about who signs
	access    access         // the admin's own lists
	claims    claims
	paused    lockedSet[string]
	suspended lockedSet[store.AccountID] // disabled accounts
	news      news                       // what has changed in the queue
	staged    staged
	recent    recentBodies
	arrivals  arrivals
	notes     notes
	indexing  sync.Mutex // held while trails are made findable
	logins    logins
	disk      diskGauge
	checks    checkpointer
	tallied   tallies
	backup    sync.Mutex // one backup at a time

	lastID         atomic.Int64 // the last message id that was given out
	nextChunk      atomic.Int64 // the last chunk id that was given out
	queueChanged   chan struct{}
	usageChanged   chan struct{}
	answersChanged chan struct{}
	reapWanted     chan struct{}
	stop           context.CancelFunc // ends the background work
	background     sync.WaitGroup
}

// Open opens the database in opts.Dir, makes it if there is none, and brings its
// schema up to date. It fails with store.ErrLocked if another process has it
// open, and with store.ErrNewer if a newer version of postroom wrote it.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s := &Store{
		opts:           opts,
		log:            opts.Log,
		now:            opts.Now,
		claims:         claims{items: make(map[store.QueueID]claim), lanes: make(map[store.Lane]*laneClaims)},
		notes:          notes{soon: make(chan struct{}, 1)},
		disk:           diskGauge{dir: opts.Dir, reserve: opts.Reserve},
		checks:         checkpointer{wanted: make(chan struct{}, 1)},
		queueChanged:   make(chan struct{}, 1),
		usageChanged:   make(chan struct{}, 1),
		answersChanged: make(chan struct{}, 1),
		reapWanted:     make(chan struct{}, 1),
	}
	s.notes.write = s.writeNotes
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
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

func (s *Store) path() string { return filepath.Join(s.opts.Dir, FileName) }

func (s *Store) open(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	if err := conn.QueryRowContext(ctx, `PRAGMA page_size`).Scan(&s.checks.pageSize); err != nil {
		return errors.Join(err, s.disconnect())
	}
	s.writer = newWriter(conn, s.afterBatch, s.writeSending)
	if err := s.begin(ctx); err != nil {
		s.writer.close()
		return errors.Join(err, s.disconnect())
	}
	return nil
}

// connect opens the database: the writer's connection, which it returns, and the
// readers.
func (s *Store) connect(ctx context.Context) (*sql.Conn, error) {
	if err := touch(s.path()); err != nil {
		return nil, err
	}
	db := openWriter(s.path(), s.opts.PageSize)
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), db.Close())
	}
	s.writeDB, s.conn = db, conn
	s.readers.Store(newReaders(openReaders(s.path(), max(4, 2*runtime.NumCPU()))))
	s.checkDB.Store(openCheckpointer(s.path()))
	return conn, nil
}

// begin reads what is kept in memory, clears away what a crash has left, and
// starts the background work.
func (s *Store) begin(ctx context.Context) error {
	if err := s.write(ctx, 0, removeAllStaged); err != nil {
		return err
	}
	if err := s.loadCounters(); err != nil {
		return err
	}
	if err := s.loadUsage(ctx); err != nil {
		return err
	}
	if err := errors.Join(s.loadPaused(), s.loadSuspended()); err != nil {
		return err
	}
	if err := s.loadAccess(ctx); err != nil {
		return err
	}
	if err := errors.Join(s.loadMeter(), s.loadDevices(), s.loadVacations()); err != nil {
		return err
	}
	lanes, err := s.allLanes()
	if err != nil {
		return err
	}
	s.arrivals.wet(lanes)
	work, stop := context.WithCancel(context.Background())
	s.stop = stop
	began := s.now()
	s.background.Go(func() { s.runReaper(work, began) })
	s.background.Go(func() { s.runNotes(work) })
	s.background.Go(func() { s.runCheckpoints(work) })
	s.reapSoon()
	return nil
}

func (s *Store) loadCounters() error {
	var lastID, lastChunk int64
	err := s.queryRow(`
		SELECT
			max(COALESCE((SELECT MAX(id) FROM message), 0), COALESCE((SELECT MAX(id) FROM trail), 0)),
			COALESCE((SELECT MAX(id) FROM chunk), 0)`).Scan(&lastID, &lastChunk)
	if err != nil {
		return fmt.Errorf("load counters: %w", err)
	}
	s.lastID.Store(lastID)
	s.nextChunk.Store(lastChunk)
	return nil
}

// NewMessageID returns an id that was never given out before. Later ids are
// larger, over restarts too, and hold the time: the milliseconds since 1970
// times 2^20.
func (s *Store) NewMessageID() store.MessageID {
	for {
		last := s.lastID.Load()
		next := max(last+1, s.now().UnixMilli()<<20)
		if s.lastID.CompareAndSwap(last, next) {
			return store.MessageID(next)
		}
	}
}

// Close commits what has been taken, refuses the rest with store.ErrClosed and
// closes the database.
func (s *Store) Close() error {
	s.stop()
	s.background.Wait()
	if _, err := s.notes.flush(); err != nil {
		s.log.Warn("notes lost", "err", err)
	}
	return s.closeDatabase()
}

func (s *Store) closeDatabase() error {
	s.writer.close()
	return errors.Join(s.disconnect(), s.lock.Close())
}

func (s *Store) disconnect() error {
	return errors.Join(s.checkDB.Load().Close(), s.readers.Load().db.Close(), s.conn.Close(), s.writeDB.Close())
}

// Ready reports whether the store takes changes: nil, or why it doesn't.
func (s *Store) Ready() error { return s.writer.trouble() }

// write runs a change and returns once it is durable, together with the entry in
// the journal that ctx asks for. bytes is about how much it writes. See writer.do.
func (s *Store) write(ctx context.Context, bytes int64, apply func(*tx) error) error {
	if c := store.ChangeOf(ctx); c != nil {
		return s.writeChange(ctx, bytes, apply, c)
	}
	return s.writer.do(ctx, bytes, apply)
}

// reader returns the pool for queries that are put together at run time. A
// caller reads its rows into memory and closes them before it does anything
// slow: an open reader keeps the WAL from being reused.
func (s *Store) reader() *sql.DB { return s.readers.Load().db }

// touch makes a file for its owner alone, if there is none. SQLite gives the
// files that it puts beside a database the same rights.
func touch(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	return f.Close()
}

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
