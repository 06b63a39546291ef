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

// reread is how often the queue is looked through as a whole: a safety net, no
// wake-up is known to be missed.
const reread = 5 * time.Minute

// A run is one Run of a Dispatcher.
type run struct {
	d         Dispatcher // with defaults filled in
	log       *slog.Logger
	router    *route.Router
	client    *smtpclient.Client
	security  *security
	signer    *signer
	wake      chan struct{} // capacity 1: the board has changed
	unsettled chan *unit
	jobs      sync.WaitGroup
	spares    spares
	stale     bool // the loop's: the ways are to be read again
	board
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
	r.spares.close()
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
		Resolver: r.d.Resolver,
		Hostname: r.d.Hostname,
		Port:     r.d.Port,
		Private:  r.d.PrivateDestinations,
		Fallback: r.d.FallbackRelay,
		Self:     listensOn(r.d.Listening),
	}
	r.security = newSecurity(&r.d)
	r.signer = newSigner(&r.d)
	r.client = &smtpclient.Client{
		Hostname:       r.d.Hostname,
		OurNames:       r.names,
		Dialer:         r.d.Dialer,
		DialerFrom:     r.d.DialerFrom,
		ConnectTimeout: r.d.ConnectTimeout,
		CommandTimeout: r.d.CommandTimeout,
		TLS:            r.d.TLS,
	}
	r.board.set(&r.d)
	r.agenda = newAgenda(r.where)
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

// loop starts what there is to do until ctx ends. It sleeps until there is news
// from the store, the board or the clock. None is lost: each of the channels
// holds a signal until it is looked at, and what a signal is about is read after
// it was taken.
func (r *run) loop(ctx, working context.Context) {
	if !r.begin(ctx) {
		return
	}
	due, again := time.NewTimer(0), time.NewTicker(reread)
	defer due.Stop()
	defer again.Stop()
	for {
		if next := r.dispatch(working); next.IsZero() {
			due.Stop()
		} else {
			due.Reset(max(next.Sub(r.d.Now()), 0))
		}
		select {
		case <-ctx.Done():
			return
		case <-r.d.Queue.QueueChanged():
			r.hear(ctx)
		case <-due.C:
		case <-r.wake:
		case <-again.C:
			r.tidy()
			r.hear(ctx)
			r.failed(ctx, r.read(ctx))
		}
	}
}

// begin reads everything, and tries again until it can or ctx ends: without the
// ways mail would leave by the wrong one.
func (r *run) begin(ctx context.Context) bool {
	for r.failed(ctx, r.readHealth(ctx)) || r.failed(ctx, r.readWays(ctx)) || r.failed(ctx, r.read(ctx)) {
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

// failed logs an error of the store.
func (r *run) failed(ctx context.Context, err error) bool {
	if err != nil && ctx.Err() == nil {
		r.log.ErrorContext(ctx, "queue can't be read", "err", err)
	}
	return err != nil
}

// hear takes in what has changed in the queue.
func (r *run) hear(ctx context.Context) {
	changes := r.d.Queue.Changes()
	r.stale = r.stale || changes.Ways
	if r.stale {
		r.stale = r.failed(ctx, r.readWays(ctx))
	}
	r.learn(changes.Lanes)
}

// read looks through the whole queue.
func (r *run) read(ctx context.Context) error {
	lanes, err := r.d.Queue.Lanes(ctx)
	r.learn(lanes)
	return err
}

func (r *run) learn(lanes []store.LaneDue) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.d.Now()
	for _, l := range lanes {
		r.agenda.learn(l, now)
		if d := r.agenda.lanes[l.Lane].dest; l.Hasten && d != nil {
			r.agenda.reopen(d)
		}
	}
}

func (r *run) readHealth(ctx context.Context) error {
	list, err := r.d.Queue.Health(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range list {
		r.known[h.Destination] = h
	}
	return err
}

// readWays reads where mail goes, and leads everything there.
func (r *run) readWays(ctx context.Context) error {
	snapshot, err := r.d.Queue.Ways(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ways = newWays(snapshot, &r.d)
	r.agenda.remap(r.d.Now())
	return nil
}

// stop gives back what has not been begun.
func (r *run) stop() { r.giveBack(r.closeBoard()) }

// submit hands a unit to the settler. It waits while too many are unsettled.
func (r *run) submit(u *unit) { r.unsettled <- u }

func (r *run) spread() float64 { return rand.Float64() }
