package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"postroom/store"
)

// A batch closes when either limit is reached or nobody is waiting.
const (
	maxBatchChanges = 256
	maxBatchBytes   = 16 << 20
)

// A writer owns the only connection that changes the database. It runs all the
// changes that are waiting inside one transaction, so a single sync makes every
// one of them durable. It never waits for company: while one batch is being
// synced the next one gathers by itself.
type writer struct {
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	waiting chan *change
	quit    chan struct{} // closed by close: take no more
	idle    chan struct{} // closed by run: nothing is left
	once    sync.Once

	// between is run after every batch, by the writer's own goroutine.
	between func(b batchReport)
	// last is run before every commit, and adds to the batch.
	last func(*tx) error

	broken atomic.Pointer[error] // why no change is taken at the moment

	// beforeCommit makes a commit fail, in tests.
	beforeCommit func() error
}

// A batchReport says what became of a batch.
type batchReport struct {
	changes int
	bytes   int64
	took    time.Duration // of the transaction, from BEGIN to the end of COMMIT
	err     error         // of the whole transaction
}

// A change is a piece of work for the writer. Its apply must touch nothing but
// the database, and be quick: every other change in the batch waits for it.
type change struct {
	ctx   context.Context
	bytes int64
	apply func(*tx) error
	after []func() // to run once the change is durable, before its caller is told
	undo  []func() // to run if it fails, the last one first
	err   error
	done  chan struct{}
}

// A tx is what a change works with: the writer's connection, inside a
// transaction.
type tx struct {
	w       *writer
	c       *change
	touched int64 // items that the change counts for the journal
}

// exec runs a statement, which is prepared once and kept: queries must be
// constants.
func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	stmt, err := t.w.stmt(query)
	if err != nil {
		return nil, err
	}
	return stmt.Exec(args...)
}

// query runs a statement that gives rows. The caller closes them before the
// next statement of the change.
func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.w.stmt(query)
	if err != nil {
		return nil, err
	}
	return stmt.Query(args...)
}

// scan runs a statement that gives one row and reads it into dest.
// It fails with sql.ErrNoRows if there is none.
func (t *tx) scan(query string, args []any, dest ...any) error {
	stmt, err := t.w.stmt(query)
	if err != nil {
		return err
	}
	return stmt.QueryRow(args...).Scan(dest...)
}

// afterCommit has f run once the change is durable, by the writer's goroutine:
// f must be quick. It isn't run if the change fails.
func (t *tx) afterCommit(f func()) { t.c.after = append(t.c.after, f) }

// onUndo has f run by the writer's goroutine if the change fails, or the whole
// batch: what a change does in memory has to be undone with it.
func (t *tx) onUndo(f func()) { t.c.undo = append(t.c.undo, f) }

// undone takes back what a failed change has done in memory.
func (c *change) undone() {
	for _, f := range slices.Backward(c.undo) {
		f()
	}
	c.undo, c.after = nil, nil
}

func newWriter(conn *sql.Conn, between func(batchReport), last func(*tx) error) *writer {
	w := &writer{
		conn:    conn,
		stmts:   make(map[string]*sql.Stmt),
		waiting: make(chan *change, maxBatchChanges),
		quit:    make(chan struct{}),
		idle:    make(chan struct{}),
		between: between,
		last:    last,
	}
	go w.run()
	return w
}

// do applies a change and returns once it is durable or has failed. Once the
// writer has taken the change, do waits for its fate even if ctx ends: only then
// can the caller tell the client the truth. bytes is about how much the change
// writes.
func (w *writer) do(ctx context.Context, bytes int64, apply func(*tx) error) error {
	c := &change{ctx: ctx, bytes: bytes, apply: apply, done: make(chan struct{})}
	select {
	case <-w.quit:
		return store.ErrClosed
	default:
	}
	if err := w.trouble(); err != nil {
		return err
	}
	select {
	case w.waiting <- c:
	case <-w.quit:
		return store.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.done:
		return c.err
	case <-w.idle: // closing; run has answered c, or never saw it
		select {
		case <-c.done:
			return c.err
		default:
			return store.ErrClosed
		}
	}
}

// close finishes the changes already taken and refuses later ones.
func (w *writer) close() {
	w.once.Do(func() { close(w.quit) })
	<-w.idle
}

func (w *writer) run() {
	defer close(w.idle)
	for {
		select {
		case c := <-w.waiting:
			w.commit(w.gather(c))
		case <-w.quit:
			for {
				select {
				case c := <-w.waiting:
					w.commit(w.gather(c))
				default:
					return
				}
			}
		}
	}
}

