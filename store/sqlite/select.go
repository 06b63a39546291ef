package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"postroom/store"
)

// changeAtOnce bounds how many items one change of the queue changes: accepting
// mail waits for each. With 500 a change of 100,000 takes as long as with 2,000, and
// a session waits for its 250 a third of the time (BenchmarkChangeLongQueue).
const changeAtOnce = 500

// A queueChange is what the admin does to items.
type queueChange struct {
	kind      store.Kind // of the event
	where     string     // which items of "queue q" it would change
	statement string     // up to WHERE, with the time as ?1
	hasten    bool
}

// RetryQueue makes items due now and returns how many. What is held stays as it is.
func (s *Store) RetryQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	return s.changeQueue(ctx, f, queueChange{store.Hastened, `q.hold = 0`, `UPDATE queue AS q SET due = ?1`, true})
}

// HoldQueue keeps items from being sent until they are released.
func (s *Store) HoldQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	return s.changeQueue(ctx, f, queueChange{store.Held, `NOT q.hold & 1`, `UPDATE queue AS q SET hold = hold | 1`, false})
}

// ReleaseQueue ends what HoldQueue and a restore did. An item whose submitter is
// disabled stays held for that reason.
func (s *Store) ReleaseQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	return s.changeQueue(ctx, f, queueChange{store.Released, `q.hold & 5`, `UPDATE queue AS q SET hold = hold & ~5, due = ?1`, false})
}

// ReturnQueue has items returned to their senders: they become due, held or not,
// and the next claim shows them with Cancel set.
func (s *Store) ReturnQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	return s.changeQueue(ctx, f, queueChange{store.Cancelled, `1`, `UPDATE queue AS q SET cancel = 1, class = 2, hold = 0, due = ?1`, false})
}

// CancelQueue drops items; nobody is told.
func (s *Store) CancelQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	n, err := s.changeQueue(ctx, f, queueChange{store.Cancelled, `1`, `DELETE FROM queue AS q`, false})
	s.reapSoon()
	return n, err
}

// changeQueue changes the items that a filter selects at the moment, its Limit
// aside, and writes an event for each of them. It takes several commits if they
// are many, tells its progress, and returns how many are changed, even if it fails on
// the way or ctx ends. Whoever has claimed an item asks Withdrawn before sending it.
func (s *Store) changeQueue(ctx context.Context, f store.QueueFilter, c queueChange) (total int64, err error) {
	ids, err := s.selectItems(ctx, f)
	if err != nil {
		return 0, fmt.Errorf("change queue: %w", err)
	}
	done, all := int64(0), int64(len(ids))
	for part := range slices.Chunk(ids, changeAtOnce) {
		store.TellProgress(ctx, done, all)
		n, err := s.changeItems(ctx, part, c)
		if err == nil {
			total, done = total+n, done+int64(len(part))
			err = ctx.Err()
		}
		if err != nil && done < all {
			store.TellProgress(ctx, done, all)
			return total, fmt.Errorf("change queue: %w", err)
		}
	}
	store.TellProgress(ctx, done, all)
	return total, nil
}

// selectItems returns the ids of the items that a filter selects. What it asks of
// them never changes, but for whether they are held and what their last reply is.
func (s *Store) selectItems(ctx context.Context, f store.QueueFilter) ([]store.QueueID, error) {
	where, args := queueWhere(f)
	rows, err := s.reader().QueryContext(ctx, `SELECT q.id FROM queue q WHERE `+where+` ORDER BY q.id`, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(id *store.QueueID) error { return rows.Scan(id) })
}

// changeItems changes some items in one commit.
func (s *Store) changeItems(ctx context.Context, ids []store.QueueID, c queueChange) (n int64, err error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return 0, err
	}
	// Claims wait until the change is durable: an item must not be claimed from a
	// view of the queue in which it isn't cancelled yet.
	defer s.claims.lockToWithdraw()()
	var lanes []store.LaneDue
	err = s.write(ctx, int64(256*len(ids)), func(tx *tx) (err error) {
		n, lanes, err = c.apply(tx, string(list), micros(s.now()))
		tx.touched = n
		return err
	})
	if err != nil {
		return 0, err
	}
	for i := range lanes {
		lanes[i].Hasten = c.hasten
	}
	s.announce(lanes)
	return n, nil
}

