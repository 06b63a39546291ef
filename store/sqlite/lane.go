package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"sync"
	"time"

	"postroom/store"
)

// news is what has changed in the queue since somebody last asked: the
// dispatcher, or a claim. It is told after the commits, by the writer's goroutine
// too; its lock is held for nothing else.
type news struct {
	mu      sync.Mutex
	lanes   map[store.Lane]store.LaneDue // for Changes
	ways    bool
	entered map[store.Lane]int64 // for the cursors of claims: the earliest due
}

// tell notes that items have come into lanes, or come due earlier.
func (n *news) tell(lanes []store.LaneDue) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lanes == nil {
		n.lanes = make(map[store.Lane]store.LaneDue)
	}
	if n.entered == nil {
		n.entered = make(map[store.Lane]int64)
	}
	for _, l := range lanes {
		if known, ok := n.lanes[l.Lane]; ok {
			l.Hasten = l.Hasten || known.Hasten
			l.Due = earlier(l.Due, known.Due)
		}
		n.lanes[l.Lane] = l
		due := micros(l.Due)
		if known, ok := n.entered[l.Lane]; ok {
			due = min(due, known)
		}
		n.entered[l.Lane] = due
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// takeEntered returns which lanes items have come into since the last call.
func (n *news) takeEntered() map[store.Lane]int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	entered := n.entered
	n.entered = nil
	return entered
}

// forgetLanes drops what is about to be read from the queue itself.
func (n *news) forgetLanes() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lanes = nil
}

// announce tells of lanes in which there is something to be read from the queue,
// and signals QueueChanged.
func (s *Store) announce(lanes []store.LaneDue) {
	s.arrivals.wet(lanes)
	s.tell(lanes)
}

func (s *Store) tell(lanes []store.LaneDue) {
	s.news.tell(lanes)
	s.wakeQueue()
}

// announceWays tells that routes, sources, pauses or backup domains have changed,
// and signals QueueChanged. It is called after the commit.
func (s *Store) announceWays() {
	s.news.mu.Lock()
	s.news.ways = true
	s.news.mu.Unlock()
	s.wakeQueue()
}

// QueueChanged signals, at least once after each commit that adds or hastens an
// item, that Changes has something new.
func (s *Store) QueueChanged() <-chan struct{} { return s.queueChanged }

// wakeQueue signals QueueChanged.
func (s *Store) wakeQueue() {
	select {
	case s.queueChanged <- struct{}{}:
	default:
	}
}

// Changes returns what has changed since the last call, or since Lanes. It never
// blocks. A lane in it may turn out to have nothing to claim.
//
// An item that comes while ClaimLane runs is certain to be in Changes, but not in
// that claim's Next: whoever calls both at once keeps the earlier of the two.
func (s *Store) Changes() store.QueueChanges {
	n := &s.news
	n.mu.Lock()
	defer n.mu.Unlock()
	changes := store.QueueChanges{Ways: n.ways, Lanes: make([]store.LaneDue, 0, len(n.lanes))}
	for _, l := range n.lanes {
		changes.Lanes = append(changes.Lanes, l)
	}
	n.lanes, n.ways = nil, false
	return changes
}

// laneColumns identify a lane; scanLane reads them and a due.
const laneColumns = `domain, account, origin, class`

func scanLane(rows *sql.Rows, l *store.LaneDue) error {
	var due int64
	err := rows.Scan(&l.Domain, &l.Account, &l.Origin, &l.Class, &due)
	l.Due = fromMicros(due)
	return err
}

// Lanes returns every lane with an item that is neither held nor claimed, and
// when the earliest of these comes due. Paused domains are among them. What
// Changes would have told until now is forgotten.
func (s *Store) Lanes(context.Context) ([]store.LaneDue, error) {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	s.news.forgetLanes()
	all, err := s.allLanes()
	if err != nil {
		return nil, err
	}
	left := all[:0]
	for _, l := range all {
		ok := true
		if s.claims.lanes[l.Lane] != nil {
			if l.Due, ok, err = s.firstUnclaimed(l.Lane); err != nil {
				return nil, err
			}
		}
		if ok {
			left = append(left, l)
		}
	}
	return left, nil
}

// allLanes reads nothing but the index.
func (s *Store) allLanes() ([]store.LaneDue, error) {
	rows, err := s.query(lanesQuery)
	if err != nil {
		return nil, fmt.Errorf("list lanes: %w", err)
	}
	all, err := collect(rows, func(l *store.LaneDue) error { return scanLane(rows, l) })
	if err != nil {
		return nil, fmt.Errorf("list lanes: %w", err)
	}
	return all, nil
}

const lanesQuery = `
	SELECT ` + laneColumns + `, MIN(due)
	FROM queue INDEXED BY queue_lane
	WHERE hold = 0
	GROUP BY ` + laneColumns

// firstUnclaimed returns when the first item of a lane that nobody has claimed
// comes due, or false if there is none.
func (s *Store) firstUnclaimed(lane store.Lane) (at time.Time, ok bool, err error) {
	rows, err := s.query(`
		SELECT id, due
		FROM queue INDEXED BY queue_lane
		WHERE hold = 0 AND domain = ? AND account = ? AND origin = ? AND class = ?
		ORDER BY due, id`, lane.Domain, lane.Account, lane.Origin, lane.Class)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("find first of lane: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id store.QueueID
		var due int64
		if err := rows.Scan(&id, &due); err != nil {
			return time.Time{}, false, fmt.Errorf("find first of lane: %w", err)
		}
		if !s.claims.has(id) {
			return fromMicros(due), true, nil
		}
	}
	return time.Time{}, false, rows.Err()
}

// lanesOf returns the lanes of some rows that may be claimed, inside a change.
// where follows "FROM queue WHERE hold = 0 AND".
func lanesOf(tx *tx, where string, args ...any) ([]store.LaneDue, error) {
	rows, err := tx.query(`
		SELECT `+laneColumns+`, MIN(due)
		FROM queue
		WHERE hold = 0 AND `+where+`
		GROUP BY `+laneColumns, args...)
	if err != nil {
		return nil, fmt.Errorf("find lanes: %w", err)
	}
	return collect(rows, func(l *store.LaneDue) error { return scanLane(rows, l) })
}

// A position in a lane: its rows are ordered by due and id.
type position struct {
	due int64
	id  store.QueueID
}

// start is before every row.
var start = position{due: math.MinInt64}
