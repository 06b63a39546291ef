package sqlite

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"postroom/store"
)

// defaultTrails is how many trails a query without a limit gives.
const defaultTrails = 100

// Trails returns the trails that a query finds, newest first, with all their
// events.
func (s *Store) Trails(ctx context.Context, q store.TrailQuery) ([]store.Trail, error) {
	if q.Limit <= 0 {
		q.Limit = defaultTrails
	}
	// Who has just seen something happen finds it.
	s.flushNotes(ctx)
	ids, err := s.findTrails(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("find trails: %w", err)
	}
	trails := make([]store.Trail, 0, len(ids))
	for _, id := range ids {
		trail, ok, err := s.trail(id)
		if err != nil {
			return nil, fmt.Errorf("read trail %v: %w", id, err)
		}
		if ok {
			trails = append(trails, trail)
		}
	}
	return trails, nil
}

// findTrails returns the ids of the trails that a query finds, newest first.
func (s *Store) findTrails(ctx context.Context, q store.TrailQuery) ([]store.MessageID, error) {
	text := strings.TrimSpace(q.Text)
	if text == "" {
		return s.trailIDs(`SELECT id FROM trail ORDER BY id DESC LIMIT ?`, q.Limit)
	}
	var found []store.MessageID
	if id, err := store.ParseMessageID(text); err == nil {
		found = append(found, id)
	}
	keys := textKeys(text)
	// The new ones first: what the indexer moves meanwhile is then found twice
	// rather than never.
	heads, err := s.newTrails(ctx, -1)
	if err != nil {
		return nil, err
	}
	for _, h := range heads {
		if slices.ContainsFunc(h.keys(), func(k string) bool { return slices.Contains(keys, k) }) {
			found = append(found, h.id)
		}
	}
	for _, key := range keys {
		ids, err := s.trailIDs(`SELECT trail FROM trail_key WHERE key = ? ORDER BY trail DESC LIMIT ?`, key, q.Limit)
		if err != nil {
			return nil, err
		}
		found = append(found, ids...)
	}
	slices.SortFunc(found, func(a, b store.MessageID) int { return cmp.Compare(b, a) })
	found = slices.Compact(found)
	return found[:min(len(found), q.Limit)], nil
}

// textKeys returns the keys under which a person's text could be found.
func textKeys(text string) []string {
	return []string{headerIDKey(text), addressKey(strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">"))}
}

func (s *Store) trailIDs(query string, args ...any) ([]store.MessageID, error) {
	rows, err := s.query(query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(id *store.MessageID) error { return rows.Scan(id) })
}

// trail reads one trail. It reports false if there is none.
func (s *Store) trail(id store.MessageID) (store.Trail, bool, error) {
	rows, err := s.query(`SELECT at, header_id, sender, recipients FROM trail WHERE id = ?`, id)
	if err != nil {
		return store.Trail{}, false, err
	}
	t, ok, err := first(collect(rows, func(t *store.Trail) error {
		var at int64
		var recipients string
		if err := rows.Scan(&at, &t.HeaderID, &t.From, &recipients); err != nil {
			return err
		}
		t.ID, t.At = id, fromMicros(at)
		return json.Unmarshal([]byte(recipients), &t.To)
	}))
	if err != nil || !ok {
		return store.Trail{}, false, err
	}
	t.Events, err = s.events(id)
	return t, true, err
}

// events reads a trail's events in the order of their times.
func (s *Store) events(id store.MessageID) ([]store.Event, error) {
	rows, err := s.query(`
		SELECT at, kind, recipient, detail
		FROM event
		WHERE trail = ?
		ORDER BY at, seq`, id)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(e *store.Event) error {
		var at int64
		var kind, recipient, detail string
		if err := rows.Scan(&at, &kind, &recipient, &detail); err != nil {
			return err
		}
		if detail != "" {
			if err := json.Unmarshal([]byte(detail), e); err != nil {
				return fmt.Errorf("detail of event: %w", err)
			}
		}
		e.Time, e.Kind, e.Recipient = fromMicros(at), store.Kind(kind), recipient
		return nil
	})
}
