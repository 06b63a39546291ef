package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"postroom/store"
)

// indexBatch bounds how many trails are indexed at a time, and indexEntries how
// many keys one change writes, so that accepting mail never waits long for it.
const (
	indexBatch   = 250
	indexEntries = 2500
)

// An indexEntry is a row of trail_key.
type indexEntry struct {
	key   string
	trail store.MessageID
}

// indexTrails makes some of the trails that are new, or of which more is known,
// findable through trail_key, the newest first; and reports whether there are more.
// While mail comes in at full speed it takes about a tenth of the processor.
func (s *Store) indexTrails(ctx context.Context) (more bool, err error) {
	s.indexing.Lock()
	defer s.indexing.Unlock()
	heads, err := s.newTrails(ctx, indexBatch)
	if err != nil || len(heads) == 0 {
		return false, err
	}
	for part := range slices.Chunk(entriesOf(heads), indexEntries) {
		if err := s.writeKeys(ctx, part); err != nil {
			return false, fmt.Errorf("index trails: %w", err)
		}
	}
	if err := s.forgetNew(ctx, heads); err != nil {
		return false, fmt.Errorf("index trails: %w", err)
	}
	return len(heads) == indexBatch, nil
}

// entriesOf returns the rows for heads in the order of the table.
func entriesOf(heads []trailHead) []indexEntry {
	var all []indexEntry
	for i := range heads {
		for _, key := range heads[i].keys() {
			all = append(all, indexEntry{key, heads[i].id})
		}
	}
	slices.SortFunc(all, func(a, b indexEntry) int { return strings.Compare(a.key, b.key) })
	return all
}

func (s *Store) writeKeys(ctx context.Context, entries []indexEntry) error {
	pairs := make([][2]any, len(entries))
	for i, e := range entries {
		pairs[i] = [2]any{e.key, int64(e.trail)}
	}
	list, err := json.Marshal(pairs)
	if err != nil {
		return fmt.Errorf("encode index entries: %w", err)
	}
	return s.write(ctx, int64(2*len(list)), func(tx *tx) error {
		_, err := tx.exec(`
			INSERT OR IGNORE INTO trail_key (key, trail)
			SELECT value ->> 0, value ->> 1
			FROM json_each(?)`, string(list))
		return err
	})
}

// forgetNew takes trails off the list of those that are to be indexed, but for
// those of which something was told meanwhile.
func (s *Store) forgetNew(ctx context.Context, heads []trailHead) error {
	seen := make([][2]int64, len(heads))
	for i, h := range heads {
		seen[i] = [2]int64{int64(h.id), h.last}
	}
	list, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	return s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`
			DELETE FROM trail_new
			WHERE trail IN (
				SELECT value ->> 0
				FROM json_each(?)
				WHERE (SELECT COALESCE(MAX(seq), 0) FROM event WHERE trail = value ->> 0) <= value ->> 1)`, string(list))
		return err
	})
}

// newTrails returns the heads of trails that aren't indexed yet, newest first, as
// far as they aren't.
func (s *Store) newTrails(ctx context.Context, limit int) ([]trailHead, error) {
	return s.trailHeads(ctx, `SELECT trail AS id, first FROM trail_new ORDER BY trail DESC LIMIT ?`, limit)
}

// trailHeads returns the heads of the trails whose ids a query gives, each with the
// event from which on it is looked at.
func (s *Store) trailHeads(ctx context.Context, ids string, args ...any) ([]trailHead, error) {
	rows, err := s.reader().QueryContext(ctx, `
		SELECT t.id, n.first, t.header_id, t.sender, t.recipients
		FROM (`+ids+`) AS n
		JOIN trail AS t ON t.id = n.id`,
		args...)
	if err != nil {
		return nil, fmt.Errorf("read trails: %w", err)
	}
	heads, err := collect(rows, func(h *trailHead) error { return h.scan(rows) })
	if err != nil {
		return nil, fmt.Errorf("read trails: %w", err)
	}
	if err := s.addEventKeys(ctx, heads); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return heads, nil
}

// scan reads the envelope, which belongs to a trail's first event.
func (h *trailHead) scan(rows *sql.Rows) error {
	var headerID, sender, envelope string
	if err := rows.Scan(&h.id, &h.first, &headerID, &sender, &envelope); err != nil || h.first > 0 {
		return err
	}
	h.headerID, h.sender = headerID, sender
	if err := json.Unmarshal([]byte(envelope), &h.recipients); err != nil {
		return fmt.Errorf("recipients of trail %v: %w", h.id, err)
	}
	return nil
}

// addEventKeys adds to heads what their events tell.
func (s *Store) addEventKeys(ctx context.Context, heads []trailHead) error {
	at := make(map[store.MessageID]*trailHead, len(heads))
	from := make([][2]int64, len(heads))
	for i := range heads {
		at[heads[i].id], from[i] = &heads[i], [2]int64{int64(heads[i].id), heads[i].first}
	}
	list, err := json.Marshal(from)
	if err != nil {
		return err
	}
	rows, err := s.reader().QueryContext(ctx, `
		SELECT e.trail, e.seq, e.kind, e.recipient, e.detail
		FROM json_each(?) AS n
		JOIN event AS e ON e.trail = n.value ->> 0 AND e.seq >= n.value ->> 1`, string(list))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id store.MessageID
		var seq int64
		var kind store.Kind
		var recipient, detail string
		if err := rows.Scan(&id, &seq, &kind, &recipient, &detail); err != nil {
			return err
		}
		if err := at[id].add(seq, kind, recipient, detail); err != nil {
			return err
		}
	}
	return rows.Err()
}
