package delivery

import (
	"context"
	"time"
)

// dispatch starts what can be started, and returns when there will be more to
// do without anybody's news, or the zero time.
func (r *run) dispatch(ctx context.Context) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stuck || r.closed {
		return time.Time{} // the settler wakes the loop, or nobody needs to
	}
	now := r.d.Now()
	for _, d := range r.agenda.advance(now) {
		r.woke(d, now)
	}
	r.occupyIdle(now)
	r.startPaperwork(ctx)
	r.startJobs(ctx, now)
	r.startSweeper(ctx)
	return r.agenda.next()
}

// occupyIdle hands what has just become ready to connections that wait for it.
func (r *run) occupyIdle(now time.Time) {
	for _, d := range r.agenda.ready {
		if !d.isReady() || d.claiming || d.asleep(now) {
			continue
		}
		if j := r.popIdle(d); j != nil {
			j.claims, d.claiming = true, true
			j.poke <- struct{}{}
		}
	}
	r.agenda.ready = r.agenda.ready[:0]
}

func (r *run) startPaperwork(ctx context.Context) {
	d := r.paperwork
	for d.jobs < d.allowed() && (len(d.waiting) > 0 || d.isReady() && !d.claiming) {
		r.start(ctx, d, nil)
	}
}

// startJobs begins as many jobs as may run.
func (r *run) startJobs(ctx context.Context, now time.Time) {
	for {
		d, whose, take := r.candidate(now)
		switch {
		case d == nil && (r.letIn(&r.probes) || r.letIn(&r.strange)):
			continue
		case d == nil:
			r.crowded = false
			return
		case r.active >= r.d.Concurrency:
			r.crowded = true
			if j := r.popIdle(nil); j != nil {
				close(j.poke) // it ends, and wakes the loop
			}
			return
		}
		take()
		r.start(ctx, d, whose)
	}
}

// candidate returns where a connection is wanted next, nil if it is nowhere, and
// for whom and what ends the turn. Work that is claimed already and in nobody's
// hands comes first; more hands for what others are at, last.
func (r *run) candidate(now time.Time) (d *destination, whose *sender, take func()) {
	if d := r.firstOrphan(now); d != nil {
		return d, nil, func() { r.orphans = r.orphans[1:]; d.orphaned = false }
	}
	if s := r.agenda.turn(func(s *share) bool { return r.wants(s.dest, s, now) }); s != nil {
		return s.dest, s.sender, func() { r.agenda.take(s) }
	}
	if d := r.firstLaden(now); d != nil {
		return d, nil, func() { r.laden = r.laden[1:]; d.laden = false }
	}
	return nil, nil, nil
}

// firstOrphan returns a destination whose work is in nobody's hands.
func (r *run) firstOrphan(now time.Time) *destination {
	return first(&r.orphans, func(d *destination) bool {
		d.orphaned = d.jobs == 0 && len(d.waiting) > 0 && r.wants(d, nil, now)
		return d.orphaned
	})
}

// firstLaden returns a destination of the laden ones that wants another job.
func (r *run) firstLaden(now time.Time) *destination {
	return first(&r.laden, func(d *destination) bool {
		ok := len(d.waiting) > 0 && r.wants(d, nil, now)
		d.laden = ok
		return ok
	})
}

// first drops what isn't good from the front of a list and returns what then is
// its first.
func first(list *[]*destination, good func(*destination) bool) *destination {
	for len(*list) > 0 {
		d := (*list)[0]
		if good(d) {
			return d
		}
		(*list)[0] = nil
		*list = (*list)[1:]
	}
	return nil
}

// start begins a job with work that waits, or with the duty to claim some.
func (r *run) start(ctx context.Context, d *destination, whose *sender) {
	j := &job{run: r, dest: d, poke: make(chan struct{}, 1), started: time.Now(), failures: d.health.Failures}
	if j.first = d.pop(); j.first == nil {
		j.claims, d.claiming = true, true
	}
	d.jobs++
	if !d.paperwork {
		r.active++
	}
	if whose != nil {
		j.guest = whose.identity
	}
	for _, g := range r.gates(d) {
		g.enter(j.guest)
		j.gates = append(j.gates, g)
	}
	r.load(d)
	r.jobs.Go(func() { j.work(ctx) })
}