// gather returns first and whatever else is waiting, within the batch limits.
func (w *writer) gather(first *change) []*change {
	batch, bytes := []*change{first}, first.bytes
	for len(batch) < maxBatchChanges && bytes < maxBatchBytes {
		select {
		case c := <-w.waiting:
			batch, bytes = append(batch, c), bytes+c.bytes
		default:
			return batch
		}
	}
	return batch
}

// trouble returns why no change is taken at the moment, or nil.
func (w *writer) trouble() error {
	if err := w.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// commit runs a batch in one transaction and tells every caller its fate. A
// change that fails is undone alone; a failing transaction fails them all. On a
// full disk each gets a second chance alone, so that one large message doesn't
// keep others from making room.
func (w *writer) commit(batch []*change) {
	begun := time.Now()
	err := w.transact(batch)
	if isFull(err) && len(batch) > 1 {
		for _, c := range batch {
			c.undone()
		}
		for _, c := range batch {
			begun := time.Now()
			err := w.transact([]*change{c})
			w.finish([]*change{c}, time.Since(begun), err)
		}
		return
	}
	w.finish(batch, time.Since(begun), err)
}

// finish tells the callers of a batch what became of it.
func (w *writer) finish(batch []*change, took time.Duration, err error) {
	report := batchReport{changes: len(batch), took: took, err: err}
	for _, c := range batch {
		report.bytes += c.bytes
		if c.err == nil {
			c.err = report.err
		}
		if c.err != nil {
			c.undone()
		}
		for _, f := range c.after {
			f()
		}
		close(c.done)
	}
	if w.between != nil {
		w.between(report)
	}
}

func (w *writer) transact(batch []*change) error {
	if err := w.run1("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin batch: %w", err)
	}
	for _, c := range batch {
		if c.err = c.ctx.Err(); c.err != nil {
			continue // its caller has given up; nothing was done
		}
		if err := w.applyAlone(c); err != nil {
			w.rollback()
			return err
		}
	}
	if err := w.seal(); err != nil {
		w.rollback()
		return fmt.Errorf("commit batch: %w", err)
	}
	return nil
}

func (w *writer) seal() error {
	if w.last != nil {
		if err := w.last(&tx{w: w}); err != nil {
			return err
		}
	}
	if w.beforeCommit != nil {
		if err := w.beforeCommit(); err != nil {
			return err
		}
	}
	return w.run1("COMMIT")
}

// rollback ends a failed transaction. It fails where SQLite has already rolled
// back by itself, which is as good.
func (w *writer) rollback() { _, _ = w.conn.ExecContext(context.Background(), "ROLLBACK") }

// applyAlone runs one change inside a savepoint and leaves the change's own
// failure in c.err. It returns an error only if the transaction is unusable.
func (w *writer) applyAlone(c *change) error {
	if err := w.run1("SAVEPOINT change"); err != nil {
		return fmt.Errorf("savepoint: %w", err)
	}
	if c.err = guarded(c.apply, &tx{w: w, c: c}); c.err != nil {
		c.undone()
		if err := w.run1("ROLLBACK TO change"); err != nil {
			return fmt.Errorf("undo change: %w", errors.Join(c.err, err))
		}
	}
	if err := w.run1("RELEASE change"); err != nil {
		return fmt.Errorf("release savepoint: %w", err)
	}
	return nil
}

func (w *writer) run1(query string) error {
	stmt, err := w.stmt(query)
	if err != nil {
		return err
	}
	_, err = stmt.Exec()
	return err
}

// stmt returns the prepared form of query. Only the writer's goroutine calls it.
// The transaction outlives any single caller, so nothing here has a caller's
// context.
func (w *writer) stmt(query string) (*sql.Stmt, error) {
	if s := w.stmts[query]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	w.stmts[query] = s
	return s, nil
}

// guarded turns a panic in apply into an error, so that one bad change cannot
// take its batch down with it.
func guarded(apply func(*tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in change: %v\n%s", p, debug.Stack())
		}
	}()
	return apply(t)
}

// closing reports whether close has been called.
func (w *writer) closing() bool {
	select {
	case <-w.quit:
		return true
	default:
		return false
	}
}

// refuse answers what comes in with err, for a while or until close is called.
// Only the writer's goroutine calls it.
func (w *writer) refuse(pause time.Duration, err error) {
	over := time.After(pause)
	for {
		select {
		case c := <-w.waiting:
			c.err = err
			close(c.done)
		case <-over:
			return
		case <-w.quit:
			return
		}
	}
}
