package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"postroom/store"
)

// claims are the queue items that somebody works on. They live in memory: a
// crash may cost a duplicate, never a loss. A claim reads the queue while it holds
// the lock, and ends only after its outcome is committed; so an item that has been
// sent can't be claimed from an older view of the queue.
//
// Of each lane with claims it is known up to where all rows are claimed, so that
// they aren't read again. Whatever comes to stand before that point later is
// news: it is told after its commit, or after its claim's end, and the next claim
// begins there. Until then it may be passed over, and not longer.
//
// Whatever may withdraw claimed items holds the lock until it is durable, and
// begins a new era. So what was claimed in this era isn't withdrawn, and nobody
// needs to ask the database.
//
// The writers of items and era hold eras too, for a moment: who asks what was
// withdrawn doesn't wait for those who read the queue.
type claims struct {
	mu    sync.Mutex
	eras  sync.RWMutex
	items map[store.QueueID]claim
	lanes map[store.Lane]*laneClaims // those with claims
	era   int64
}

type claim struct {
	lane *laneClaims
	era  int64
}

// count returns how many items are claimed.
func (c *claims) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(len(c.items))
}

type laneClaims struct {
	lane   store.Lane
	n      int
	passed position // the rows up to here are claimed
}

// begin claims items.
func (c *claims) begin(items []store.QueueItem) {
	c.eras.Lock()
	defer c.eras.Unlock()
	for i := range items {
		items[i].Sending = true
		lane := items[i].Lane()
		l := c.lanes[lane]
		if l == nil {
			l = &laneClaims{lane: lane, passed: start}
			c.lanes[lane] = l
		}
		l.n++
		c.items[items[i].ID] = claim{l, c.era}
	}
}

// end ends the claims of what is settled.
func (c *claims) end(outcomes []store.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eras.Lock()
	defer c.eras.Unlock()
	for _, o := range outcomes {
		l := c.items[o.Item].lane
		if l == nil {
			continue
		}
		delete(c.items, o.Item)
		if l.n--; l.n == 0 {
			delete(c.lanes, l.lane)
		}
	}
}

// onPaper returns which of some items were claimed as Paperwork.
func (c *claims) onPaper(outcomes []store.Outcome) map[store.QueueID]bool {
	c.eras.RLock()
	defer c.eras.RUnlock()
	var list map[store.QueueID]bool
	for _, o := range outcomes {
		if l := c.items[o.Item].lane; l != nil && l.lane.Class == store.Paperwork {
			if list == nil {
				list = make(map[store.QueueID]bool)
			}
			list[o.Item] = true
		}
	}
	return list
}

// now returns the era.
func (c *claims) now() int64 {
	c.eras.RLock()
	defer c.eras.RUnlock()
	return c.era
}

// has reports whether an item is claimed.
func (c *claims) has(id store.QueueID) bool { return c.items[id].lane != nil }

// lockToWithdraw takes the lock for a change that may withdraw claimed items. The
// new era begins with its end, whether it fails or not: what a failed commit has
// done nobody knows.
func (c *claims) lockToWithdraw() (unlock func()) {
	c.mu.Lock()
	return func() {
		c.eras.Lock()
		c.era++
		c.eras.Unlock()
		c.mu.Unlock()
	}
}

// old returns those of some items that were claimed before this era.
func (c *claims) old(items []store.QueueID) (old []store.QueueID) {
	c.eras.RLock()
	defer c.eras.RUnlock()
	for _, id := range items {
		if k := c.items[id]; k.lane == nil || k.era != c.era {
			old = append(old, id)
		}
	}
	return old
}

// rewind moves cursors back to what has come before them.
func (c *claims) rewind(entered map[store.Lane]int64) {
	for lane, l := range c.lanes {
		if due, ok := entered[lane]; ok && due <= l.passed.due {
			l.passed = position{due: due}
		}
	}
}

// passed returns up to where all of a lane is claimed.
func (c *claims) passed(lane store.Lane) position {
	if l := c.lanes[lane]; l != nil {
		return l.passed
	}
	return start
}

// pass notes up to where all of a lane is claimed.
func (c *claims) pass(lane store.Lane, to position) {
	if l := c.lanes[lane]; l != nil {
		l.passed = to
	}
}

// ClaimLane returns due items of a lane, the longest due first, and keeps them
// from other claims until they are settled. Nothing of a paused domain is claimed
// but Paperwork; such a claim has no Next either, Changes tells of the lane again
// when the domain is resumed. The same goes for accounts that are disabled.
// Together must be quick and must not call the store.
func (s *Store) ClaimLane(_ context.Context, c store.LaneClaim) (store.Claimed, error) {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	s.claims.rewind(s.news.takeEntered())
	b := newBatch(c)
	if c.Lane.Class != store.Paperwork && (s.paused.has(c.Lane.Domain) || s.suspended.has(c.Lane.Account)) {
		return store.Claimed{}, nil
	}
	if left, ok := s.arrivals.take(b, s.claims.now()); ok {
		claimed := store.Claimed{Items: b.items()}
		if left != nil {
			claimed.Next = left.Due
		}
		s.claims.begin(claimed.Items)
		return claimed, nil
	}
	return s.claimFromQueue(b)
}

