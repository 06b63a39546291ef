package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"postroom/store"
)

// Claim returns up to r.Limit items that are due, the longest due first, and
// keeps them from other claims until they are settled.
func (s *Store) Claim(ctx context.Context, r store.ClaimRequest) ([]store.QueueItem, error) {
	busy, err := json.Marshal(append([]string{}, r.Busy...))
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	rows, err := s.query(`
		SELECT `+queueColumns+`
		FROM queue q JOIN message m ON m.id = q.message
		WHERE q.hold = 0 AND q.due <= ? AND q.domain NOT IN (SELECT value FROM json_each(?))
		ORDER BY q.due
		LIMIT ?`, micros(r.Now), string(busy), r.Limit+len(s.claims.items))
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	defer rows.Close()
	var items []store.QueueItem
	for rows.Next() && len(items) < r.Limit {
		item, err := scanQueueItem(rows)
		if err != nil {
			return nil, fmt.Errorf("claim: %w", err)
		}
		if s.claims.items[item.ID] == nil {
			items = append(items, item)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	s.claims.begin(items)
	return items, nil
}

// NextDue returns when the earliest item that nobody has claimed comes due, or
// false if there is none.
func (s *Store) NextDue(ctx context.Context) (at time.Time, ok bool, err error) {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	rows, err := s.query(`SELECT id, due FROM queue WHERE hold = 0 ORDER BY due LIMIT ?`, len(s.claims.items)+1)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("find next due: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id store.QueueID
		var due int64
		if err := rows.Scan(&id, &due); err != nil {
			return time.Time{}, false, fmt.Errorf("find next due: %w", err)
		}
		if s.claims.items[id] == nil {
			return fromMicros(due), true, nil
		}
	}
	return time.Time{}, false, rows.Err()
}
