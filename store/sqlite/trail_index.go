package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"postroom/store"
	"postroom/store/mail"
)

// indexBatch bounds how many trails one change indexes, so that accepting mail
// never waits long for it.
const indexBatch = 250

// A trailHead is what a trail is found by.
type trailHead struct {
	id         store.MessageID
	headerID   string
	sender     string
	recipients []string // of the envelope, and of the events
}

// keys returns the trail's keys, each once.
func (h trailHead) keys() []string {
	keys := make([]string, 0, 2+len(h.recipients))
	if h.headerID != "" {
		keys = append(keys, headerIDKey(h.headerID))
	}
	if h.sender != "" {
		keys = append(keys, addressKey(h.sender))
	}
	for _, r := range h.recipients {
		if r != "" {
			keys = append(keys, addressKey(r))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// addressKey returns the key of an address. What is none, as a refused client
// may have given, is found by its letters.
func addressKey(text string) string {
	if a, err := mail.ParseAddress(text); err == nil {
		return "a:" + a.Key()
	}
	return "a:" + strings.ToLower(text)
}

func headerIDKey(text string) string {
	return "m:" + strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">")
}

// indexTrails makes some of the trails that are new findable through trail_key,
// and reports whether there are more. Only one goroutine may call it at a time.
func (s *Store) indexTrails(ctx context.Context) (more bool, err error) {
	heads, err := s.newTrails(ctx, indexBatch)
	if err != nil || len(heads) == 0 {
		return false, err
	}
	entries, ids, err := indexEntries(heads)
	if err != nil {
		return false, err
	}
	err = s.write(ctx, int64(2*len(entries)), func(tx *tx) error {
		_, err := tx.exec(`
			INSERT OR IGNORE INTO trail_key (key, trail)
			SELECT value ->> 0, value ->> 1
			FROM json_each(?)`, entries)
		if err != nil {
			return err
		}
		_, err = tx.exec(`DELETE FROM trail_new WHERE trail IN (SELECT value FROM json_each(?))`, ids)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("index trails: %w", err)
	}
	return len(heads) == indexBatch, nil
}

// indexEntries returns the rows for heads as JSON, a list of pairs in the order
// of the table, and the heads' ids.
func indexEntries(heads []trailHead) (entries, ids string, err error) {
	type entry struct {
		key   string
		trail store.MessageID
	}
	var all []entry
	numbers := make([]int64, len(heads))
	for i, h := range heads {
		numbers[i] = int64(h.id)
		for _, key := range h.keys() {
			all = append(all, entry{key, h.id})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	pairs := make([][2]any, len(all))
	for i, e := range all {
		pairs[i] = [2]any{e.key, int64(e.trail)}
	}
	encoded, err := json.Marshal(pairs)
	if err != nil {
		return "", "", fmt.Errorf("encode index entries: %w", err)
	}
	list, err := json.Marshal(numbers)
	return string(encoded), string(list), err
}

// newTrails returns the heads of trails that aren't indexed yet, oldest first;
// limit -1 means all.
func (s *Store) newTrails(ctx context.Context, limit int) ([]trailHead, error) {
	return s.trailHeads(ctx, `SELECT trail AS id FROM trail_new ORDER BY trail LIMIT ?`, limit)
}

// trailHeads returns the heads of the trails whose ids a query gives.
func (s *Store) trailHeads(ctx context.Context, ids string, args ...any) ([]trailHead, error) {
	rows, err := s.reader().QueryContext(ctx, `
		SELECT t.id, t.header_id, t.sender, t.recipients,
			(SELECT json_group_array(DISTINCT recipient) FROM event WHERE trail = t.id)
		FROM (`+ids+`) AS n
		JOIN trail AS t ON t.id = n.id`,
		args...)
	if err != nil {
		return nil, fmt.Errorf("read trails: %w", err)
	}
	defer rows.Close()
	var heads []trailHead
	for rows.Next() {
		var h trailHead
		var envelope, events string
		if err := rows.Scan(&h.id, &h.headerID, &h.sender, &envelope, &events); err != nil {
			return nil, fmt.Errorf("read trails: %w", err)
		}
		for _, list := range []string{envelope, events} {
			var some []string
			if err := json.Unmarshal([]byte(list), &some); err != nil {
				return nil, fmt.Errorf("recipients of trail %v: %w", h.id, err)
			}
			h.recipients = append(h.recipients, some...)
		}
		heads = append(heads, h)
	}
	return heads, rows.Err()
}
