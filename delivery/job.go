package delivery

import (
	"context"
	"runtime/debug"
	"slices"
	"time"

	"postroom/delivery/smtpclient"
	"postroom/store"
)

// How long a connection serves, and how long it waits for more to do.
const (
	maxMessages = 500
	maxAge      = 5 * time.Minute
	linger      = 500 * time.Millisecond
)

// A job works for one destination, with one connection at a time and one work
// after the other.
type job struct {
	run   *run
	dest  *destination
	conn  *smtpclient.Conn
	at    way // of conn
	since time.Time
	// passing: conn's host is not the only best one of the destination.
	passing bool

	// The rest is the board's.
	poke       chan struct{} // while it is idle: it is to look for work; closed: it is to end
	first      *work         // to begin with
	claims     bool          // it is to claim a batch
	started    time.Time
	works      int
	serves     identity // the sender of the last work
	failures   int      // of the destination, as far as this job knows
	connected  bool
	yields     bool // its turn is over, and others wait
	turnedAway bool // the server has enough of our connections; the job ends
	gates      []*gate
	guest      identity // in gates
}

// work delivers what there is for the destination.
func (j *job) work(ctx context.Context) {
	defer j.run.ended(j)
	for w := j.run.more(ctx, j); w != nil; w = j.run.more(ctx, j) {
		j.works++
		j.serves = identity{w.items[0].Account, w.items[0].Origin}
		j.handle(ctx, w)
		j.keep()
	}
	if j.conn != nil {
		j.run.spares.put(j)
	}
}

// handle brings one work to its end. A panic is our own trouble: the mail waits.
func (j *job) handle(ctx context.Context, w *work) {
	defer func() {
		if p := recover(); p != nil {
			j.run.log.ErrorContext(ctx, "panic in delivery", "message", w.items[0].Message, "err", p, "stack", string(debug.Stack()))
			j.drop()
			j.run.submit(j.run.broken(w))
		}
	}()
	r := j.run
	a := &attempt{job: j, work: w, fates: make([]fate, len(w.items))}
	if j.dest.paperwork {
		a.decideOnPaper()
		a.submit(ctx, nil)
		return
	}
	begun := time.Now()
	a.run(ctx)
	if r.d.Tried != nil {
		r.d.Tried(time.Since(begun))
	}
	switch {
	case ctx.Err() != nil:
		a.submit(ctx, nil)
	case !a.unreached:
		a.submit(ctx, r.served(j, a.fates[0].host, a.trouble))
	case r.alone(j, w):
		r.unreached(ctx, j, a)
	}
}

// keep closes a connection that is of no more use, or has been used enough.
func (j *job) keep() {
	switch {
	case j.conn == nil:
	case !j.conn.Usable():
		j.drop()
	case j.conn.Messages() >= maxMessages || time.Since(j.since) >= maxAge:
		j.conn.Quit()
		j.drop()
	}
}

func (j *job) use(conn *smtpclient.Conn, at way) {
	j.drop()
	j.conn, j.at, j.since = conn, at, time.Now()
	j.run.connect(j, true)
}

func (j *job) drop() {
	if j.conn != nil {
		j.conn.Close()
		j.conn = nil
		j.run.connect(j, false)
	}
}

// decideOnPaper gives each item its fate for which no server is needed.
func (a *attempt) decideOnPaper() {
	for i, item := range a.work.items {
		if item.Owed != 0 {
			a.fates[i].result = store.Told
			continue
		}
		a.fates[i].result = store.Failed
		a.fates[i].answer = smtpclient.Answer{Code: 550, Enhanced: [3]int{5, 0, 0}, Text: "returned by the administrator"}
	}
}

// share gives another work for the same destination the same fate: nobody can
// be reached there.
func (a *attempt) share(other *work) *attempt {
	return &attempt{job: a.job, work: other, fates: shared(a.speaks(), other)}
}

// shared makes the fates of a work of the fate of another recipient.
func shared(f fate, w *work) []fate {
	fates := make([]fate, len(w.items))
	for i, item := range w.items {
		fates[i] = f
		fates[i].tries = slices.Clone(f.tries)
		for k := range fates[i].tries {
			fates[i].tries[k].Recipient = item.Recipient.Address.String()
		}
	}
	return fates
}

// broken makes the unit of a work that was not brought to its end.
func (r *run) broken(w *work) *unit {
	u := &unit{}
	now := r.d.Now()
	for _, item := range w.items {
		u.outcomes = append(u.outcomes, store.Outcome{
			Item:      item.ID,
			Message:   item.Message,
			Recipient: item.Recipient.Address,
			Result:    store.Deferred,
			Retry:     r.d.Schedule.Next(now, time.Time{}, item.Attempts+1, r.spread()),
			Reply:     "internal error, see the log",
		})
	}
	return u
}

func (a *attempt) conclude(ctx context.Context) *unit {
	return a.job.run.conclude(context.WithoutCancel(ctx), a.work, a.fates)
}

// submit hands what came of an attempt to the settler, with the health of the
// destination if it is to be kept.
func (a *attempt) submit(ctx context.Context, health *store.Health) {
	u := a.conclude(ctx)
	u.health = health
	a.job.run.note(ctx, u)
	a.job.run.submit(u)
}

// note logs outcomes: the operator's day.
func (r *run) note(ctx context.Context, u *unit) {
	for _, o := range u.outcomes {
		word := ""
		switch o.Result {
		case store.Sent:
			word = "message sent"
		case store.Deferred:
			word = "message deferred"
		case store.Failed:
			word = "message failed"
		default:
			continue
		}
		r.log.InfoContext(ctx, word, "message", o.Message, "to", o.Recipient.String(), "reply", o.Reply)
	}
}
