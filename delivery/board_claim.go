package delivery

import (
	"context"
	"time"

	"postroom/store"
)

// claim claims a batch of works for a destination and hands them out. Only one
// job does it at a time.
func (r *run) claim(ctx context.Context, d *destination) {
	r.mu.Lock()
	want := d.batch()
	r.mu.Unlock()
	for want > 0 {
		l, request := r.pull(d, want)
		if l == nil {
			break
		}
		claimed, err := r.d.Queue.ClaimLane(ctx, request)
		if err != nil && ctx.Err() == nil {
			r.log.ErrorContext(ctx, "queue can't be read", "err", err)
		}
		want -= r.claimed(d, l, claimed, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d.claiming = false
	if d.hastened { // what is claimed now is to be tried
		d.hastened, d.health.NextTry = false, time.Time{}
	}
	r.handOut(d)
}

// pull takes a lane whose turn it is at d, and says what to claim from it. Where
// several senders wait none gets all of a batch.
func (r *run) pull(d *destination, want int) (*lane, store.LaneClaim) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.stuck {
		return nil, store.LaneClaim{}
	}
	alone := d.shares[0].sole(d.shares[1])
	l := r.agenda.pull(d)
	if l == nil {
		return nil, store.LaneClaim{}
	}
	if !alone {
		want = max(1, want/4)
	}
	return l, store.LaneClaim{Lane: l.Lane, Now: r.d.Now(), Works: want, PerWork: maxPerWork, Together: r.together(d)}
}

// together says which lanes share the transactions of a destination.
func (r *run) together(d *destination) func(store.Lane) bool {
	ways, key := r.ways, d.key
	switch {
	case d.paperwork:
		return func(l store.Lane) bool { return l.Class == store.Paperwork }
	case d.next.shared:
		return func(l store.Lane) bool {
			return l.Class != store.Paperwork && !ways.paused[l.Domain] && ways.next(l).key == key
		}
	}
	return nil
}

// claimed enters what was claimed, and returns how many works it makes. What
// nobody will send any more is given back.
func (r *run) claimed(d *destination, l *lane, claimed store.Claimed, err error) int {
	works := group(d.key, claimed.Items)
	now := r.d.Now()
	left := claimed.Next
	if err != nil || len(works) == 0 && !left.IsZero() && !left.After(now) {
		left = now.Add(5 * time.Second)
	}
	r.mu.Lock()
	r.agenda.pulled(l, left, now)
	closed := r.closed
	if !closed {
		d = d.current()
		d.waiting = append(d.waiting, works...)
	}
	r.mu.Unlock()
	if closed {
		r.giveBack(works)
	}
	return len(works)
}

// handOut offers waiting work to who may take it.
func (r *run) handOut(d *destination) {
	d = d.current()
	r.poke(d)
	r.reopen(d)
	r.signal()
}

// giveBack settles works that nobody has begun.
func (r *run) giveBack(works []*work) {
	for _, w := range works {
		fates := make([]fate, len(w.items))
		for i := range fates {
			fates[i].result = store.Interrupted
		}
		r.submit(r.conclude(context.Background(), w, fates))
	}
}