func (s *Store) claimFromQueue(b *batch) (store.Claimed, error) {
	c := b.claim
	turn, calm := s.arrivals.calm(c.Lane)
	next, passed, err := s.claimFirst(b)
	if err == nil {
		err = s.claimRest(b)
	}
	if err != nil {
		return store.Claimed{}, fmt.Errorf("claim: %w", err)
	}
	items := b.items()
	s.claims.begin(items)
	if c.Late != nil || c.Together != nil {
		s.arrivals.wet(lanesOfItems(items)) // they may be there too
	}
	if c.Late == nil {
		s.claims.pass(c.Lane, passed)
	}
	if c.Late == nil && calm && next.IsZero() {
		s.arrivals.dry(c.Lane, turn)
	}
	return store.Claimed{Items: items, Next: next}, nil
}

// lanesOfItems returns the lanes of items.
func lanesOfItems(items []store.QueueItem) []store.LaneDue {
	list := make([]store.LaneDue, len(items))
	for i, item := range items {
		list[i].Lane = item.Lane()
	}
	return list
}

// claimable selects what is not held. If ?2 isn't null it narrows that to what is
// late at ?1: what has expired, and what came in by ?2 and whose sender is to be
// told and hasn't been.
const claimable = `
	WHERE q.hold = 0
		AND (?2 IS NULL OR q.expires <= ?1
			OR q.created <= ?2 AND NOT q.delayed AND q.sender <> '' AND (q.notify = 0 OR q.notify & 8))`

// laneRows selects a lane's rows after a position, in their order.
const laneRows = `
	SELECT ` + queueColumns + `
	FROM queue q INDEXED BY queue_lane
	CROSS JOIN message m ON m.id = q.message` + claimable + `
		AND q.domain = ?3 AND q.account = ?4 AND q.origin = ?5 AND q.class = ?6
		AND (q.due, q.id) > (?7, ?8)
	ORDER BY q.due, q.id`

// claimFirst takes what there is in the lane itself, as far as the batch has
// room. It returns when the first row that is left comes due, and up to where
// all are claimed.
func (s *Store) claimFirst(b *batch) (next time.Time, passed position, err error) {
	l, now, late := b.claim.Lane, micros(b.claim.Now), b.lateSince()
	if passed = s.claims.passed(l); late != nil {
		passed = start
	}
	rows, err := s.query(laneRows, now, late, l.Domain, l.Account, l.Origin, l.Class, passed.due, passed.id)
	if err != nil {
		return next, passed, err
	}
	defer rows.Close()
	for rows.Next() {
		item, err := scanQueueItem(rows)
		if err != nil {
			return next, passed, err
		}
		if !s.claims.has(item.ID) {
			if item.Hold != 0 { // the domain is paused
				return next, passed, nil
			}
			if !b.due(item) || !b.take(item) {
				return item.Due, passed, nil
			}
		}
		passed = position{micros(item.Due), item.ID}
	}
	return next, passed, rows.Err()
}

// messageRows selects a message's rows.
const messageRows = `
	SELECT ` + queueColumns + `
	FROM queue q INDEXED BY queue_message
	CROSS JOIN message m ON m.id = q.message` + claimable + `
		AND q.message = ?3`

// claimRest takes what else is due of the messages that are in the batch: other
// lanes' items, if the claim asks for them, and what a lane's order has torn
// apart. Fresh items of a message stand together.
func (s *Store) claimRest(b *batch) error {
	c := b.claim
	if c.Together == nil && c.Lane.Class == store.Fresh {
		return nil
	}
	query, args := messageRows, []any{micros(c.Now), b.lateSince(), nil}
	if c.Together == nil {
		query, args = messageRows+` AND q.domain = ?4`, append(args, c.Lane.Domain)
	}
	for _, message := range b.messages() {
		args[2] = message
		rows, err := s.query(query, args...)
		if err == nil {
			err = s.takeRest(b, rows)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) takeRest(b *batch, rows *sql.Rows) error {
	defer rows.Close()
	for rows.Next() {
		item, err := scanQueueItem(rows)
		if err != nil {
			return err
		}
		if !s.claims.has(item.ID) && item.Hold == 0 && b.due(item) && b.wants(item) {
			b.take(item)
		}
	}
	return rows.Err()
}

// Withdrawn returns those of some claimed items that are not to be sent any more:
// they were cancelled, held or returned since, or their domain was paused. Their
// claims last until they are settled as interrupted. What was claimed as Paperwork
// is withdrawn only if it was cancelled or held.
func (s *Store) Withdrawn(_ context.Context, items []store.QueueID) ([]store.QueueID, error) {
	if items = s.claims.old(items); len(items) == 0 {
		return nil, nil
	}
	list, err := s.claimedAs(items)
	if err != nil {
		return nil, fmt.Errorf("find withdrawn items: %w", err)
	}
	rows, err := s.query(`
		SELECT value ->> 0
		FROM json_each(?)
		WHERE NOT EXISTS (
			SELECT 1
			FROM queue
			WHERE id = value ->> 0 AND hold = 0 AND (class = 2) = (value ->> 1)
				AND (class = 2 OR NOT EXISTS (SELECT 1 FROM pause WHERE domain = queue.domain)
					AND NOT EXISTS (SELECT 1 FROM account WHERE id = queue.account AND disabled)))`, list)
	if err != nil {
		return nil, fmt.Errorf("find withdrawn items: %w", err)
	}
	return collect(rows, func(id *store.QueueID) error { return rows.Scan(id) })
}
