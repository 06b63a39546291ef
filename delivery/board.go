package delivery

import (
	"slices"
	"sync"
	"time"

	"postroom/store"
)

// A board is what a run knows and decides by: the agenda, the destinations, and
// who works for which. Everything in it is guarded by mu, and nothing outlives
// the run. No I/O is done under mu.
type board struct {
	mu           sync.Mutex
	agenda       *agenda
	ways         *ways
	destinations map[string]*destination
	known        map[string]store.Health // of those that aren't in destinations
	paperwork    *destination

	orphans []*destination // with waiting work, and no job
	laden   []*destination // with waiting work that another job might take
	idle    []*job         // connected, and waiting a moment for more work
	active  int            // jobs, those for paperwork aside
	probes  gate           // jobs that look whether somebody is there again
	strange gate           // jobs where nobody was served yet, or there was trouble
	crowded bool           // somebody waits for a job to end
	overdue []*destination // asleep, with mail whose senders may be owed word
	sweeper bool           // somebody goes through overdue
	stuck   bool           // outcomes can't be committed
	closed  bool
}

// A gate bounds the jobs of one sort, so that they leave connections to others. A
// quarter of the places is for senders who have none.
type gate struct {
	limit, inside int
	by            map[identity]int // inside
	outside       crowd
}

// admits reports whether there is a place for a sender's job, or for nobody's if it is
// nil.
func (g *gate) admits(whose *sender) bool {
	return g.inside < g.limit && (whose == nil || g.inside < g.limit-g.limit/4 || g.by[whose.identity] == 0)
}

// enter takes a place, until leave.
func (g *gate) enter(who identity) {
	if g.by == nil {
		g.by = make(map[identity]int)
	}
	g.inside++
	g.by[who]++
}

func (g *gate) leave(who identity) {
	g.inside--
	if g.by[who]--; g.by[who] == 0 {
		delete(g.by, who)
	}
}

func (b *board) set(d *Dispatcher) {
	b.destinations = make(map[string]*destination)
	b.known = make(map[string]store.Health)
	b.paperwork = newDestination(next{}, 2)
	b.paperwork.paperwork, b.paperwork.window = true, 2
	b.ways = newWays(store.Ways{}, d)
	b.probes.limit = max(1, d.Concurrency/4)
	b.strange.limit = d.Concurrency - d.Concurrency/8
}

// names are those that our source addresses go by.
func (b *board) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ways.names
}

// where returns where a lane leads, nil if its domain is paused. Paperwork needs
// no server, so no pause concerns it.
func (r *run) where(l store.Lane) *destination {
	switch {
	case l.Class == store.Paperwork:
		return r.paperwork
	case r.ways.paused[l.Domain]:
		return nil
	}
	return r.destination(r.ways.next(l))
}

// destination returns the one that n leads to. Connections that go there in
// another manner get no more work.
func (r *run) destination(n next) *destination {
	old := r.destinations[n.key]
	if old != nil && old.leads(n) {
		return old
	}
	d := newDestination(n, r.d.PerDestination)
	r.destinations[n.key] = d
	if old == nil {
		d.adopt(r.known[n.key])
		delete(r.known, n.key)
	} else {
		d.condition, old.replaced = old.condition, d
		d.hastened = old.hastened
		d.waiting, old.waiting = old.waiting, nil
		r.load(d)
	}
	if d.health.Failures > 0 {
		r.rest(d, r.d.Now())
	}
	return d
}

// rest has a destination sleep until it is to be tried again. Until then somebody
// looks now and then for mail whose senders must hear something.
func (r *run) rest(d *destination, now time.Time) {
	if d.sweepAt.IsZero() {
		d.sweepAt = now.Add(time.Duration(r.spread() * float64(r.sweepPause())))
	}
	next := d.sweepAt
	if d.health.NextTry.After(now) {
		next = earlier(d.health.NextTry, next)
	}
	r.agenda.wake(d, next)
}

