package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// claims are the queue items that somebody works on. They live in memory: a
// crash may cost a duplicate, never a loss. Claim reads the queue while it holds
// the lock, and a claim ends only after its outcome is committed; so an item that
// has been sent can't be claimed from an older view of the queue.
type claims struct {
	mu    sync.Mutex
	items map[store.QueueID]bool
}

func (c *claims) end(outcomes []store.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range outcomes {
		delete(c.items, o.Item)
	}
}

const queueColumns = `
	q.id, q.message, q.sender, q.recipient, q.domain, q.notify, q.orcpt, q.account,
	q.created, q.expires, q.due, q.attempts, q.last_reply, q.hold, q.cancel, q.delayed,
	m.sender, m.header_id, m.eight_bit, m.utf8, m.ret, m.envid, m.size`

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
		if !s.claims.items[item.ID] {
			item.Sending = true
			items = append(items, item)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	for _, item := range items {
		s.claims.items[item.ID] = true
	}
	return items, nil
}

// Withdrawn returns those of some claimed items that are not to be sent any more:
// they were cancelled, held or returned since. Their claims last until they are
// settled as interrupted.
func (s *Store) Withdrawn(ctx context.Context, items []store.QueueID) ([]store.QueueID, error) {
	list, err := json.Marshal(items)
	if err != nil {
		return nil, fmt.Errorf("find withdrawn items: %w", err)
	}
	rows, err := s.query(`
		SELECT value
		FROM json_each(?)
		WHERE NOT EXISTS (SELECT 1 FROM queue WHERE id = value AND hold = 0 AND NOT cancel)`, string(list))
	if err != nil {
		return nil, fmt.Errorf("find withdrawn items: %w", err)
	}
	return collect(rows, func(id *store.QueueID) error { return rows.Scan(id) })
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
		if !s.claims.items[id] {
			return fromMicros(due), true, nil
		}
	}
	return time.Time{}, false, rows.Err()
}

// QueueChanged signals, at least once after each commit that adds or hastens an
// item, that Claim may have something new.
func (s *Store) QueueChanged() <-chan struct{} { return s.queueChanged }

// wakeQueue signals QueueChanged.
func (s *Store) wakeQueue() {
	select {
	case s.queueChanged <- struct{}{}:
	default:
	}
}

// Queue lists queue items, in the order in which they came in.
func (s *Store) Queue(ctx context.Context, f store.QueueFilter) ([]store.QueueItem, error) {
	where, args := queueWhere(f)
	if f.Limit == 0 {
		f.Limit = -1
	}
	rows, err := s.reader().QueryContext(ctx, `
		SELECT `+queueColumns+`
		FROM queue q JOIN message m ON m.id = q.message
		WHERE `+where+`
		ORDER BY q.id
		LIMIT ?`, append(args, f.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("list queue: %w", err)
	}
	defer rows.Close()
	items := []store.QueueItem{}
	for rows.Next() {
		item, err := scanQueueItem(rows)
		if err != nil {
			return nil, fmt.Errorf("list queue: %w", err)
		}
		items = append(items, item)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list queue: %w", err)
	}
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	for i := range items {
		items[i].Sending = s.claims.items[items[i].ID]
	}
	return items, nil
}

// queueWhere turns a filter into a condition on "queue q".
func queueWhere(f store.QueueFilter) (where string, args []any) {
	conditions := []string{"1"}
	add := func(condition string, arg any) {
		conditions = append(conditions, condition)
		args = append(args, arg)
	}
	if f.Message != 0 {
		add("q.message = ?", f.Message)
	}
	if f.Domain != "" {
		add("q.domain = ?", f.Domain)
	}
	if f.Sender != "" {
		add("lower(q.sender) = ?", f.Sender)
	}
	if f.Account != 0 {
		add("q.account = ?", f.Account)
	}
	return strings.Join(conditions, " AND "), args
}

// scanQueueItem reads the queueColumns of a row.
func scanQueueItem(rows *sql.Rows) (store.QueueItem, error) {
	var i store.QueueItem
	var sender, recipient, envelopeSender string
	var created, expires, due int64
	err := rows.Scan(
		&i.ID, &i.Message, &sender, &recipient, &i.Domain, &i.Recipient.Notify, &i.Recipient.Original, &i.Account,
		&created, &expires, &due, &i.Attempts, &i.LastReply, &i.Hold, &i.Cancel, &i.Delayed,
		&envelopeSender, &i.HeaderID, &i.Envelope.EightBit, &i.Envelope.UTF8, &i.Envelope.Return, &i.Envelope.ID, &i.Size)
	if err != nil {
		return i, err
	}
	i.Created, i.Expires, i.Due = fromMicros(created), fromMicros(expires), fromMicros(due)
	for _, a := range []struct {
		to   *mail.Address
		text string
	}{{&i.Sender, sender}, {&i.Recipient.Address, recipient}, {&i.Envelope.Sender, envelopeSender}} {
		if *a.to, err = parseStored(a.text); err != nil {
			return i, err
		}
	}
	return i, nil
}

// parseStored is the inverse of mail.Address.String.
func parseStored(text string) (mail.Address, error) {
	if text == "" {
		return mail.Address{}, nil
	}
	a, err := mail.ParseAddress(text)
	if err != nil {
		return a, fmt.Errorf("stored address %q: %w", text, err)
	}
	return a, nil
}

// Message returns what is known of a message that is still kept. It fails with
// store.ErrNotFound if it isn't.
func (s *Store) Message(ctx context.Context, id store.MessageID) (store.Message, error) {
	m := store.Message{ID: id}
	var at int64
	var sender string
	err := s.queryRow(`
		SELECT at, sender, header_id, eight_bit, utf8, ret, envid, account, size
		FROM message
		WHERE id = ?`, id).Scan(&at, &sender, &m.HeaderID, &m.Envelope.EightBit, &m.Envelope.UTF8, &m.Envelope.Return, &m.Envelope.ID, &m.Account, &m.Size)
	if err != nil {
		return m, fmt.Errorf("message %v: %w", id, noRows(err, store.ErrNotFound))
	}
	m.At = fromMicros(at)
	m.Envelope.Sender, err = parseStored(sender)
	return m, err
}
