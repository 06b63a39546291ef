package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// Accept makes a message durable: its body once, an entry for each maildrop, a
// queue item for each remote recipient, and the trace of all that, in one
// commit. When it returns nil, the client may be told 250. It fails with
// store.ErrDisabled if the submitting account has been disabled, with
// store.ErrNoDevice if the client was a device of it and is none any more, with
// store.ErrNotFound if it is a vacation notice that isn't owed, with a
// *store.LimitError if the account, its domain or the server has sent enough to
// other servers for now, and with store.ErrDiskFull below the disk reserve.
func (s *Store) Accept(ctx context.Context, a store.Acceptance) error {
	if s.Full() {
		return store.ErrDiskFull
	}
	p, err := s.prepare(ctx, a)
	if err != nil {
		return err
	}
	s.arrivals.expect(p.lanes)
	p.expected = true
	if err := s.write(ctx, p.weight(), p.apply); err != nil {
		s.arrivals.fail(p.lanes)
		p.body.abandon()
		return fmt.Errorf("accept message: %w", err)
	}
	return nil
}

// WouldAccept fails as Accept would, and accepts and counts nothing. What can only
// go wrong by our own trouble isn't tried.
func (s *Store) WouldAccept(ctx context.Context, a store.Acceptance) error {
	if s.Full() {
		return store.ErrDiskFull
	}
	p := &pending{s: s, a: a}
	err := s.write(ctx, 0, func(tx *tx) error {
		domain, err := p.mayBeSent(tx)
		if err != nil || !p.counts() {
			return err
		}
		return s.overLimit(tx, p.sender(domain), p.amount())
	})
	if err != nil {
		return fmt.Errorf("accept message: %w", err)
	}
	return nil
}

// A pending is an acceptance of which all that is slow has been done: its body
// is read, its events are encoded.
type pending struct {
	s          *Store
	a          store.Acceptance
	body       *stagedBody
	recipients string // JSON
	events     []eventRow
	lanes      []store.LaneDue // that it comes into
	expected   bool            // by arrivals
	items      []store.QueueItem
}

func (s *Store) prepare(ctx context.Context, a store.Acceptance) (*pending, error) {
	if len(a.Local)+len(a.Outbound) == 0 {
		return nil, errors.New("accept message: it has no recipient")
	}
	a.Local = onceEach(a.Local)
	p := &pending{s: s, a: a, lanes: acceptanceLanes(a)}
	recipients, err := json.Marshal(addressed(a))
	if err != nil {
		return nil, fmt.Errorf("encode recipients: %w", err)
	}
	p.recipients = string(recipients)
	if p.events, err = encodeEvents(acceptanceEvents(a)); err != nil {
		return nil, err
	}
	if p.body, err = s.stage(ctx, a.Body, a.Size); err != nil {
		return nil, err
	}
	return p, nil
}

// weight is about how many octets the committing change writes.
func (p *pending) weight() int64 {
	return p.body.unwritten() + int64(1024+256*(len(p.a.Local)+len(p.a.Outbound)+len(p.a.Owed)))
}

// onceEach drops the later ones of several deliveries into the same maildrop.
func onceEach(local []store.LocalDelivery) []store.LocalDelivery {
	if len(local) < 2 {
		return local
	}
	seen := make(map[store.AccountID]bool, len(local))
	return slices.DeleteFunc(slices.Clone(local), func(d store.LocalDelivery) bool {
		again := seen[d.Account]
		seen[d.Account] = true
		return again
	})
}

