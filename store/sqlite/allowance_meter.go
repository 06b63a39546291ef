package sqlite

import (
	"sync"
	"time"

	"postroom/store"
)

// A meter counts what accounts send to other servers. It knows what is committed
// and what the batch that is being made adds to it; the table sending has what is
// committed. Only the writer's goroutine counts.
type meter struct {
	mu       sync.Mutex
	sent     map[store.Owner]*window
	own      map[store.Owner]store.Allowance
	defaults store.Allowances
	homes    map[store.AccountID]store.DomainID // as far as they have been needed
	told     map[noticeKey]noticeState

	unwritten map[sendingKey]struct{} // cells that the batch has changed
	rows      []sendingRow            // room for them
}

// A sendingKey names a row of the table sending, a sendingRow is one.
type (
	sendingKey struct {
		minute  int64
		account store.AccountID
	}
	sendingRow struct {
		sendingKey
		domain store.DomainID
		amount
	}
)

// A sender is an account in its domain: who a message counts for, besides the
// server.
type sender struct {
	account store.AccountID
	domain  store.DomainID
}

func (s sender) owners() [3]store.Owner {
	return [3]store.Owner{
		{Scope: store.AccountScope, ID: int64(s.account)},
		{Scope: store.DomainScope, ID: int64(s.domain)},
		{Scope: store.ServerScope},
	}
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// A counted is what has been counted of one message: enough to undo it.
type counted struct {
	sender
	amount
	minutes [3]int64 // in the windows of the owners
	near    bool     // somebody is to be told that a limit is near
}

// count counts a message, unless it would go over a limit.
func (m *meter) count(s sender, n amount, now time.Time) (counted, *store.LimitError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if over := m.over(s, n, now); over != nil {
		return counted{}, over
	}
	c := counted{sender: s, amount: n}
	for i, owner := range s.owners() {
		w := m.window(owner)
		c.minutes[i] = w.add(minuteOf(now), n)
		c.near = c.near || m.isNear(owner, w)
	}
	m.homes[s.account] = s.domain
	m.unwritten[sendingKey{c.minutes[0], s.account}] = struct{}{}
	return c, nil
}

// takeBack undoes count.
func (m *meter) takeBack(c counted) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, owner := range c.owners() {
		m.window(owner).takeBack(c.minutes[i], c.amount)
	}
}

// over returns the limit that keeps a message of so much back for the longest
// time, nil if there is room for it.
func (m *meter) over(s sender, n amount, now time.Time) (worst *store.LimitError) {
	for _, owner := range s.owners() {
		w := m.window(owner)
		w.advance(minuteOf(now))
		for i, l := range m.allowance(owner).Limits() {
			counts, per := i/2, i%2
			used := w.sums[per][counts]
			if l.Most <= 0 || used+n[counts] <= l.Most {
				continue
			}
			e := &store.LimitError{Owner: owner, Limit: l, Used: used, Asked: n[counts]}
			if n[counts] <= l.Most {
				e.Frees = fromMinute(w.frees(counts, per, l.Most-n[counts]))
			}
			if worst == nil || later(e.Frees, worst.Frees) {
				worst = e
			}
		}
	}
	return worst
}

// later compares times of which the zero one is never.
func later(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

func fromMinute(minute int64) time.Time {
	if minute == 0 {
		return time.Time{}
	}
	return time.Unix(minute*60, 0).UTC()
}

// window returns the window of an owner.
func (m *meter) window(owner store.Owner) *window {
	w := m.sent[owner]
	if w == nil {
		w = &window{}
		m.sent[owner] = w
	}
	return w
}

// allowance returns what counts for an owner.
func (m *meter) allowance(owner store.Owner) store.Allowance {
	return m.own[owner].Or(m.defaults.Of(owner.Scope))
}

// uses returns how much of each limit of an owner is used.
func (m *meter) uses(owner store.Owner, w *window) (uses [4]store.LimitUse) {
	own := m.own[owner].Limits()
	for i, l := range m.allowance(owner).Limits() {
		counts, per := i/2, i%2
		u := store.LimitUse{Limit: l, Own: own[i].Most != store.Unset, Used: w.sums[per][counts]}
		if l.Most <= 0 {
			u.Most = store.NoLimit
		} else if u.Used > 0 {
			u.Frees = fromMinute(w.frees(counts, per, min(u.Used, l.Most)-1))
		}
		uses[i] = u
	}
	return uses
}

// written returns the rows that the batch has changed, as they are to be kept.
// They are good until the next call.
func (m *meter) written() []sendingRow {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows = m.rows[:0]
	for key := range m.unwritten {
		w := m.window(store.Owner{Scope: store.AccountScope, ID: int64(key.account)})
		if i := w.find(key.minute); i >= 0 && w.cells[i].amount != (amount{}) {
			m.rows = append(m.rows, sendingRow{key, m.homes[key.account], w.cells[i].amount})
		}
	}
	clear(m.unwritten)
	return m.rows
}

// forget drops what is kept of an account or a domain that is gone.
func (m *meter) forget(owner store.Owner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sent, owner)
	delete(m.own, owner)
	if owner.Scope == store.AccountScope {
		delete(m.homes, store.AccountID(owner.ID))
	}
	for _, admins := range []bool{false, true} {
		delete(m.told, noticeKey{owner, admins})
	}
}

// sweep drops the windows of those who haven't sent anything for a day.
func (m *meter) sweep(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for owner, w := range m.sent {
		if w.advance(minuteOf(now)); len(w.cells) == 0 {
			delete(m.sent, owner)
		}
	}
}