// removes reports whether messages may lose a reference.
func (c queueChange) removes() bool { return strings.HasPrefix(c.statement, "DELETE") }

// apply changes the items of a list, in JSON, as far as they are still as the
// change wants them. It returns how many it has changed and in which lanes they
// may be claimed now.
func (c queueChange) apply(tx *tx, list string, now int64) (n int64, lanes []store.LaneDue, err error) {
	selected := ` WHERE q.id IN (SELECT value FROM json_each(?2)) AND ` + c.where
	_, err = tx.exec(`
		INSERT INTO event (trail, seq, at, kind, recipient, detail)
		SELECT message,
			(SELECT COALESCE(MAX(seq), -1) FROM event WHERE trail = q.message)
				+ row_number() OVER (PARTITION BY message ORDER BY id),
			?1, ?3, recipient, ''
		FROM queue q`+selected, now, list, string(c.kind))
	if err == nil && c.removes() {
		_, err = tx.exec(`
			INSERT OR IGNORE INTO reap (message)
			SELECT message FROM queue WHERE id IN (SELECT value FROM json_each(?))`, list)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("trace: %w", err)
	}
	result, err := tx.exec(c.statement+selected+` AND ?1`, now, list)
	if err != nil {
		return 0, nil, err
	}
	if n, err = result.RowsAffected(); err != nil {
		return 0, nil, err
	}
	lanes, err = lanesOf(tx, `id IN (SELECT value FROM json_each(?))`, list)
	return n, lanes, err
}

// queueWhere turns a filter, its Limit aside, into a condition on "queue q".
// Reports that are owed are never selected.
func queueWhere(f store.QueueFilter) (where string, args []any) {
	conditions := []string{"q.report = 0"}
	add := func(condition string, arg ...any) {
		conditions = append(conditions, condition)
		args = append(args, arg...)
	}
	if f.After != 0 {
		add("q.id > ?", f.After)
	}
	if f.Message != 0 {
		add("q.message = ?", f.Message)
	}
	if f.Messages != nil {
		ids, _ := json.Marshal(idList(f.Messages)) // numbers don't fail
		add("q.message IN (SELECT value FROM json_each(?))", string(ids))
	}
	if f.Domain != "" {
		add(atDomain, f.Domain, f.After, f.Domain, f.After)
	}
	if f.Sender != "" {
		add(sentBy, "a:"+f.Sender, f.Sender)
	}
	if f.Account != 0 {
		add("q.account <> 0 AND q.account = ?", f.Account) // the first is for the index
	}
	if f.Held {
		add(isHeld)
	}
	if !f.Before.IsZero() {
		add("q.created < ?", micros(f.Before))
	}
	if f.Reply != "" {
		add("instr(lower(q.last_reply), ?)", strings.ToLower(f.Reply))
	}
	return strings.Join(conditions, " AND "), args
}

// An item is either in queue_lane or in queue_held: no index of its own for the
// domain makes accepting mail slower.
const (
	atDomain = `q.id IN (
		SELECT id FROM queue INDEXED BY queue_lane WHERE hold = 0 AND domain = ? AND id > ?
		UNION ALL
		SELECT id FROM queue INDEXED BY queue_held WHERE hold <> 0 AND domain = ? AND id > ?)`
	isHeld = `q.id IN (
		SELECT id FROM queue INDEXED BY queue_held WHERE hold <> 0
		UNION ALL
		SELECT id FROM queue INDEXED BY queue_lane WHERE hold = 0 AND class <> 2 AND domain IN (SELECT domain FROM pause))`
)

// sentBy selects by the envelope's sender. It looks among the messages whose
// trails are found by that address, and those whose trails can't be found yet.
const sentBy = `q.message IN (
	SELECT id
	FROM message
	WHERE id IN (SELECT trail FROM trail_key WHERE key = ? UNION ALL SELECT trail FROM trail_new)
		AND lower(sender) = ?)`
