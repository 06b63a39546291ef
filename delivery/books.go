package delivery

import (
	"context"
	"slices"
	"sync"
	"time"
)

// books are what a run knows of its claimed work: which of it waits for which
// destination, and who works on it. Nothing in it outlives the run.
type books struct {
	mu           sync.Mutex
	destinations map[string]*destination
	ready        []*destination // those with waiting work that may have another job; each once
	idle         []*job         // connected, and waiting a moment for more work
	active       int            // jobs
	claimed      int            // items not settled
	domains      map[string]int // those items by recipient domain
	left         []string       // domains that the last claim left out
	full         bool           // the last claim ended for want of room
	nextRetry    time.Time      // earliest of what was settled since the last claim
	stuck        bool           // outcomes can't be committed
	closed       bool
}

// A destination is where connections go: a recipient domain, or the smarthost.
type destination struct {
	key       string
	waiting   []*work
	jobs      int
	connected int  // of the jobs
	limit     int  // of jobs; less than the configured one if the server wants no more
	done      int  // works since the limit was last changed
	listed    bool // in ready
}

// room returns how many items may be claimed now, and which domains have enough.
func (r *run) room() (limit int, busy []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for domain, n := range r.domains {
		if n >= r.perDomain() {
			busy = append(busy, domain)
		}
	}
	r.left, r.full = busy, false
	if r.stuck || r.claimed >= r.window() {
		r.full = true
		return 0, nil
	}
	return min(claimSize, r.window()-r.claimed), busy
}

// window is how many items are claimed at a time: the backlog stays in the
// queue.
func (r *run) window() int { return max(1000, 20*r.d.Concurrency) }

// perDomain is how many of them may be for one recipient domain: a few that
// hang can't fill the window.
func (r *run) perDomain() int { return min(max(maxPerWork, 20*r.d.PerDestination), 500) }

// halfFull reports whether a claim can wait: each looks at all that is claimed.
func (r *run) halfFull() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.claimed > r.window()/2
}

// news returns when the earliest item that was settled comes due again, and
// whether there is room now for what the last claim left behind.
func (r *run) news() (retry time.Time, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	more = r.full && !r.stuck && r.claimed <= r.window()/2
	for _, domain := range r.left {
		more = more || r.domains[domain] <= r.perDomain()/2
	}
	return r.nextRetry, more
}

// retry notes the earliest time at which a settled item comes due; the zero time
// forgets it.
func (r *run) retry(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nextRetry = at
}

// take enters claimed works.
func (r *run) take(works []*work) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range works {
		for _, item := range w.items {
			r.claimed++
			r.domains[item.Domain]++
		}
		dest := r.destinations[w.key]
		if dest == nil {
			dest = &destination{key: w.key, limit: r.d.PerDestination}
			r.destinations[w.key] = dest
		}
		if j := r.popIdle(dest); j != nil {
			j.next <- w
			continue
		}
		dest.waiting = append(dest.waiting, w)
		r.list(dest)
	}
}

// list makes a destination ready, if it is. Its first connection shows whether
// anybody is there; for each that stands, another one may follow.
func (b *books) list(dest *destination) {
	jobs := min(dest.limit, max(1, 2*dest.connected))
	if !dest.listed && len(dest.waiting) > 0 && dest.jobs < jobs {
		dest.listed = true
		b.ready = append(b.ready, dest)
	}
}

// startJobs begins as many jobs as may run. The destinations take turns.
func (r *run) startJobs(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.ready) > 0 && !r.stuck && !r.closed {
		if r.active >= r.d.Concurrency {
			if j := r.popIdle(nil); j != nil {
				close(j.next) // it ends, and wakes the loop
			}
			return
		}
		dest := r.ready[0]
		r.ready = r.ready[1:]
		dest.listed = false
		w := dest.pop()
		if w == nil {
			continue
		}
		dest.jobs++
		r.active++
		r.list(dest)
		j := &job{run: r, dest: dest, next: make(chan *work, 1)}
		r.jobs.Go(func() { j.work(ctx, w) })
	}
}

func (dest *destination) pop() *work {
	if len(dest.waiting) == 0 {
		return nil
	}
	w := dest.waiting[0]
	dest.waiting[0] = nil
	dest.waiting = dest.waiting[1:]
	return w
}

