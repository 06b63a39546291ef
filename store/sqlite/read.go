package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// A reader is the pool of connections that read, with its prepared statements.
type readers struct {
	db    *sql.DB
	mu    sync.RWMutex
	stmts map[string]*sql.Stmt
}

func newReaders(db *sql.DB) *readers {
	return &readers{db: db, stmts: make(map[string]*sql.Stmt)}
}

// known returns the prepared form of a query, nil if there is none yet.
func (r *readers) known(query string) *sql.Stmt {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.stmts[query]
}

// stmt returns the prepared form of a constant query. Preparing waits for a
// connection: neither the lock may be held meanwhile, which whoever has a
// connection may want, nor a connection by the caller.
func (r *readers) stmt(query string) (*sql.Stmt, error) {
	if stmt := r.known(query); stmt != nil {
		return stmt, nil
	}
	stmt, err := r.db.Prepare(query)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.stmts[query]; other != nil { // somebody was faster
		return other, stmt.Close()
	}
	r.stmts[query] = stmt
	return stmt, nil
}

// query runs a constant query, prepared once and kept. It takes no context: a
// query here is short, and go-sqlite3 starts a goroutine for each one that could
// be cancelled. The caller closes the rows before it does anything slow.
func (s *Store) query(query string, args ...any) (*sql.Rows, error) {
	stmt, err := s.readers.Load().stmt(query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(context.Background(), args...)
}

// queryRow is query for one row.
func (s *Store) queryRow(query string, args ...any) row {
	stmt, err := s.readers.Load().stmt(query)
	if err != nil {
		return row{err: err}
	}
	return row{row: stmt.QueryRowContext(context.Background(), args...)}
}

// A row is one row, or the reason why there is none.
type row struct {
	row *sql.Row
	err error
}

// Scan reads the row's columns. It fails with sql.ErrNoRows if there is no row.
func (r row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.row.Scan(dest...)
}

// noRows gives the absence of a row its name in the store's own words.
func noRows(err, name error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return name
	}
	return err
}
