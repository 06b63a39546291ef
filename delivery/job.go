package delivery

import (
	"context"
	"runtime/debug"
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
	run       *run
	dest      *destination
	next      chan *work // given to it while it is idle; closed: it is to end
	conn      *smtpclient.Conn
	at        way // of conn
	since     time.Time
	connected bool // what the books say
	// passing: conn's host is not the only best one of the destination.
	passing bool
	// turnedAway: the server has enough of our connections; the job ends.
	turnedAway bool
}

// work delivers w and what else waits for the destination.
func (j *job) work(ctx context.Context, w *work) {
	defer j.run.ended(j)
	for w != nil {
		j.handle(ctx, w)
		wait := linger
		if j.keep(); j.conn == nil || j.passing {
			wait = 0 // the next mail asks the best host first, and draws lots between equals (RFC 5321 5.1)
		}
		w = j.run.more(j, wait)
	}
	if j.conn != nil {
		j.conn.Quit()
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
	if w.key == returns {
		a.giveBack()
	} else {
		a.run(ctx)
	}
	if !a.unreached || ctx.Err() != nil {
		a.submit(ctx)
		return
	}
	if !r.alone(j, w) {
		return
	}
	a.submit(ctx)
	for _, other := range r.waitingWith(j) {
		a.share(other).submit(ctx)
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
		u.domains = append(u.domains, item.Domain)
	}
	return u
}

func (a *attempt) submit(ctx context.Context) {
	u := a.job.run.conclude(context.WithoutCancel(ctx), a.work, a.fates)
	for _, o := range u.outcomes {
		a.job.run.note(ctx, o)
	}
	a.job.run.submit(u)
}

// note logs an outcome: the operator's day.
func (r *run) note(ctx context.Context, o store.Outcome) {
	word := map[store.Result]string{store.Sent: "message sent", store.Deferred: "message deferred", store.Failed: "message failed"}[o.Result]
	if word != "" {
		r.log.InfoContext(ctx, word, "message", o.Message, "to", o.Recipient.String(), "reply", o.Reply)
	}
}
