package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"postroom/store"
)

// nearLimit is how many percent of a limit have to be used for a notice;
// noticeEvery is the least time between two that say the same.
const (
	nearLimit   = 80
	noticeEvery = 24 * time.Hour
)

// A noticeKey names who is told about whose limits.
type noticeKey struct {
	store.Owner
	admins bool
}

// A noticeState says when somebody was told, and whether the limit hasn't been
// near at some time since.
type noticeState struct {
	told  time.Time
	below bool
}

// isNear reports whether a limit of an owner is near, and nobody has been told
// yet.
func (m *meter) isNear(owner store.Owner, w *window) bool {
	near := false
	for i, l := range m.allowance(owner).Limits() {
		u := store.LimitUse{Limit: l, Used: w.sums[i%2][i/2]}
		near = near || u.Reaches(nearLimit)
	}
	return near && (m.told[noticeKey{owner, true}] == noticeState{})
}

// LimitNotices returns the notices that are owed now: one to an account and one to
// the admins when 80 % of a limit are used. The next ones come after a day at the
// earliest, and only if less was used meanwhile.
func (s *Store) LimitNotices(ctx context.Context) ([]store.LimitNotice, error) {
	now := s.now()
	if err := s.noteBelow(ctx, s.meter.changedNotices(now)); err != nil {
		return nil, fmt.Errorf("note who is below a limit: %w", err)
	}
	var owed []store.LimitNotice
	for _, n := range s.meter.owedNotices(now) {
		n, err := s.addressed(n)
		if err != nil {
			return nil, fmt.Errorf("address a notice: %w", err)
		}
		if len(n.To) > 0 {
			owed = append(owed, n)
		}
	}
	return owed, nil
}

// changedNotices returns the notices whose state isn't right any more, with the
// new one; the zero state means that nothing need be remembered.
func (m *meter) changedNotices(now time.Time) map[noticeKey]noticeState {
	m.mu.Lock()
	defer m.mu.Unlock()
	changed := make(map[noticeKey]noticeState)
	for key, state := range m.told {
		below := state.below || !nearest(m.look(key.Owner, minuteOf(now))).Reaches(nearLimit)
		switch {
		case below && now.Sub(state.told) >= noticeEvery:
			changed[key] = noticeState{}
		case below != state.below:
			changed[key] = noticeState{state.told, true}
		}
	}
	return changed
}

// owedNotices returns the notices that are owed, without those who get them.
func (m *meter) owedNotices(now time.Time) (owed []store.LimitNotice) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for owner := range m.sent {
		sending := m.look(owner, minuteOf(now))
		use := nearest(sending)
		if !use.Reaches(nearLimit) {
			continue
		}
		for _, admins := range []bool{false, true} {
			if _, told := m.told[noticeKey{owner, admins}]; !told && (admins || owner.Scope == store.AccountScope) {
				owed = append(owed, store.LimitNotice{Owner: owner, Admins: admins, Use: use})
			}
		}
	}
	return owed
}

// nearest returns the limit of which the largest part is used.
func nearest(sending store.Sending) store.LimitUse {
	return slices.MaxFunc(sending.Uses[:], func(a, b store.LimitUse) int {
		part := func(u store.LimitUse) float64 {
			if u.Most <= 0 {
				return -1
			}
			return float64(u.Used) / float64(u.Most)
		}
		switch pa, pb := part(a), part(b); {
		case pa < pb:
			return -1
		case pa > pb:
			return 1
		}
		return 0
	})
}

// addressed finds those who get a notice: the account, if it may send at all, or
// the admins. An admin isn't told twice of a limit of its own.
func (s *Store) addressed(n store.LimitNotice) (store.LimitNotice, error) {
	account := int64(0)
	if n.Owner.Scope == store.AccountScope {
		account = n.Owner.ID
	}
	var err error
	if n.Name, err = ownerName(s, n.Owner); err != nil {
		if errors.Is(err, store.ErrNotFound) { // it is being removed
			err = nil
		}
		return store.LimitNotice{}, err
	}
	rows, err := s.query(`
		SELECT a.id, a.local, d.name
		FROM account AS a
		JOIN domain AS d ON d.id = a.domain
		WHERE a.disabled = 0
			AND IIF(?1, a.admin = 1 AND a.id <> ?2, a.id = ?2)
		ORDER BY a.id`, n.Admins, account)
	if err != nil {
		return store.LimitNotice{}, err
	}
	n.To, err = collect(rows, func(d *store.LocalDelivery) error {
		return rows.Scan(&d.Account, &d.Recipient.Local, &d.Recipient.Domain)
	})
	return n, err
}

// noteBelow keeps the new state of notices.
func (s *Store) noteBelow(ctx context.Context, changed map[noticeKey]noticeState) error {
	if len(changed) == 0 {
		return nil // the usual case: no change for the writer
	}
	return s.write(ctx, 0, func(tx *tx) error {
		for key, state := range changed {
			if err := s.keepNotice(tx, key, state); err != nil {
				return err
			}
		}
		return nil
	})
}

// noteLimit marks a limit notice as sent, together with its acceptance.
func (p *pending) noteLimit(tx *tx) error {
	n := p.a.LimitNotice
	if n == nil {
		return nil
	}
	return p.s.keepNotice(tx, noticeKey{n.Owner, n.Admins}, noticeState{told: p.a.At})
}

func (s *Store) keepNotice(tx *tx, key noticeKey, state noticeState) (err error) {
	if state == (noticeState{}) {
		_, err = tx.exec(`DELETE FROM allowance_notice WHERE scope = ? AND owner = ? AND admins = ?`, key.Scope, key.ID, key.admins)
	} else {
		_, err = tx.exec(`
			REPLACE INTO allowance_notice (scope, owner, admins, told, below)
			VALUES (?, ?, ?, ?, ?)`,
			key.Scope, key.ID, key.admins, micros(state.told), state.below)
	}
	if err != nil {
		return fmt.Errorf("note limit notice: %w", err)
	}
	tx.afterCommit(func() { s.meter.setTold(key, state) })
	return nil
}

func (m *meter) setTold(key noticeKey, state noticeState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if state == (noticeState{}) {
		delete(m.told, key)
	} else {
		m.told[key] = state
	}
}

func (s *Store) loadTold() (map[noticeKey]noticeState, error) {
	rows, err := s.query(`SELECT scope, owner, admins, told, below FROM allowance_notice`)
	if err != nil {
		return nil, err
	}
	type row struct {
		noticeKey
		noticeState
	}
	list, err := collect(rows, func(r *row) error {
		var told int64
		err := rows.Scan(&r.Scope, &r.ID, &r.admins, &told, &r.below)
		r.told = fromMicros(told)
		return err
	})
	told := make(map[noticeKey]noticeState, len(list))
	for _, r := range list {
		told[r.noticeKey] = r.noticeState
	}
	return told, err
}
