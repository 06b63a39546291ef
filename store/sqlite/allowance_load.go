package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postroom/store"
)

// loadMeter reads what was sent in the last day, who has limits of their own and
// who has been told that one is near: at the start, and when the database was
// opened again.
func (s *Store) loadMeter() error {
	sent, err := s.loadSent(minuteOf(s.now()))
	if err != nil {
		return fmt.Errorf("load what was sent: %w", err)
	}
	own, err := s.loadOwn()
	if err != nil {
		return fmt.Errorf("load allowances: %w", err)
	}
	told, err := s.loadTold()
	if err != nil {
		return fmt.Errorf("load notices: %w", err)
	}
	m := &s.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent, m.own, m.told = sent, own, told
	if m.homes == nil {
		m.homes = make(map[store.AccountID]store.DomainID)
	}
	m.unwritten = make(map[sendingKey]struct{})
	return nil
}

func (s *Store) loadSent(now int64) (map[store.Owner]*window, error) {
	rows, err := s.query(`
		SELECT minute, account, domain, messages, recipients
		FROM sending
		WHERE minute BETWEEN ? AND ?
		ORDER BY minute`, now-spans[daily], now+wrongClock)
	if err != nil {
		return nil, err
	}
	kept, err := collect(rows, func(r *sendingRow) error {
		return rows.Scan(&r.minute, &r.account, &r.domain, &r.amount[messages], &r.amount[recipients])
	})
	if err != nil {
		return nil, err
	}
	m := meter{sent: make(map[store.Owner]*window)}
	for _, r := range kept {
		for _, owner := range (sender{r.account, r.domain}).owners() {
			m.window(owner).add(r.minute, r.amount)
		}
	}
	return m.sent, nil
}

func (s *Store) loadOwn() (map[store.Owner]store.Allowance, error) {
	rows, err := s.query(`
		SELECT scope, owner, messages_per_hour, messages_per_day, recipients_per_hour, recipients_per_day
		FROM allowance`)
	if err != nil {
		return nil, err
	}
	type owned struct {
		store.Owner
		store.Allowance
	}
	list, err := collect(rows, func(o *owned) error {
		return rows.Scan(&o.Scope, &o.ID, &o.MessagesPerHour, &o.MessagesPerDay, &o.RecipientsPerHour, &o.RecipientsPerDay)
	})
	own := make(map[store.Owner]store.Allowance, len(list))
	for _, o := range list {
		own[o.Owner] = o.Allowance
	}
	return own, err
}

// expireSending forgets what no limit looks back at any more.
func (s *Store) expireSending(ctx context.Context, now time.Time) error {
	s.meter.sweep(now)
	const old = ` FROM sending WHERE minute < ? OR minute > ?`
	from, to := minuteOf(now)-spans[daily], minuteOf(now.Add(24*time.Hour))
	var n int64
	err := s.queryRow(`SELECT COUNT(*)`+old, from, to).Scan(&n)
	if err == nil && n > 0 {
		err = s.write(ctx, 0, func(tx *tx) error {
			_, err := tx.exec(`DELETE`+old, from, to)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("forget what was sent: %w", err)
	}
	return nil
}

// dropAllowance removes what an owner that is being removed has of its own.
func (s *Store) dropAllowance(tx *tx, owner store.Owner) error {
	tx.afterCommit(func() { s.meter.forget(owner) })
	_, errAllowance := tx.exec(`DELETE FROM allowance WHERE scope = ? AND owner = ?`, owner.Scope, owner.ID)
	_, errNotice := tx.exec(`DELETE FROM allowance_notice WHERE scope = ? AND owner = ?`, owner.Scope, owner.ID)
	return errors.Join(errAllowance, errNotice)
}
