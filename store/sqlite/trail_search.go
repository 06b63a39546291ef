package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"postroom/store"
)

// Bounds of a search, so that a hopeless one is as quick as any: what most trails
// have is not looked for in all of them at once.
const (
	mostLooked  = 10_000 // trails
	lookAtOnce  = 1_000
	mostKeys    = 256   // that a network or a domain stands for
	countAtMost = 2_000 // entries of a key, to choose where to begin
	mostHeld    = 5_000 // recipients that are listed rather than met
)

// A trailSet is what one filter of a query selects: trails that have one of the
// keys, are one of the ids, or wait in the queue.
type trailSet struct {
	keys    []string
	ids     []store.MessageID // in ascending order
	waiting bool
	held    bool       // with waiting: what is held there
	kind    store.Kind // has such an event, for which there is no key
}

// A trailSpan is a part of the list: the ids between two others.
type trailSpan struct {
	above, below store.MessageID
	ascending    bool // it is looked through from the oldest on
}

// A trailSearch is the search for one page.
type trailSearch struct {
	s      *Store
	limit  int
	span   trailSpan
	driver trailSet // whose trails are looked at
	all    bool     // instead of driver: every trail
	others []trailSet
	found  []store.MessageID
	looked int64
	ended  bool // nothing is left in the span
}

// findTrails looks for the ids of the trails that a query selects.
func (s *Store) findTrails(ctx context.Context, q store.TrailQuery) (*trailSearch, bool, error) {
	sets, clipped, err := s.trailSets(ctx, q)
	if err != nil {
		return nil, false, err
	}
	t := &trailSearch{s: s, limit: q.Limit, span: spanOf(q)}
	if err := t.choose(sets); err != nil {
		return nil, false, err
	}
	for len(t.found) <= t.limit && !t.ended && t.looked < t.patience() {
		if err := t.look(); err != nil {
			return nil, false, err
		}
	}
	return t, clipped, nil
}

func spanOf(q store.TrailQuery) trailSpan {
	span := trailSpan{above: q.After, below: math.MaxInt64, ascending: q.After != 0}
	if q.Before != 0 {
		span.below = q.Before
	}
	if !q.Since.IsZero() {
		span.above = max(span.above, earliest(q.Since)-1)
	}
	if !q.Until.IsZero() {
		span.below = min(span.below, earliest(q.Until))
	}
	return span
}

// earliest returns the smallest id that is given out at a time.
func earliest(at time.Time) store.MessageID { return store.MessageID(at.UnixMilli() << 20) }

// trailSets turns the filters of a query into sets.
func (s *Store) trailSets(ctx context.Context, q store.TrailQuery) (sets []trailSet, clipped bool, err error) {
	if q.ID != 0 {
		sets = append(sets, trailSet{ids: []store.MessageID{q.ID}})
	}
	if text := strings.TrimSpace(q.Text); text != "" {
		set := trailSet{keys: textKeys(text)}
		if id, err := store.ParseMessageID(text); err == nil {
			set.ids = []store.MessageID{id}
		}
		sets = append(sets, set)
	}
	if q.Host != "" {
		key := hostKey(q.Host)
		inside, err := s.keysBetween(key+".", key+"/")
		if err != nil {
			return nil, false, err
		}
		sets = append(sets, trailSet{keys: append([]string{key}, inside...)})
		clipped = len(inside) == mostKeys
	}
	if q.IP.IsValid() {
		keys := []string{ipKey(q.IP.Addr())}
		if !q.IP.IsSingleIP() {
			if keys, err = s.keysBetween(networkKeys(q.IP)); err != nil {
				return nil, false, err
			}
			clipped = clipped || len(keys) == mostKeys
		}
		sets = append(sets, trailSet{keys: keys})
	}
	switch q.Outcome {
	case "":
	case store.Queued:
		sets = append(sets, trailSet{waiting: true})
	case store.Held:
		set, err := s.heldSet(ctx)
		if err != nil {
			return nil, false, err
		}
		sets = append(sets, set)
	default:
		if !findable(q.Outcome) {
			return append(sets, trailSet{kind: q.Outcome}), clipped, nil
		}
		sets = append(sets, trailSet{keys: []string{outcomeKey(q.Outcome)}})
	}
	return sets, clipped, nil
}

// keysBetween returns the first keys of those that there are in a range.
func (s *Store) keysBetween(from, below string) ([]string, error) {
	rows, err := s.query(`
		WITH RECURSIVE k (key) AS (
			SELECT MIN(key) FROM trail_key WHERE key >= ?1 AND key < ?2
			UNION ALL
			SELECT (SELECT MIN(key) FROM trail_key WHERE key > k.key AND key < ?2)
			FROM k
			WHERE k.key IS NOT NULL
			LIMIT ?3)
		SELECT key
		FROM k
		WHERE key IS NOT NULL`, from, below, mostKeys)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(key *string) error { return rows.Scan(key) })
}

