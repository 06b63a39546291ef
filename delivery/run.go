package delivery

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"postroom/delivery/route"
	"postroom/delivery/smtpclient"
	"postroom/store"
)

// claimSize is how many items are claimed in one step.
const claimSize = 200

// patience is how long a claim waits while there is enough to do.
const patience = 200 * time.Millisecond

// recheck is how long the loop sleeps at most while it knows of nothing that
// comes due: a safety net, no wake-up is known to be missed.
const recheck = 5 * time.Minute

// A run is one Run of a Dispatcher.
type run struct {
	d         Dispatcher // with defaults filled in
	log       *slog.Logger
	router    *route.Router
	client    *smtpclient.Client
	security  *security
	wake      chan struct{} // capacity 1: the books have changed
	unsettled chan *unit
	jobs      sync.WaitGroup
	books
}

// Run sends mail until ctx ends. It then gives attempts under way a moment to
// finish, settles the rest as interrupted, and returns nil.
func (d *Dispatcher) Run(ctx context.Context) error {
	r := newRun(d)
	// What is under way outlives ctx by the grace, its settlement by as much again.
	working, cancelWork := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelWork()
	settling, cancelSettle := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelSettle()
	var settler sync.WaitGroup
	settler.Go(func() { r.settleAll(settling) })

	r.loop(ctx, working)

	grace := time.AfterFunc(r.d.Grace, cancelWork)
	defer grace.Stop()
	last := time.AfterFunc(2*r.d.Grace, cancelSettle)
	defer last.Stop()
	r.stop()
	r.jobs.Wait()
	close(r.unsettled)
	settler.Wait()
	return nil
}

func newRun(d *Dispatcher) *run {
	r := &run{
		d:         d.withDefaults(),
		wake:      make(chan struct{}, 1),
		unsettled: make(chan *unit, maxUnsettled),
	}
	r.log = r.d.Log
	r.router = &route.Router{
		Resolver:  r.d.Resolver,
		Hostname:  r.d.Hostname,
		Port:      r.d.Port,
		Private:   r.d.PrivateDestinations,
		Smarthost: r.d.Smarthost,
		Fallback:  r.d.FallbackRelay,
		Self:      listensOn(r.d.Listening),
	}
	r.security = newSecurity(&r.d)
	r.client = &smtpclient.Client{
		Hostname:       r.d.Hostname,
		Dialer:         r.d.Dialer,
		ConnectTimeout: r.d.ConnectTimeout,
		CommandTimeout: r.d.CommandTimeout,
		TLS:            r.d.TLS,
	}
	r.books = books{destinations: make(map[string]*destination), domains: make(map[string]int)}
	return r
}

func (d *Dispatcher) withDefaults() Dispatcher {
	full := *d
	setDefault(&full.Concurrency, 100)
	setDefault(&full.PerDestination, 5)
	setDefault(&full.Port, 25)
	setDefault(&full.ConnectTimeout, 30*time.Second)
	setDefault(&full.CommandTimeout, 5*time.Minute)
	setDefault(&full.Grace, 6*time.Second)
	if full.Log == nil {
		full.Log = slog.New(slog.DiscardHandler)
	}
	if full.Now == nil {
		full.Now = time.Now
	}
	return full
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// loop claims and starts until ctx ends.
func (r *run) loop(ctx, working context.Context) {
	due := newAlarm(r.d.Now)
	defer due.timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.d.Queue.QueueChanged():
			if r.halfFull() {
				due.notAfter(r.d.Now().Add(patience))
			} else {
				r.claim(ctx, due)
			}
		case <-due.timer.C:
			r.claim(ctx, due)
		case <-r.wake:
			switch retry, more := r.news(); {
			case more:
				r.claim(ctx, due)
			case !retry.IsZero():
				due.notAfter(retry)
			}
		}
		r.startJobs(working)
	}
}

// claim takes what is due as far as there is room, and sets the timer to when
// the next item comes due.
func (r *run) claim(ctx context.Context, due *alarm) {
	r.retry(time.Time{})
	for {
		limit, busy := r.room()
		if limit == 0 {
			due.in(recheck) // a settlement makes room, and wakes the loop
			return
		}
		items, err := r.d.Queue.Claim(ctx, store.ClaimRequest{Now: r.d.Now(), Limit: limit, Busy: busy})
		if err != nil {
			r.claimFailed(ctx, due, err)
			return
		}
		r.take(group(items, r.router))
		if len(items) < limit {
			break
		}
	}
	at, ok, err := r.d.Queue.NextDue(ctx)
	switch {
	case err != nil:
		r.claimFailed(ctx, due, err)
	case ok:
		due.at(at)
	default:
		due.in(recheck)
	}
}

func (r *run) claimFailed(ctx context.Context, due *alarm, err error) {
	due.in(5 * time.Second)
	if ctx.Err() == nil {
		r.log.ErrorContext(ctx, "queue can't be read", "err", err)
	}
}

// stop gives back what has not been begun.
func (r *run) stop() {
	for _, w := range r.closeBooks() {
		fates := make([]fate, len(w.items))
		for i := range fates {
			fates[i].result = store.Interrupted
		}
		r.submit(r.conclude(context.Background(), w, fates))
	}
}

// submit hands a unit to the settler. It waits while too many are unsettled.
func (r *run) submit(u *unit) { r.unsettled <- u }

func (r *run) spread() float64 { return rand.Float64() }
