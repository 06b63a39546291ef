package sqlite

import (
	"sync"

	"postroom/store"
)

// maxArrivals is how many items are kept in memory at most.
const maxArrivals = 10_000

// arrivals are fresh items that came into lanes in which nothing else waited, as
// most mail does. They can be claimed without a look at the queue, which costs
// more than all the rest of a claim.
//
// A lane is wet if there may be more in the queue than is kept here: then the
// queue alone is asked. All lanes with items are wet at the start; whatever comes
// otherwise than by an acceptance makes its lane wet; and a claim that found the
// end of a lane, while nothing was on its way into it, dries it.
type arrivals struct {
	mu    sync.Mutex
	lanes map[store.Lane]*arrived
	total int   // items
	turn  int64 // counts acceptances
}

// arrived is what is known of a lane that is wet, has items here, or awaits some.
type arrived struct {
	wet    bool
	coming int   // acceptances that are about to be committed
	turn   int64 // of the last of them
	era    int64 // in which items came
	items  []store.QueueItem
}

func (a *arrivals) lane(id store.Lane) *arrived {
	if a.lanes == nil {
		a.lanes = make(map[store.Lane]*arrived)
	}
	l := a.lanes[id]
	if l == nil {
		l = &arrived{}
		a.lanes[id] = l
	}
	return l
}

// tidy forgets a lane of which nothing is to be known.
func (a *arrivals) tidy(id store.Lane, l *arrived) {
	if !l.wet && l.coming == 0 && len(l.items) == 0 {
		delete(a.lanes, id)
	}
}

// expect says that an acceptance into lanes is about to be committed. arrive or
// fail follows.
func (a *arrivals) expect(lanes []store.LaneDue) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn++
	for _, id := range lanes {
		l := a.lane(id.Lane)
		l.coming++
		l.turn = a.turn
	}
}

// arrive keeps items whose acceptance has been committed in an era. It is called
// by the writer's goroutine, so that nothing committed later comes before it.
func (a *arrivals) arrive(lanes []store.LaneDue, items []store.QueueItem, era int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range lanes {
		a.lane(id.Lane).coming--
	}
	for _, item := range items {
		id := item.Lane()
		l := a.lane(id)
		switch {
		case l.wet:
		case id.Class != store.Fresh, a.total >= maxArrivals, len(l.items) > 0 && l.era != era:
			a.flood(l)
		default:
			l.items, l.era = append(l.items, item), era
			a.total++
		}
	}
	for _, id := range lanes {
		a.tidy(id.Lane, a.lane(id.Lane))
	}
}

// fail ends an acceptance that was not committed, as far as anybody knows.
func (a *arrivals) fail(lanes []store.LaneDue) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range lanes {
		l := a.lane(id.Lane)
		l.coming--
		a.flood(l)
	}
}

// wet makes lanes wet.
func (a *arrivals) wet(lanes []store.LaneDue) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range lanes {
		a.flood(a.lane(id.Lane))
	}
}

func (a *arrivals) flood(l *arrived) {
	l.wet = true
	a.total -= len(l.items)
	l.items = nil
}

// take fills a batch with what has arrived in its lane. It reports false if the
// queue must be asked. next is the first item that is left, nil if none is.
func (a *arrivals) take(b *batch, era int64) (next *store.QueueItem, ok bool) {
	if b.claim.Late != nil || b.claim.Together != nil || b.claim.Lane.Class != store.Fresh {
		return nil, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lanes[b.claim.Lane]
	switch {
	case l == nil:
		return nil, true
	case len(l.items) > 0 && l.era != era: // some may have been withdrawn
		a.flood(l)
	}
	if l.wet {
		return nil, false
	}
	n := 0
	for n < len(l.items) && b.due(l.items[n]) && b.take(l.items[n]) {
		n++
	}
	a.total -= n
	if l.items = l.items[n:]; len(l.items) > 0 {
		return &l.items[0], true
	}
	l.items = nil
	a.tidy(b.claim.Lane, l)
	return nil, true
}

// calm returns which acceptance was the last one into a lane, if none is under
// way.
func (a *arrivals) calm(id store.Lane) (turn int64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.lanes[id]
	if l == nil || l.coming > 0 {
		return 0, false
	}
	return l.turn, true
}

// dry ends a lane's being wet, unless something has come into it since turn.
func (a *arrivals) dry(id store.Lane, turn int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.lanes[id]; l != nil && l.coming == 0 && l.turn == turn {
		l.wet = false
		a.tidy(id, l)
	}
}
