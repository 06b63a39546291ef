package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"postroom/store"
	"postroom/store/mail"
)

// queueColumns are what scanQueueItem reads of a row "queue q" and its "message m".
const queueColumns = `
	q.id, q.message, q.sender, q.recipient, q.domain, q.notify, q.orcpt, q.account,
	q.created, q.expires, q.due, q.attempts, q.last_reply, q.cancel, q.delayed, q.origin, q.via, q.report,
	q.hold | IIF(q.class <> 2 AND EXISTS (SELECT 1 FROM pause WHERE pause.domain = q.domain), 8, 0),
	m.sender, m.header_id, m.eight_bit, m.utf8, m.ret, m.envid, m.tls, m.authentic, m.ours, m.size`

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
		items[i].Sending = s.claims.has(items[i].ID)
	}
	return items, nil
}

// scanQueueItem reads the queueColumns of a row.
func scanQueueItem(rows *sql.Rows) (store.QueueItem, error) {
	var i store.QueueItem
	var sender, recipient, via, envelopeSender string
	var created, expires, due int64
	err := rows.Scan(
		&i.ID, &i.Message, &sender, &recipient, &i.Domain, &i.Recipient.Notify, &i.Recipient.Original, &i.Account,
		&created, &expires, &due, &i.Attempts, &i.LastReply, &i.Cancel, &i.Delayed, &i.Origin, &via, &i.Owed,
		&i.Hold,
		&envelopeSender, &i.HeaderID, &i.Envelope.EightBit, &i.Envelope.UTF8, &i.Envelope.Return, &i.Envelope.ID, &i.Envelope.TLS, &i.Authentic, &i.Ours, &i.Size)
	if err != nil {
		return i, err
	}
	i.Created, i.Expires, i.Due = fromMicros(created), fromMicros(expires), fromMicros(due)
	for _, a := range []struct {
		to   *mail.Address
		text string
	}{{&i.Sender, sender}, {&i.Recipient.Address, recipient}, {&i.Via, via}, {&i.Envelope.Sender, envelopeSender}} {
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
		SELECT at, sender, header_id, eight_bit, utf8, ret, envid, tls, account, size
		FROM message
		WHERE id = ?`, id).Scan(&at, &sender, &m.HeaderID, &m.Envelope.EightBit, &m.Envelope.UTF8, &m.Envelope.Return, &m.Envelope.ID, &m.Envelope.TLS, &m.Account, &m.Size)
	if err != nil {
		return m, fmt.Errorf("message %v: %w", id, noRows(err, store.ErrNotFound))
	}
	m.At = fromMicros(at)
	m.Envelope.Sender, err = parseStored(sender)
	return m, err
}
