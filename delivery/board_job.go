package delivery

import (
	"context"
	"slices"
	"time"
)

// After so long, or so many works, a job leaves its connection to others, if
// somebody waits for one; and sooner, if it isn't the same sender who waits.
const (
	maxTurn      = 5 * time.Second
	maxTurnWorks = 50
	guestTurn    = time.Second
)

// A step is what a job does next.
type step uint8

const (
	end step = iota
	begin
	claim
	wait
)

// more returns the next work for a job. Who keeps a connection open waits a moment
// for work that is on its way. A nil work ends the job.
func (r *run) more(ctx context.Context, j *job) *work {
	for {
		switch w, next := r.decide(j); next {
		case begin:
			return w
		case claim:
			if r.claim(ctx, j.dest); w != nil {
				return w
			}
		case wait:
			if !r.linger(j) {
				return nil
			}
		default:
			return nil
		}
	}
}

// decide says what a job does next. A job that has work to do claims what comes
// after it, before others have nothing to do.
func (r *run) decide(j *job) (*work, step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := j.dest
	j.failures = d.health.Failures
	if w := j.first; w != nil {
		j.first = nil
		return w, begin
	}
	if r.over(j) {
		return nil, end
	}
	w := d.pop()
	pull := d.isReady() && !d.claiming && len(d.waiting) < d.jobs && (w == nil || d.health.Failures == 0)
	if pull || j.claims {
		j.claims, d.claiming = false, true
		return w, claim
	}
	if w != nil {
		return w, begin
	}
	if !j.connected || j.passing || r.crowded && r.active >= r.d.Concurrency {
		return nil, end // the next mail asks the best host first, and draws lots between equals (RFC 5321 5.1)
	}
	r.idle = append(r.idle, j)
	return nil, wait
}

// over reports whether a job is to end, whatever there is to do.
func (r *run) over(j *job) bool {
	if r.closed || r.stuck || j.turnedAway || j.dest.replaced != nil || j.dest.asleep(r.d.Now()) {
		return true
	}
	if !r.crowded || j.dest.paperwork {
		return false
	}
	turn := maxTurn
	if r.agenda.othersWait(j.serves) {
		turn = guestTurn
	}
	j.yields = j.works >= maxTurnWorks || time.Since(j.started) >= turn
	return j.yields
}

// linger waits for news of work, and reports whether there may be some.
func (r *run) linger(j *job) bool {
	timeout := time.NewTimer(linger)
	defer timeout.Stop()
	select {
	case _, ok := <-j.poke:
		return ok
	case <-timeout.C:
	}
	r.mu.Lock()
	i := slices.Index(r.idle, j)
	if i >= 0 {
		r.idle = slices.Delete(r.idle, i, i+1)
	}
	r.mu.Unlock()
	if i >= 0 {
		return false
	}
	_, ok := <-j.poke // it was on its way
	return ok
}

// ended takes a job off the board. It gives back what it leaves to nobody.
func (r *run) ended(j *job) { r.giveBack(r.leave(j)) }

// leave takes a job off the board, and returns the work that the destination has
// claimed and won't begin: since it sleeps, or since the job's connection is for
// others now. That waits with the rest of its mail; otherwise it would have the
// next connection at once, before those who have waited.
func (r *run) leave(j *job) (works []*work) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := j.dest
	if d.jobs--; !d.paperwork {
		r.active--
	}
	if j.connected {
		d.connected--
	}
	if j.claims {
		d.claiming = false
	}
	r.leaveGates(j)
	if d = d.current(); d.jobs == 0 && (j.yields || d.asleep(r.d.Now())) {
		works, d.waiting = d.waiting, nil
	}
	r.reopen(d)
	r.signal()
	return works
}

// connect notes that a job has a connection, or has lost it.
func (r *run) connect(j *job, connected bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case j.connected == connected:
	case connected:
		j.connected = true
		j.dest.connected++
	default:
		j.connected = false
		j.dest.connected--
	}
}

// alone reports whether nobody else is connected to the job's destination. If
// somebody is, the server wants no more connections: w goes back to them, and no
// further ones are opened.
func (r *run) alone(j *job, w *work) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := j.dest
	if d.connected == 0 || r.closed {
		return true
	}
	j.turnedAway = true
	d.enough(d.connected)
	to := d.current()
	to.waiting = append([]*work{w}, to.waiting...)
	r.load(to)
	if idle := r.popIdle(d); idle != nil {
		idle.poke <- struct{}{}
	}
	return false
}