// woke does what a destination was to be woken for.
func (r *run) woke(d *destination, now time.Time) {
	if d.health.Failures == 0 || d.replaced != nil {
		return
	}
	if !d.sweepAt.After(now) {
		d.sweepAt = now.Add(r.sweepPause())
		if d.isReady() {
			r.overdue = append(r.overdue, d)
		}
	}
	r.rest(d, now)
	r.reopen(d)
}

// reopen has the question asked anew whether a destination wants a job.
func (r *run) reopen(d *destination) {
	r.load(d)
	r.agenda.reopen(d)
}

// wants reports whether a destination has use for another job. Each change that
// makes an answer other than no is followed by reopen: a job that ends or does
// well, a claim that ends, a destination that wakes or is hastened.
//
// whose is the share that the question is asked for, nil if it is for nobody's.
func (r *run) wants(d *destination, whose *share, now time.Time) bool {
	switch {
	case d.replaced != nil, d.asleep(now), d.jobs >= d.allowed():
		return false
	case len(d.waiting) > 0:
		return r.admits(d, whose)
	}
	return d.isReady() && !d.claiming && r.admits(d, whose)
}

// admits reports whether the gates let another job for d in. If not, d waits
// outside.
func (r *run) admits(d *destination, whose *share) bool {
	for _, g := range r.gates(d) {
		if !g.admits(whose.owner()) {
			g.outside.add(d, whose)
			return false
		}
	}
	return true
}

// gates returns those that a job for d goes through now.
func (r *run) gates(d *destination) []*gate {
	switch {
	case d.paperwork, d.proven:
		return nil
	case d.health.Failures > 0:
		return []*gate{&r.probes, &r.strange}
	}
	return []*gate{&r.strange}
}

// letIn opens the destinations that may go through a gate now.
func (r *run) letIn(g *gate) (some bool) {
	for range g.limit - g.inside {
		d := g.outside.next(g.admits)
		if d == nil {
			return some
		}
		r.reopen(d)
		some = true
	}
	return some
}

// leaveGates lets others in.
func (r *run) leaveGates(j *job) {
	for _, g := range j.gates {
		g.leave(j.guest)
	}
	if len(j.gates) > 0 {
		r.signal()
	}
	j.gates = nil
}

// load notes that a destination has waiting work. A destination that doesn't want
// a job at the moment drops out of these lists again: reopen enters it anew.
func (r *run) load(d *destination) {
	switch {
	case len(d.waiting) == 0:
	case d.jobs == 0 && d.orphaned, d.jobs > 0 && d.laden:
	case d.jobs == 0:
		d.orphaned = true
		r.orphans = append(r.orphans, d)
	default:
		d.laden = true
		r.laden = append(r.laden, d)
	}
}

// popIdle takes a job out of those that wait for work: for dest, or any.
func (b *board) popIdle(dest *destination) *job {
	for i := len(b.idle) - 1; i >= 0; i-- {
		if j := b.idle[i]; dest == nil || j.dest == dest {
			b.idle = slices.Delete(b.idle, i, i+1)
			return j
		}
	}
	return nil
}

// poke has as many idle jobs look for work as there is work for.
func (r *run) poke(d *destination) {
	for range d.waiting {
		j := r.popIdle(d)
		if j == nil {
			return
		}
		j.poke <- struct{}{}
	}
}

func (r *run) setStuck(stuck bool) {
	r.mu.Lock()
	changed := r.stuck != stuck
	r.stuck = stuck
	r.mu.Unlock()
	if changed {
		r.signal()
	}
}

// signal wakes the loop.
func (r *run) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// closeBoard ends the jobs that only wait, keeps new ones from being started and
// returns the work that nobody has begun.
func (r *run) closeBoard() []*work {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for j := r.popIdle(nil); j != nil; j = r.popIdle(nil) {
		close(j.poke)
	}
	list := r.paperwork.waiting
	for _, d := range r.destinations {
		list = append(list, d.waiting...)
		d.waiting = nil
	}
	r.paperwork.waiting = nil
	return list
}

// tidy forgets destinations of which there is nothing to know but their health.
func (r *run) tidy() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, d := range r.destinations {
		if d.idle() && d.health.Failures == 0 {
			if d.proven {
				r.known[key] = d.health
			}
			delete(r.destinations, key)
		}
	}
}
