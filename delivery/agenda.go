package delivery

import (
	"time"

	"postroom/store"
)

// An agenda says whose turn it is. It knows no mail, only lanes: of each of them
// when its earliest item comes due. The mail itself stays in the store until
// somebody whose turn it is claims a few items of one lane. So the agenda is
// small, however long the queue is, and whatever it believes wrongly costs an
// empty claim, never mail.
//
// A lane whose time hasn't come is in later, a heap. A lane that is ready is in a
// share: what one sender has ready at one destination. Shares are in two rings
// at once, and so there are two questions that can be asked:
//
//   - turn: where may a free connection go? The senders take turns, and the
//     destinations of each sender. A newsletter to 10,000 destinations is one
//     sender, whose turn comes no more often than that of a single mail.
//   - pull: which lane is next for a connection that a destination has? Again
//     the senders take turns, this time those who have something for it.
//
// Both prefer what is fresh to what has been tried, in a ratio that starves
// neither. A share whose destination can use no further connection is parked
// when its turn comes, until somebody calls reopen: looking for a turn then costs
// a step for each share that is parked, and none for those that are parked
// already.
//
// Paperwork (reports, what is returned) needs no server: its lanes lead to a
// destination of their own, for which there are no turns.
//
// An agenda does no I/O, has no clock, and isn't safe for several goroutines.
type agenda struct {
	// where returns where a lane leads, or nil if it is paused.
	where   func(store.Lane) *destination
	lanes   map[store.Lane]*lane
	senders map[identity]*sender
	shares  map[shareKey]*share
	later   dueHeap[*lane]
	naps    dueHeap[*destination] // destinations to be woken
	turns   [2]ring[*sender]      // by class: whose shares are not all parked
	ratio   ratio
	ready   []*destination // got their first ready lane since somebody looked
}

func newAgenda(where func(store.Lane) *destination) *agenda {
	return &agenda{
		where:   where,
		lanes:   make(map[store.Lane]*lane),
		senders: make(map[identity]*sender),
		shares:  make(map[shareKey]*share),
	}
}

// A lane is what the agenda knows of a store.Lane. It is in one of four places:
// in later, in a share, with somebody who claims from it, or nowhere, if it is
// paused.
type lane struct {
	store.Lane
	dest    *destination // nil: paused
	sender  *sender
	due     time.Time // of the earliest item that nobody has claimed
	share   *share    // while it is ready
	inShare link[*lane]
	index   int // in later; -1: it isn't there
	// claiming: somebody asks the store for items. What is heard of the lane
	// meanwhile is in news, since nobody can tell whether the answer knew it.
	claiming bool
	news     time.Time
	hasten   bool // the admin wants it tried now
}

// An identity tells senders apart.
type identity struct {
	account store.AccountID
	origin  string
}

// A sender has lanes, and turns.
type sender struct {
	identity
	lanes  int
	shares [2]ring[*share] // by class, those that aren't parked
	inTurn [2]link[*sender]
}

// learn enters what the store says of a lane. What is known already is not made
// later by it.
func (a *agenda) learn(news store.LaneDue, now time.Time) {
	l := a.lane(news.Lane)
	if news.Hasten && l.dest != nil {
		l.hasten, l.dest.hastened = true, true
	}
	switch {
	case l.claiming:
		l.news = earlier(l.news, news.Due)
	case l.share != nil && !news.Hasten:
		l.due = earlier(l.due, news.Due) // it keeps its turn
	case l.due.IsZero() || news.Due.Before(l.due) || news.Hasten:
		l.due = earlier(l.due, news.Due)
		a.place(l, now)
	}
}

func (a *agenda) lane(id store.Lane) *lane {
	if l := a.lanes[id]; l != nil {
		return l
	}
	who := identity{id.Account, id.Origin}
	s := a.senders[who]
	if s == nil {
		s = newSender(who)
		a.senders[who] = s
	}
	s.lanes++
	l := &lane{Lane: id, sender: s, index: -1}
	l.inShare.of = l
	l.Origin = s.origin // one string for all
	a.lead(l)
	a.lanes[l.Lane] = l
	return l
}

// lead sets where a lane leads.
func (a *agenda) lead(l *lane) {
	if l.dest != nil {
		l.dest.lanes--
	}
	if l.dest = a.where(l.Lane); l.dest != nil {
		l.dest.lanes++
	}
}

// place puts a lane where it belongs at a time.
func (a *agenda) place(l *lane, now time.Time) {
	a.displace(l)
	switch {
	case l.dest == nil:
	case l.due.After(now):
		a.later.put(l)
	default:
		a.offer(l)
	}
}

// displace takes a lane from wherever it is.
func (a *agenda) displace(l *lane) {
	a.later.take(l)
	a.withdraw(l)
}

// forget removes a lane in which nothing is left.
func (a *agenda) forget(l *lane) {
	a.displace(l)
	delete(a.lanes, l.Lane)
	if l.sender.lanes--; l.sender.lanes == 0 {
		delete(a.senders, l.sender.identity)
	}
	if l.dest != nil {
		l.dest.lanes--
	}
}

// advance makes ready what has come due, and returns the destinations that asked
// to be woken by now.
func (a *agenda) advance(now time.Time) (woken []*destination) {
	for {
		l, ok := a.later.due(now)
		if !ok {
			break
		}
		a.place(l, now)
	}
	for {
		d, ok := a.naps.due(now)
		if !ok {
			return woken
		}
		a.naps.take(d)
		woken = append(woken, d)
	}
}

// next returns when advance has something to do, or the zero time.
func (a *agenda) next() time.Time {
	return earlier(a.later.first(), a.naps.first())
}

// wake has advance return a destination at a time; the zero time: not at all.
func (a *agenda) wake(d *destination, at time.Time) {
	a.naps.take(d)
	if d.wakes = at; !at.IsZero() {
		a.naps.put(d)
	}
}

// remap leads all lanes anew: where they lead, or what is paused, has changed.
func (a *agenda) remap(now time.Time) {
	for _, l := range a.lanes {
		a.displace(l)
		a.lead(l)
		if !l.claiming {
			a.place(l, now)
		}
	}
}

// earlier returns the earlier of two times, of which the zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
