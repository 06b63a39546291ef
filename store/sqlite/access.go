package sqlite

import (
	"context"
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
	err = s.changeAccess(ctx, func(tx *tx) (err error) {
		if before, err = tx.accessEntry(e.What); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return tx.putAccess(e)
	})
	if err != nil {
		return store.AccessEntry{}, fmt.Errorf("set access of %s: %w", e.What, err)
	}
	return before, nil
}

// ChangeAccess changes an entry, and returns it as it was. It fails with
// store.ErrNotFound if it isn't there. When it returns, Access has it as it is now.
func (s *Store) ChangeAccess(ctx context.Context, what string, action store.AccessAction, change store.AccessChange) (before store.AccessEntry, err error) {
	err = s.changeAccess(ctx, func(tx *tx) (err error) {
		before, err = tx.accessEntry(what)
		switch {
		case err != nil:
			return err
		case before.Action != action:
			return store.ErrNotFound
		}
		after := before
		change.Apply(&after)
		return tx.putAccess(after)
	})
	if err != nil {
		return store.AccessEntry{}, fmt.Errorf("change access of %s: %w", what, err)
	}
	return before, nil
}

// accessEntry returns the entry about something, or fails with store.ErrNotFound.
func (t *tx) accessEntry(what string) (e store.AccessEntry, err error) {
	var created, expires int64
	err = t.scan(`SELECT what, action, note, created, expires FROM access WHERE what = ?`, []any{what},
		&e.What, &e.Action, &e.Note, &created, &expires)
	if err != nil {
		return store.AccessEntry{}, noRows(err, store.ErrNotFound)
	}
	e.Created, e.Expires = fromMicros(created), fromMicros(expires)
	return e, nil
}

func (t *tx) putAccess(e store.AccessEntry) error {
	_, err := t.exec(`
		INSERT OR REPLACE INTO access (what, action, note, created, expires)
		VALUES (?, ?, ?, ?, ?)`,
		e.What, e.Action, e.Note, micros(e.Created), micros(e.Expires))
	return err
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