// heldSet lists the messages that are held, if they are few among all that wait.
func (s *Store) heldSet(ctx context.Context) (trailSet, error) {
	var n int64
	err := s.reader().QueryRowContext(ctx, `
		SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM queue WHERE hold <> 0 LIMIT ?1))
			+ (SELECT COUNT(*) FROM (SELECT 1 FROM queue INDEXED BY queue_lane WHERE hold = 0 AND domain IN (SELECT domain FROM pause) LIMIT ?1))`,
		mostHeld).Scan(&n)
	if err != nil || n >= mostHeld {
		return trailSet{waiting: true, held: true}, err
	}
	rows, err := s.reader().QueryContext(ctx, `SELECT DISTINCT q.message FROM queue q WHERE report = 0 AND `+isHeld+` ORDER BY q.message`)
	if err != nil {
		return trailSet{}, err
	}
	ids, err := collect(rows, func(id *store.MessageID) error { return rows.Scan(id) })
	return trailSet{ids: ids}, err
}

// choose has the search begin with the set that is likely to be the smallest.
func (t *trailSearch) choose(sets []trailSet) error {
	best, fewest := -1, int64(math.MaxInt64)
	for i, set := range sets {
		n, err := t.size(set)
		if err != nil {
			return err
		}
		if n < fewest {
			best, fewest = i, n
		}
	}
	for i, set := range sets {
		if i == best && set.kind == "" {
			t.driver = set
		} else {
			t.others = append(t.others, set)
		}
	}
	t.all = len(t.others) == len(sets)
	return nil
}

// size estimates how many trails of a set there are, by the size of a sample. To ask
// a trail whether it has one of many keys is dear, so such a set goes first.
func (t *trailSearch) size(set trailSet) (int64, error) {
	switch {
	case set.kind != "":
		return math.MaxInt64 - 1, nil
	case set.waiting:
		return 2 * countAtMost, nil
	case len(set.keys) > 8:
		return -int64(len(set.keys)), nil
	}
	n := int64(len(set.ids))
	for _, key := range set.keys {
		var some int64
		err := t.s.queryRow(`
			SELECT COUNT(*)
			FROM (SELECT 1 FROM trail_key WHERE key = ? AND trail > ? AND trail < ? LIMIT ?)`,
			key, t.span.above, t.span.below, countAtMost).Scan(&some)
		if err != nil {
			return 0, err
		}
		n += some
	}
	return n, nil
}

// patience is how many trails are looked at.
func (t *trailSearch) patience() int64 {
	n := int64(mostLooked)
	for _, set := range t.others {
		n = min(n, mostLooked/int64(1+len(set.keys)/8))
	}
	return n
}

// look goes on by some trails.
func (t *trailSearch) look() error {
	ids, reached, err := t.candidates(lookAtOnce)
	if err != nil {
		return err
	}
	t.looked += int64(len(ids))
	if t.driver.held { // it passes others by
		t.looked += lookAtOnce
	}
	matching, err := t.matching(ids)
	if err != nil {
		return err
	}
	t.found = append(t.found, matching...)
	switch {
	case reached == 0:
		t.ended = true
	case t.span.ascending:
		t.span.above = reached
	default:
		t.span.below = reached
	}
	return nil
}

// candidates returns the next ids of the driver in the order of the search. reached
// is the position up to which they are complete, 0 if nothing is left.
func (t *trailSearch) candidates(most int) (ids []store.MessageID, reached store.MessageID, err error) {
	switch {
	case t.all:
		if len(t.others) == 0 {
			most = min(most, t.limit+1)
		}
		ids, err = t.ids(`SELECT id FROM trail WHERE id > ? AND id < ? ORDER BY id `+t.order()+` LIMIT ?`, most)
		return ids, lastOf(ids, most), err
	case t.driver.held:
		ids, reached, err = t.heldCandidates()
		return ids, reached, err
	case t.driver.waiting:
		ids, err = t.ids(`
			SELECT DISTINCT message
			FROM queue
			WHERE message > ? AND message < ? AND report = 0
			ORDER BY message `+t.order()+`
			LIMIT ?`, most)
		return ids, lastOf(ids, most), err
	}
	return t.keyCandidates(most)
}

// order is the direction of the search for a query.
func (t *trailSearch) order() string {
	if t.span.ascending {
		return "ASC"
	}
	return "DESC"
}

// ids runs a query for ids in the span, given its bounds and a limit.
func (t *trailSearch) ids(query string, limit int) ([]store.MessageID, error) {
	rows, err := t.s.query(query, t.span.above, t.span.below, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(id *store.MessageID) error { return rows.Scan(id) })
}

// lastOf returns the last of ids if there were as many as were asked for.
func lastOf(ids []store.MessageID, limit int) store.MessageID {
	if len(ids) < limit {
		return 0
	}
	return ids[len(ids)-1]
}

