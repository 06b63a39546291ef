package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"postroom/store"
)

// access is the admin's own lists in memory. The list is replaced as a whole, so
// that asking it takes no lock; mu keeps an older one from replacing a newer one.
type access struct {
	mu   sync.Mutex
	list atomic.Pointer[store.AccessList]
}

// Access returns the admin's own lists as they are now.
func (s *Store) Access() *store.AccessList { return s.access.list.Load() }

// SetAccess adds an entry to the admin's own lists, or replaces the one for the
// same, which it returns; the zero one if there was none. When it returns, Access
// has it.
func (s *Store) SetAccess(ctx context.Context, e store.AccessEntry) (before store.AccessEntry, err error) {
	if e.Created.IsZero() {
		e.Created = s.now()
	}
	err = s.changeAccess(ctx, func(tx *tx) error {
		var created, expires int64
		err := tx.scan(`SELECT what, action, note, created, expires FROM access WHERE what = ?`, []any{e.What},
			&before.What, &before.Action, &before.Note, &created, &expires)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		before.Created, before.Expires = fromMicros(created), fromMicros(expires)
		_, err = tx.exec(`
			INSERT OR REPLACE INTO access (what, action, note, created, expires)
			VALUES (?, ?, ?, ?, ?)`,
			e.What, e.Action, e.Note, micros(e.Created), micros(e.Expires))
		return err
	})
	if err != nil {
		return store.AccessEntry{}, fmt.Errorf("set access of %s: %w", e.What, err)
	}
	return before, nil
}

// RemoveAccess removes an entry, or fails with store.ErrNotFound. When it returns,
// Access hasn't it any more.
func (s *Store) RemoveAccess(ctx context.Context, what string, action store.AccessAction) error {
	err := s.changeAccess(ctx, func(tx *tx) error {
		return affected(tx.exec(`DELETE FROM access WHERE what = ? AND action = ?`, what, action))
	})
	if err != nil {
		return fmt.Errorf("remove access of %s: %w", what, err)
	}
	return nil
}

// AccessEntries returns the admin's own lists by what they are about, with what
// has ended and isn't swept yet.
func (s *Store) AccessEntries(context.Context) ([]store.AccessEntry, error) {
	rows, err := s.query(`
		SELECT what, action, note, created, expires
		FROM access
		ORDER BY what`)
	if err != nil {
		return nil, fmt.Errorf("list access: %w", err)
	}
	list, err := collect(rows, func(e *store.AccessEntry) error {
		var created, expires int64
		err := rows.Scan(&e.What, &e.Action, &e.Note, &created, &expires)
		e.Created, e.Expires = fromMicros(created), fromMicros(expires)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list access: %w", err)
	}
	return list, nil
}

func (s *Store) changeAccess(ctx context.Context, apply func(*tx) error) error {
	if err := s.write(ctx, 0, apply); err != nil {
		return err
	}
	return s.loadAccess(context.WithoutCancel(ctx))
}

// loadAccess reads the lists. Whoever comes later reads what others have
// committed before.
func (s *Store) loadAccess(ctx context.Context) error {
	s.access.mu.Lock()
	defer s.access.mu.Unlock()
	entries, err := s.AccessEntries(ctx)
	if err != nil {
		return err
	}
	s.access.list.Store(store.NewAccessList(entries))
	return nil
}

// expireAccess removes entries that have ended.
func (s *Store) expireAccess(ctx context.Context, at time.Time) error {
	const ended = ` FROM access WHERE expires BETWEEN 1 AND ?`
	now := micros(at)
	var n int64
	err := s.queryRow(`SELECT COUNT(*)`+ended, now).Scan(&n)
	if err == nil && n > 0 {
		err = s.changeAccess(ctx, func(tx *tx) error {
			_, err := tx.exec(`DELETE`+ended, now)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("remove access that has ended: %w", err)
	}
	return nil
}