// popIdle takes a job out of those that wait for work: for dest, or any.
func (b *books) popIdle(dest *destination) *job {
	for i := len(b.idle) - 1; i >= 0; i-- {
		if j := b.idle[i]; dest == nil || j.dest == dest {
			b.idle = slices.Delete(b.idle, i, i+1)
			return j
		}
	}
	return nil
}

// more returns the next work for a job. Whoever keeps a connection open waits a
// moment for work that is on its way. A nil work ends the job.
func (r *run) more(j *job, linger time.Duration) *work {
	r.mu.Lock()
	if r.closed || r.stuck || j.turnedAway {
		r.mu.Unlock()
		return nil
	}
	r.relax(j.dest)
	if w := j.dest.pop(); w != nil || linger == 0 || len(r.ready) > 0 && r.active >= r.d.Concurrency {
		r.mu.Unlock()
		return w
	}
	r.idle = append(r.idle, j)
	r.mu.Unlock()

	timeout := time.NewTimer(linger)
	defer timeout.Stop()
	select {
	case w := <-j.next:
		return w
	case <-timeout.C:
	}
	r.mu.Lock()
	i := slices.Index(r.idle, j)
	if i >= 0 {
		r.idle = slices.Delete(r.idle, i, i+1)
	}
	r.mu.Unlock()
	if i >= 0 {
		return nil
	}
	return <-j.next // it was on its way
}

// relax lets a server that wanted no more connections have another one after a
// while: it may have been a passing trouble.
func (r *run) relax(dest *destination) {
	if dest.done++; dest.limit < r.d.PerDestination && dest.done >= 20*dest.limit {
		dest.limit, dest.done = dest.limit+1, 0
		r.list(dest)
		r.signal()
	}
}

// ended takes a job off the books.
func (r *run) ended(j *job) {
	r.mu.Lock()
	r.active--
	j.dest.jobs--
	if j.connected {
		j.dest.connected--
	}
	r.list(j.dest)
	if j.dest.jobs == 0 && len(j.dest.waiting) == 0 {
		delete(r.destinations, j.dest.key)
	}
	r.mu.Unlock()
	r.signal()
}

// connect notes that a job has a connection, or has lost it.
func (r *run) connect(j *job, connected bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j.connected == connected {
		return
	}
	j.connected = connected
	if connected {
		j.dest.connected++
		r.list(j.dest)
		r.signal()
	} else {
		j.dest.connected--
	}
}

// alone reports whether nobody else is connected to the job's destination. If
// somebody is, the server wants no more connections: w goes back to them, and no
// further ones are opened.
func (r *run) alone(j *job, w *work) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j.dest.connected == 0 || r.closed {
		return true
	}
	j.turnedAway = true
	j.dest.limit, j.dest.done = j.dest.connected, 0
	if idle := r.popIdle(j.dest); idle != nil { // it looks at what waits only once
		idle.next <- w
	} else {
		j.dest.waiting = append([]*work{w}, j.dest.waiting...)
	}
	return false
}

// waitingWith takes all the work that waits for a destination.
func (r *run) waitingWith(j *job) []*work {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := j.dest.waiting
	j.dest.waiting = nil
	return list
}

// settled takes units off the books.
func (r *run) settled(batch []*unit) {
	r.mu.Lock()
	for _, u := range batch {
		for i, o := range u.outcomes {
			r.claimed--
			if r.domains[u.domains[i]]--; r.domains[u.domains[i]] == 0 {
				delete(r.domains, u.domains[i])
			}
			if !o.Retry.IsZero() && (r.nextRetry.IsZero() || o.Retry.Before(r.nextRetry)) {
				r.nextRetry = o.Retry
			}
		}
	}
	r.mu.Unlock()
	r.signal()
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

// closeBooks ends the jobs that only wait, keeps new ones from being started and
// returns the work that nobody has begun.
func (r *run) closeBooks() []*work {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for j := r.popIdle(nil); j != nil; j = r.popIdle(nil) {
		close(j.next)
	}
	var list []*work
	for _, dest := range r.destinations {
		list = append(list, dest.waiting...)
		dest.waiting = nil
	}
	return list
}