// heldCandidates passes some of the queue by.
func (t *trailSearch) heldCandidates() (ids []store.MessageID, reached store.MessageID, err error) {
	const passed = 5 * lookAtOnce
	rows, err := t.s.query(`
		SELECT message, hold <> 0 OR class <> 2 AND domain IN (SELECT domain FROM pause)
		FROM queue
		WHERE message > ? AND message < ? AND report = 0
		ORDER BY message `+t.order()+`
		LIMIT ?`, t.span.above, t.span.below, passed)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var held bool
		if err := rows.Scan(&reached, &held); err != nil {
			return nil, 0, err
		}
		if held && (len(ids) == 0 || ids[len(ids)-1] != reached) {
			ids = append(ids, reached)
		}
	}
	if n < passed {
		return ids, 0, rows.Err()
	}
	// Of the last message some may not have been passed: it is met again.
	ids = slices.DeleteFunc(ids, func(id store.MessageID) bool { return id == reached })
	if t.span.ascending {
		return ids, max(reached-1, t.span.above+1), rows.Err()
	}
	return ids, min(reached+1, t.span.below-1), rows.Err()
}

// keyCandidates merges what the driver's keys and ids give.
func (t *trailSearch) keyCandidates(most int) (ids []store.MessageID, reached store.MessageID, err error) {
	each := max(20, most/max(1, len(t.driver.keys)))
	for _, key := range t.driver.keys {
		rows, err := t.s.query(`
			SELECT trail
			FROM trail_key
			WHERE key = ? AND trail > ? AND trail < ?
			ORDER BY trail `+t.order()+`
			LIMIT ?`, key, t.span.above, t.span.below, each)
		if err != nil {
			return nil, 0, err
		}
		some, err := collect(rows, func(id *store.MessageID) error { return rows.Scan(id) })
		if err != nil {
			return nil, 0, err
		}
		ids = append(ids, some...)
		if last := lastOf(some, each); last != 0 && (reached == 0 || t.sooner(last, reached)) {
			reached = last
		}
	}
	for _, id := range t.driver.ids {
		if id > t.span.above && id < t.span.below {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, t.compare)
	ids = slices.Compact(ids)
	if reached != 0 {
		ids = slices.DeleteFunc(ids, func(id store.MessageID) bool { return t.sooner(reached, id) })
	}
	return ids, reached, nil
}

// sooner reports whether the search meets a before b.
func (t *trailSearch) sooner(a, b store.MessageID) bool { return t.compare(a, b) < 0 }

func (t *trailSearch) compare(a, b store.MessageID) int {
	if t.span.ascending {
		a, b = b, a
	}
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return 0
}

// matching returns those of ids that are in all the other sets too.
func (t *trailSearch) matching(ids []store.MessageID) ([]store.MessageID, error) {
	if len(t.others) == 0 || len(ids) == 0 {
		return ids, nil
	}
	numbers := make([]int64, len(ids))
	for i, id := range ids {
		numbers[i] = int64(id)
	}
	list, err := json.Marshal(numbers)
	if err != nil {
		return nil, err
	}
	for _, set := range t.others {
		in, err := t.s.within(string(list), set)
		if err != nil {
			return nil, err
		}
		ids = slices.DeleteFunc(ids, func(id store.MessageID) bool { return !in[id] })
	}
	return ids, nil
}

// within returns which of some ids, in JSON, are in a set.
func (s *Store) within(list string, set trailSet) (map[store.MessageID]bool, error) {
	in := make(map[store.MessageID]bool)
	for _, id := range set.ids {
		in[id] = true
	}
	query, args := "", []any{list}
	switch {
	case set.held:
		query = `SELECT value FROM json_each(?) AS n WHERE EXISTS (
			SELECT 1 FROM queue
			WHERE message = n.value AND report = 0 AND (hold <> 0 OR class <> 2 AND domain IN (SELECT domain FROM pause)))`
	case set.kind != "":
		query, args = `SELECT value FROM json_each(?) AS n WHERE EXISTS (SELECT 1 FROM event WHERE trail = n.value AND kind = ?)`, append(args, string(set.kind))
	case set.waiting:
		query = `SELECT value FROM json_each(?) AS n WHERE EXISTS (SELECT 1 FROM queue WHERE message = n.value AND report = 0)`
	case len(set.keys) > 0:
		keys, err := json.Marshal(set.keys)
		if err != nil {
			return nil, err
		}
		query, args = `
			SELECT n.value
			FROM json_each(?) AS n
			WHERE EXISTS (SELECT 1 FROM trail_key WHERE trail = n.value AND key IN (SELECT value FROM json_each(?)))`, append(args, string(keys))
	default:
		return in, nil
	}
	rows, err := s.query(query, args...)
	if err != nil {
		return nil, fmt.Errorf("look among keys: %w", err)
	}
	ids, err := collect(rows, func(id *store.MessageID) error { return rows.Scan(id) })
	for _, id := range ids {
		in[id] = true
	}
	return in, err
}
