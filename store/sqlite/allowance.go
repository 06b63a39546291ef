package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"postroom/store"
	"postroom/store/mail"
)

// SetAllowances says what counts, from now on, where an owner has no limit of its
// own. Before it is called there are none.
func (s *Store) SetAllowances(defaults store.Allowances) {
	m := &s.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	m.defaults = defaults
}

// SetAllowance gives an owner limits of its own, in the place of what it had; with
// the zero Allowance it has none of its own any more. It fails with
// store.ErrNotFound if the owner isn't here.
func (s *Store) SetAllowance(ctx context.Context, owner store.Owner, a store.Allowance) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		tx.afterCommit(func() { s.meter.setOwn(owner, a) })
		if _, err := ownerName(tx, owner); err != nil {
			return err
		}
		if a == (store.Allowance{}) {
			_, err := tx.exec(`DELETE FROM allowance WHERE scope = ? AND owner = ?`, owner.Scope, owner.ID)
			return err
		}
		_, err := tx.exec(`
			REPLACE INTO allowance (scope, owner, messages_per_hour, messages_per_day, recipients_per_hour, recipients_per_day)
			VALUES (?, ?, ?, ?, ?, ?)`,
			owner.Scope, owner.ID, a.MessagesPerHour, a.MessagesPerDay, a.RecipientsPerHour, a.RecipientsPerDay)
		return err
	})
	if err != nil {
		return fmt.Errorf("set allowance: %w", err)
	}
	s.noteUsage()
	return nil
}

func (m *meter) setOwn(owner store.Owner, a store.Allowance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a == (store.Allowance{}) {
		delete(m.own, owner)
	} else {
		m.own[owner] = a
	}
}

// Sending returns how much an owner may send and has sent. It fails with
// store.ErrNotFound if the owner isn't here.
func (s *Store) Sending(_ context.Context, owner store.Owner) (store.Sending, error) {
	name, err := ownerName(s, owner)
	if err != nil {
		return store.Sending{}, fmt.Errorf("find what was sent: %w", err)
	}
	sending := s.meter.sending(owner, minuteOf(s.now()))
	sending.Name = name
	return sending, nil
}

