package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"postroom/store"
)

// defaultTrails is how many trails a query without a limit gives.
const defaultTrails = 100

// Trails returns a page of the trails that a query selects, newest first, with all
// their events.
func (s *Store) Trails(ctx context.Context, q store.TrailQuery) (store.TrailPage, error) {
	if q.Limit <= 0 {
		q.Limit = defaultTrails
	}
	// Who has just seen something happen finds it.
	s.flushNotes(ctx)
	page := store.TrailPage{}
	if byKey(q) {
		var err error
		if page.Unindexed, err = s.indexSome(ctx); err != nil {
			return page, fmt.Errorf("find trails: %w", err)
		}
	}
	search, clipped, err := s.findTrails(ctx, q)
	if err != nil {
		return page, fmt.Errorf("find trails: %w", err)
	}
	page.Clipped = clipped
	search.conclude(&page, q)
	for _, id := range search.found {
		trail, ok, err := s.trail(id)
		if err != nil {
			return page, fmt.Errorf("read trail %v: %w", id, err)
		}
		if ok {
			page.Trails = append(page.Trails, trail)
		}
	}
	return page, nil
}

// byKey reports whether a query asks for what is found through trail_key.
func byKey(q store.TrailQuery) bool {
	return strings.TrimSpace(q.Text) != "" || q.Host != "" || q.IP.IsValid() || q.Outcome != ""
}

// indexSome makes the newest trails findable that aren't yet, and returns how many
// are left. What can't be written, on a full disk, stays to be found later.
func (s *Store) indexSome(ctx context.Context) (left int64, err error) {
	for more, rounds := true, 0; more && rounds < 2; rounds++ {
		if more, err = s.indexTrails(ctx); err != nil {
			s.report(ctx, "index trails", err)
			break
		}
	}
	err = s.queryRow(`SELECT COUNT(*) FROM trail_new`).Scan(&left)
	return left, err
}

// conclude puts what was found in the order of the page, and says where to look
// further.
func (t *trailSearch) conclude(page *store.TrailPage, q store.TrailQuery) {
	further := !t.ended
	if len(t.found) > t.limit {
		t.found, further = t.found[:t.limit], true
	} else if further {
		page.Looked = t.looked
	}
	// Ahead is where the search was going, behind where it came from.
	ahead, behind := &page.Older, &page.Newer
	if t.span.ascending {
		ahead, behind = behind, ahead
	}
	if further {
		*ahead = t.position()
	}
	if len(t.found) > 0 && (q.Before != 0 || q.After != 0) {
		*behind = t.found[0]
	}
	if t.span.ascending {
		slices.Reverse(t.found)
	}
}

// position is how far the search has come.
func (t *trailSearch) position() store.MessageID {
	switch {
	case len(t.found) == t.limit:
		return t.found[t.limit-1]
	case t.span.ascending:
		return t.span.above
	}
	return t.span.below
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