// addressed returns the addresses that were given at RCPT, each once.
func addressed(a store.Acceptance) []string {
	var list []string
	add := func(address mail.Address) {
		if t := address.String(); !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	for _, d := range a.Local {
		add(d.Recipient)
	}
	for _, o := range a.Outbound {
		add(given(o))
	}
	for _, o := range a.Owed {
		add(o.Recipient.Address)
	}
	return list
}

// given returns the address that was given at RCPT.
func given(o store.Outbound) mail.Address {
	if o.Via.IsNull() {
		return o.Recipient.Address
	}
	return o.Via
}

// acceptanceEvents returns the first events of a message's trail.
func acceptanceEvents(a store.Acceptance) []store.Event {
	events := make([]store.Event, 0, 1+len(a.Events)+len(a.Local)+len(a.Outbound))
	accepted := a.Accepted
	accepted.Time, accepted.Kind, accepted.Size = a.At, store.Accepted, a.Size
	events = append(events, accepted)
	for _, e := range a.Events {
		if e.Time.IsZero() {
			e.Time = a.At
		}
		events = append(events, e)
	}
	for _, d := range a.Local {
		events = append(events, store.Event{Time: a.At, Kind: store.Delivered, Recipient: d.Recipient.String()})
	}
	for _, o := range a.Outbound {
		events = append(events, store.Event{Time: a.At, Kind: store.Queued, Recipient: o.Recipient.Address.String(), Via: o.Via.String()})
	}
	return events
}

// acceptanceLanes returns the lanes that a message's recipients come into.
func acceptanceLanes(a store.Acceptance) []store.LaneDue {
	if len(a.Outbound)+len(a.Owed) == 0 {
		return nil
	}
	lanes := make([]store.LaneDue, 0, len(a.Outbound)+len(a.Owed))
	add := func(lane store.Lane) {
		lane.Account = a.Account
		if !slices.ContainsFunc(lanes, func(l store.LaneDue) bool { return l.Lane == lane }) {
			lanes = append(lanes, store.LaneDue{Lane: lane, Due: a.At})
		}
	}
	for _, o := range a.Outbound {
		add(store.Lane{Domain: o.Recipient.Address.Domain, Origin: o.Sender.Domain})
	}
	for _, o := range a.Owed {
		add(store.Lane{Domain: o.Recipient.Address.Domain, Origin: a.Envelope.Sender.Domain, Class: store.Paperwork})
	}
	return lanes
}

// apply is the one change by which the message becomes ours.
func (p *pending) apply(tx *tx) error {
	p.items = nil // it may be a second attempt
	domain, err := p.mayBeSent(tx)
	if err != nil {
		return err
	}
	if err := p.countSending(tx, domain); err != nil {
		return err
	}
	if err := p.body.commit(tx); err != nil {
		return err
	}
	if err := p.insertMessage(tx); err != nil {
		return err
	}
	for _, d := range p.a.Local {
		if err := p.deliver(tx, d); err != nil {
			return err
		}
	}
	for _, o := range p.a.Outbound {
		if err := p.enqueue(tx, o); err != nil {
			return err
		}
	}
	for _, o := range p.a.Owed {
		if err := p.owe(tx, o); err != nil {
			return err
		}
	}
	for _, o := range p.a.Answers {
		if err := p.oweAnswer(tx, o); err != nil {
			return err
		}
	}
	if len(p.lanes) > 0 {
		tx.afterCommit(p.arrive)
	}
	if err := p.trace(tx); err != nil {
		return err
	}
	if err := p.noteAnswer(tx); err != nil {
		return err
	}
	if err := p.noteQuota(tx); err != nil {
		return err
	}
	return p.noteLimit(tx)
}

// arrive tells of what is to be sent, once it is durable.
func (p *pending) arrive() {
	p.s.recent.keep(p.a.ID, p.body.small)
	if !p.expected {
		p.s.announce(p.lanes)
		return
	}
	p.s.arrivals.arrive(p.lanes, p.items, p.s.claims.now())
	p.s.tell(p.lanes)
}

// mayBeSent asks again, inside the transaction, whether the submitter may send:
// it may have been disabled since the session looked. It returns the domain that
// the submitter is in.
func (p *pending) mayBeSent(tx *tx) (domain store.DomainID, err error) {
	if p.a.Account == 0 {
		return 0, nil
	}
	var disabled bool
	err = tx.scan(`SELECT disabled, domain FROM account WHERE id = ?`, []any{p.a.Account}, &disabled, &domain)
	switch {
	case err != nil:
		return 0, fmt.Errorf("look up submitter: %w", noRows(err, store.ErrDisabled))
	case disabled:
		return 0, store.ErrDisabled
	case p.a.Device.IsValid() && p.s.devices.of(p.a.Device).Account != p.a.Account:
		return 0, store.ErrNoDevice
	}
	return domain, nil
}

func (p *pending) insertMessage(tx *tx) error {
	e := p.a.Envelope
	_, err := tx.exec(`
		INSERT INTO message (id, at, sender, header_id, eight_bit, utf8, ret, envid, tls, authentic, account, size, first_chunk, chunks, ours)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		p.a.ID, micros(p.a.At), e.Sender.String(), p.a.HeaderID, e.EightBit, e.UTF8, e.Return, e.ID, e.TLS, p.a.Authentic,
		p.a.Account, p.a.Size, p.body.first, p.body.chunks, p.a.Origin == store.FromUs)
	if err != nil {
		return fmt.Errorf("insert message: %w", err)
	}
	return nil
}

func (p *pending) deliver(tx *tx, d store.LocalDelivery) error {
	var uid store.UID
	if _, err := rand.Read(uid[:]); err != nil {
		return fmt.Errorf("make unique-id: %w", err)
	}
	recipient := d.Recipient.String()
	size := p.a.Size + int64(len(retrievalPrefix(p.a.Envelope.Sender.String(), recipient)))
	_, err := tx.exec(`
		INSERT INTO entry (account, message, uid, recipient, size)
		VALUES (?, ?, ?, ?, ?)`,
		d.Account, p.a.ID, uid[:], recipient, size)
	if err != nil {
		return fmt.Errorf("insert entry: %w", err)
	}
	return p.s.addUsage(tx, d.Account, size, 1)
}

// enqueue makes a queue item of a recipient.
func (p *pending) enqueue(tx *tx, o store.Outbound) error {
	expires := o.Expires
	if expires.IsZero() {
		expires = p.a.At.Add(p.s.opts.Expire)
	}
	r := o.Recipient
	query, args := insertItem, []any{
		p.a.ID, o.Sender.String(), r.Address.String(), r.Address.Domain, r.Notify, r.Original,
		p.a.Account, micros(p.a.At), micros(expires), micros(p.a.At), o.Sender.Domain,
	}
	if !o.Via.IsNull() {
		query, args = insertViaItem, append(args, o.Via.String())
	}
	result, err := tx.exec(query, args...)
	if err != nil {
		return fmt.Errorf("insert queue item: %w", err)
	}
	id, err := result.LastInsertId()
	p.items = append(p.items, p.item(store.QueueID(id), o, expires))
	return err
}

// item is the queue item of a recipient, as it would be read from the queue.
func (p *pending) item(id store.QueueID, o store.Outbound, expires time.Time) store.QueueItem {
	at := fromMicros(micros(p.a.At))
	return store.QueueItem{
		ID: id, Message: p.a.ID, Sender: o.Sender, Recipient: o.Recipient, Domain: o.Recipient.Address.Domain,
		Account: p.a.Account, Envelope: p.a.Envelope, HeaderID: p.a.HeaderID, Size: p.a.Size,
		Created: at, Expires: fromMicros(micros(expires)), Due: at,
		Origin: o.Sender.Domain, Via: o.Via, Authentic: p.a.Authentic, Ours: p.a.Origin == store.FromUs,
	}
}

// What few items need is bound for them alone: binding is a good part of the cost.
const (
	insertItem = `
		INSERT INTO queue (message, sender, recipient, domain, notify, orcpt, account, created, expires, due, origin)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertViaItem = `
		INSERT INTO queue (message, sender, recipient, domain, notify, orcpt, account, created, expires, due, origin, via)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertOwedItem = `
		INSERT INTO queue (message, sender, recipient, domain, notify, orcpt, account, created, expires, due, origin, report, class)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 2)`
)

// owe makes a queue item of a report that is owed.
func (p *pending) owe(tx *tx, o store.OwedReport) error {
	at, sender, r := p.a.At, p.a.Envelope.Sender, o.Recipient
	_, err := tx.exec(insertOwedItem,
		p.a.ID, sender.String(), r.Address.String(), r.Address.Domain, r.Notify, r.Original,
		p.a.Account, micros(at), micros(at.Add(p.s.opts.Expire)), micros(at), sender.Domain, o.Kind)
	if err != nil {
		return fmt.Errorf("insert owed report: %w", err)
	}
	return nil
}

// trace writes the message's trail and first events.
func (p *pending) trace(tx *tx) error {
	if err := insertTrail(tx, p.a.ID, micros(p.a.At), p.a.HeaderID, p.a.Envelope.Sender.String(), p.recipients, false); err != nil {
		return err
	}
	if err := insertEvents(tx, p.a.ID, 0, p.events); err != nil {
		return err
	}
	if err := p.s.addTally(tx, "received", 1); err != nil {
		return err
	}
	if n := int64(len(p.a.Local)); n > 0 {
		return p.s.addTally(tx, "delivered", n)
	}
	return nil
}

// noteQuota marks a quota notice as sent, together with its acceptance.
func (p *pending) noteQuota(tx *tx) error {
	n := p.a.QuotaNotice
	if n == nil {
		return nil
	}
	_, err := tx.exec(`UPDATE account SET notice_told = ? WHERE id = ?`, n.Percent, n.Account)
	if err != nil {
		return fmt.Errorf("note quota notice: %w", err)
	}
	return nil
}
