package delivery

import (
	"context"
	"time"

	"postroom/store"
)

// served notes that a job was served. It returns the health to be kept, if any.
func (r *run) served(j *job, host string, trouble bool) *store.Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, now := j.dest, r.d.Now()
	j.failures = 0
	wider := false
	if trouble {
		d.inTrouble(now)
	} else {
		wider = d.wellDone()
	}
	recovered := d.health.Failures > 0
	news := d.served(host, now)
	if d.proven = !trouble; d.proven {
		r.leaveGates(j)
	}
	if recovered {
		r.agenda.wake(d, time.Time{})
	}
	if recovered || wider && (d.isReady() || len(d.waiting) > 0) {
		r.reopen(d)
		r.signal()
	}
	if !news {
		return nil
	}
	return d.keep(d.key, now)
}

// unreached ends a round in which nobody could be reached. What was claimed has
// the same fate; what is not claimed waits until the destination is tried again,
// but for those whose senders must hear something.
func (r *run) unreached(ctx context.Context, j *job, a *attempt) {
	works, news := r.fell(j, a)
	units := []*unit{a.conclude(ctx)}
	for _, w := range works {
		units = append(units, a.share(w).conclude(ctx))
	}
	if news {
		units[0].health = r.sleep(j.dest, units)
	}
	for _, u := range units {
		r.note(ctx, u)
		r.submit(u)
	}
}

// fell takes the claimed work of a destination at which nobody could be reached.
// news says that nobody had noted it yet. A final answer, such as that there is no
// such domain, is not about the servers' health.
func (r *run) fell(j *job, a *attempt) (works []*work, news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := j.dest
	works, d.waiting = d.waiting, nil
	if a.final || j.failures != d.health.Failures {
		return works, false
	}
	before := d.health.Failures
	now := r.d.Now()
	d.lost(a.speaks(), now)
	d.health.NextTry = r.d.Schedule.Next(now, time.Time{}, d.health.Failures, r.spread()) // until sleep knows better
	d.startAnew()
	// What has a fate in common is tried again in common: as often as its
	// destination has failed, not as often as each of it was tried.
	for _, w := range append([]*work{a.work}, works...) {
		for i := range w.items {
			w.items[i].Attempts = max(w.items[i].Attempts, before)
		}
	}
	return works, true
}

// sleep keeps a destination from being tried until the first of what was just
// judged comes due again, and returns its health.
func (r *run) sleep(d *destination, units []*unit) *store.Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.d.Now()
	var next time.Time
	for _, u := range units {
		for _, o := range u.outcomes {
			next = earlier(next, o.Retry)
		}
	}
	if !next.IsZero() {
		d.health.NextTry = next
	}
	d.sweepAt = now
	r.rest(d, now)
	r.signal()
	return d.keep(d.key, now)
}

// sweepPause is how often the mail for a destination that is asleep is looked
// through for what its senders must hear.
func (r *run) sweepPause() time.Duration {
	const most = 10 * time.Minute
	if notice := r.d.Schedule.DelayNotice; notice > 0 {
		return min(max(notice/20, time.Second), most)
	}
	return most
}

// startSweeper has somebody go through what may be overdue.
func (r *run) startSweeper(ctx context.Context) {
	if r.sweeper || len(r.overdue) == 0 {
		return
	}
	r.sweeper = true
	r.jobs.Go(func() {
		for d := r.nextOverdue(); d != nil; d = r.nextOverdue() {
			r.sweep(ctx, d)
		}
	})
}

func (r *run) nextOverdue() *destination {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.overdue) == 0 || r.closed || r.stuck {
		r.sweeper = false
		return nil
	}
	d := r.overdue[0]
	r.overdue = r.overdue[1:]
	return d
}

// sweep gives the mail of a destination whose senders must hear something the
// fate that the last round had.
func (r *run) sweep(ctx context.Context, d *destination) {
	r.mu.Lock()
	if d.health.Failures == 0 {
		r.mu.Unlock()
		return
	}
	var lanes []store.Lane
	for i := range d.shares {
		for s := range d.shares[i].all {
			for l := range s.lanes.all {
				lanes = append(lanes, l.Lane)
			}
		}
	}
	f, failures := d.lastFate(), d.health.Failures
	r.mu.Unlock()
	for _, l := range lanes {
		for r.sweepLane(ctx, d, l, f, failures) {
		}
	}
}

// sweepLane reports whether there may be more.
func (r *run) sweepLane(ctx context.Context, d *destination, l store.Lane, f fate, failures int) bool {
	const works = 50
	now := r.d.Now()
	var late time.Time
	if notice := r.d.Schedule.DelayNotice; notice > 0 {
		late = now.Add(-notice)
	}
	claimed, err := r.d.Queue.ClaimLane(ctx, store.LaneClaim{Lane: l, Now: now, Works: works, PerWork: maxPerWork, Late: &late})
	if err != nil {
		if ctx.Err() == nil {
			r.log.ErrorContext(ctx, "queue can't be read", "err", err)
		}
		return false
	}
	list := group(d.key, claimed.Items)
	for _, w := range list {
		for i := range w.items {
			w.items[i].Attempts = max(w.items[i].Attempts, failures-1)
		}
		u := r.conclude(context.WithoutCancel(ctx), w, shared(f, w))
		r.note(ctx, u)
		r.submit(u)
	}
	return len(list) >= works
}