// Sendings returns the same of all owners that have limits of their own, or have
// used so many percent of one, by scope and name.
func (s *Store) Sendings(_ context.Context, percent int64) ([]store.Sending, error) {
	var list []store.Sending
	for _, sending := range s.meter.notable(minuteOf(s.now()), percent) {
		name, err := ownerName(s, sending.Owner)
		if errors.Is(err, store.ErrNotFound) {
			continue // gone; its mail still counts for its domain
		}
		if err != nil {
			return nil, fmt.Errorf("list allowances: %w", err)
		}
		sending.Name = name
		list = append(list, sending)
	}
	slices.SortFunc(list, func(a, b store.Sending) int {
		return cmp.Or(-cmp.Compare(a.Owner.Scope, b.Owner.Scope), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

func (m *meter) sending(owner store.Owner, now int64) store.Sending {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.look(owner, now)
}

// look returns what is known of an owner. The caller has the lock.
func (m *meter) look(owner store.Owner, now int64) store.Sending {
	w := m.window(owner)
	w.advance(now)
	return store.Sending{Owner: owner, Own: m.own[owner], Uses: m.uses(owner, w)}
}

// notable returns the owners that have limits of their own, or have used so many
// percent of one.
func (m *meter) notable(now, percent int64) (list []store.Sending) {
	m.mu.Lock()
	defer m.mu.Unlock()
	owners := slices.Collect(maps.Keys(m.sent))
	for owner := range m.own {
		if m.sent[owner] == nil {
			owners = append(owners, owner)
		}
	}
	for _, owner := range owners {
		sending := m.look(owner, now)
		_, own := m.own[owner]
		if own || slices.ContainsFunc(sending.Uses[:], func(u store.LimitUse) bool { return u.Reaches(percent) }) {
			list = append(list, sending)
		}
	}
	return list
}

// WithinLimits looks, for a session that hasn't got the message yet, whether an
// account may send one to so many recipients at other servers now. It fails with
// a *store.LimitError. Nothing is counted: that is for Accept.
func (s *Store) WithinLimits(_ context.Context, account store.AccountID, recipients int) error {
	who, err := s.sender(account)
	if err != nil {
		return fmt.Errorf("find the limits of account %d: %w", account, err)
	}
	return s.overLimit(s, who, amount{1, int64(recipients)})
}

// overLimit fails with a *store.LimitError if there is no room for so much.
func (s *Store) overLimit(q querier, who sender, n amount) error {
	m := &s.meter
	m.mu.Lock()
	over := m.over(who, n, s.now())
	m.mu.Unlock()
	return named(q, over)
}

// named gives who is over a limit its name; nil is nil.
func named(q querier, over *store.LimitError) error {
	if over == nil {
		return nil
	}
	var err error
	over.Name, err = ownerName(q, over.Owner)
	return errors.Join(err, over)
}

// sender finds the domain of an account, which never changes.
func (s *Store) sender(account store.AccountID) (sender, error) {
	m := &s.meter
	m.mu.Lock()
	domain, ok := m.homes[account]
	m.mu.Unlock()
	if ok {
		return sender{account, domain}, nil
	}
	err := s.queryRow(`SELECT domain FROM account WHERE id = ?`, account).Scan(&domain)
	if err != nil {
		return sender{}, noRows(err, store.ErrNotFound)
	}
	m.mu.Lock()
	m.homes[account] = domain
	m.mu.Unlock()
	return sender{account, domain}, nil
}

// counts reports whether the message is one of our own users for other servers.
func (p *pending) counts() bool {
	return p.a.Origin == store.FromAccount && p.a.Account != 0 && len(p.a.Outbound) > 0
}

func (p *pending) sender(domain store.DomainID) sender { return sender{p.a.Account, domain} }

func (p *pending) amount() amount { return amount{1, int64(len(p.a.Outbound))} }

// countSending counts a message of our own user, of one in the given domain, as far
// as it is for other servers.
func (p *pending) countSending(tx *tx, domain store.DomainID) error {
	if !p.counts() {
		return nil
	}
	m := &p.s.meter
	c, over := m.count(p.sender(domain), p.amount(), p.s.now())
	if over != nil {
		return named(tx, over)
	}
	tx.onUndo(func() { m.takeBack(c) })
	if c.near {
		tx.afterCommit(p.s.noteUsage)
	}
	return nil
}

// writeSending puts what a batch has counted into its transaction.
func (s *Store) writeSending(tx *tx) error {
	for _, row := range s.meter.written() {
		_, err := tx.exec(`
			REPLACE INTO sending (minute, account, domain, messages, recipients)
			VALUES (?, ?, ?, ?, ?)`,
			row.minute, row.account, row.domain, row.amount[messages], row.amount[recipients])
		if err != nil {
			return fmt.Errorf("count what is sent: %w", err)
		}
	}
	return nil
}

// ownerName returns the name of an owner, empty for the server, or fails with
// store.ErrNotFound.
func ownerName(q querier, owner store.Owner) (string, error) {
	switch owner.Scope {
	case store.ServerScope:
		return "", nil
	case store.DomainScope:
		return oneName(q, `SELECT '', name FROM domain WHERE id = ? AND backup = 0`, owner.ID)
	}
	return oneName(q, `SELECT a.local, d.name FROM account AS a JOIN domain AS d ON d.id = a.domain WHERE a.id = ?`, owner.ID)
}

func oneName(q querier, query string, id int64) (string, error) {
	rows, err := q.query(query, id)
	if err != nil {
		return "", err
	}
	names, err := collect(rows, func(a *mail.Address) error { return rows.Scan(&a.Local, &a.Domain) })
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", store.ErrNotFound
	case names[0].Local == "":
		return names[0].Domain, nil
	}
	return names[0].String(), nil
}
