package delivery

import (
	"time"

	"postroom/store"
)

// A share is what one sender has ready at one destination in one class.
type share struct {
	shareKey
	lanes  ring[*lane]
	atDest link[*share] // in the destination's shares
	offer  link[*share] // in the sender's shares, or among the destination's parked ones
}

type shareKey struct {
	dest   *destination
	sender *sender
	class  store.Class
}

// owner returns whose share it is, nil if there is none.
func (s *share) owner() *sender {
	if s == nil {
		return nil
	}
	return s.sender
}

// A queueing is the part of a destination that the agenda keeps.
type queueing struct {
	lanes    int             // that lead here
	shares   [2]ring[*share] // by class, what is ready
	parked   ring[*share]    // those of shares that offer themselves to no connection
	ratio    ratio
	hastened bool      // the admin wants it tried now
	wakes    time.Time // when to wake it
	index    int       // in the agenda's naps
}

// isReady reports whether there is something to claim.
func (q *queueing) isReady() bool { return !q.shares[0].empty() || !q.shares[1].empty() }

func newSender(who identity) *sender {
	s := &sender{identity: who}
	for i := range s.inTurn {
		s.inTurn[i].of = s
	}
	return s
}

// ringOf returns which of two rings a class of lanes goes by.
func ringOf(c store.Class) store.Class { return c % 2 } // what is fresh or paperwork, what was tried

// offer makes a lane ready.
func (a *agenda) offer(l *lane) {
	d := l.dest
	if !d.isReady() {
		a.ready = append(a.ready, d)
	}
	s := a.share(shareKey{d, l.sender, ringOf(l.Class)})
	l.share = s
	if !l.hasten {
		s.lanes.push(&l.inShare)
		return
	}
	s.lanes.pushFront(&l.inShare)
	d.shares[s.class].pushFront(&s.atDest)
}

// share returns the share of a key, which is new if there was none.
func (a *agenda) share(key shareKey) *share {
	if s := a.shares[key]; s != nil {
		return s
	}
	s := &share{shareKey: key}
	s.atDest.of, s.offer.of = s, s
	a.shares[key] = s
	key.dest.shares[key.class].push(&s.atDest)
	if !key.dest.paperwork {
		a.unpark(s)
	}
	return s
}

// withdraw takes a lane out of its share, if it is in one.
func (a *agenda) withdraw(l *lane) {
	s := l.share
	if s == nil {
		return
	}
	l.share = nil
	l.inShare.leave()
	if !s.lanes.empty() {
		return
	}
	s.atDest.leave()
	a.park(s, nil)
	delete(a.shares, s.shareKey)
}

// park takes a share from its sender's turns, into a ring of parked ones.
func (a *agenda) park(s *share, parked *ring[*share]) {
	s.offer.leave()
	if parked != nil {
		parked.push(&s.offer)
	}
	if s.sender.shares[s.class].empty() {
		s.sender.inTurn[s.class].leave()
	}
}

// unpark lets a share have a turn.
func (a *agenda) unpark(s *share) {
	s.sender.shares[s.class].push(&s.offer)
	if turn := &s.sender.inTurn[s.class]; turn.in == nil {
		a.turns[s.class].push(turn)
	}
}

// reopen ends the parking of a destination's shares: it may have use for a
// connection again.
func (a *agenda) reopen(d *destination) {
	for !d.parked.empty() {
		a.unpark(d.parked.first.of)
	}
}

// turn returns whose turn it is to get a connection, nil if it is nobody's. It
// parks what isn't open. The turn passes on with take.
func (a *agenda) turn(open func(*share) bool) *share {
	for {
		class, ok := a.ratio.choose(a.turns[0].empty(), a.turns[1].empty())
		if !ok {
			return nil
		}
		s := a.turns[class].first.of.shares[class].first.of
		if open(s) {
			return s
		}
		a.park(s, &s.dest.parked)
	}
}

// othersWait reports whether a turn of another sender may come.
func (a *agenda) othersWait(who identity) bool {
	for i := range a.turns {
		if l := a.turns[i].first; l != nil && (l.next != nil || l.of.identity != who) {
			return true
		}
	}
	return false
}

// take ends a turn. What the sender has at the destination is pulled first.
func (a *agenda) take(s *share) {
	a.ratio.count(s.class)
	s.dest.shares[s.class].pushFront(&s.atDest)
	s.sender.shares[s.class].push(&s.offer)
	a.turns[s.class].push(&s.sender.inTurn[s.class])
}

// pull returns the next lane to claim from at a destination, nil if none is
// ready. It is the caller's until pulled.
func (a *agenda) pull(d *destination) *lane {
	class, ok := d.ratio.choose(d.shares[0].empty(), d.shares[1].empty())
	if !ok {
		return nil
	}
	d.ratio.count(class)
	s := d.shares[class].first.of
	d.shares[class].push(&s.atDest)
	l := s.lanes.first.of
	a.displace(l)
	l.claiming, l.hasten, l.news = true, false, time.Time{}
	return l
}

// pulled gives a lane back. left is when the earliest item that is left in it
// comes due, zero if none is.
//
// No wake-up is lost between the store's answer and this: what the store reported
// after it gave the answer reaches the lane either before, in news, or later, in
// learn.
func (a *agenda) pulled(l *lane, left, now time.Time) {
	l.claiming = false
	if l.due = earlier(left, l.news); l.due.IsZero() {
		a.forget(l)
		return
	}
	a.place(l, now)
}

// preference is how many turns what is fresh has for one of what was tried.
const preference = 4

// A ratio shares turns between what is fresh and what was tried.
type ratio struct{ fresh int } // turns in a row

// choose returns whose turn it is, if there is anybody.
func (r *ratio) choose(noFresh, noTried bool) (class store.Class, ok bool) {
	if noFresh || !noTried && r.fresh >= preference {
		return store.Retried, !noTried
	}
	return store.Fresh, true
}

// count notes a turn.
func (r *ratio) count(class store.Class) {
	if class == store.Retried {
		r.fresh = 0
	} else {
		r.fresh++
	}
}
