package sqlite

import (
	"context"
	"fmt"
	"sync"

	"postroom/store"
)

// A usage knows how full each maildrop is, as of the last commit. It may be used
// by many goroutines at once.
type usage struct {
	mu sync.RWMutex
	of map[store.AccountID]store.Usage
}

// get returns what an account's maildrop holds; nothing, if it isn't known.
func (u *usage) get(id store.AccountID) store.Usage {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.of[id]
}

// add counts a committed change of an account's maildrop.
func (u *usage) add(id store.AccountID, bytes, count int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.of[id]
	u.of[id] = store.Usage{Bytes: now.Bytes + bytes, Messages: now.Messages + count}
}

// forget drops an account that is gone.
func (u *usage) forget(id store.AccountID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.of, id)
}

// loadUsage reads every maildrop's usage; it is done once, at the start.
func (s *Store) loadUsage(ctx context.Context) error {
	rows, err := s.reader().QueryContext(ctx, `
		SELECT id, used_bytes, used_count
		FROM account`)
	if err != nil {
		return fmt.Errorf("load usage: %w", err)
	}
	defer rows.Close()
	of := make(map[store.AccountID]store.Usage)
	for rows.Next() {
		var id store.AccountID
		var u store.Usage
		if err := rows.Scan(&id, &u.Bytes, &u.Messages); err != nil {
			return fmt.Errorf("load usage: %w", err)
		}
		of[id] = u
	}
	s.usage.mu.Lock()
	s.usage.of = of
	s.usage.mu.Unlock()
	return rows.Err()
}
