package delivery

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"

	"postroom/delivery/route"
	"postroom/delivery/smtpclient"
	"postroom/store"
	"postroom/store/mail"
)

// maxTries bounds the addresses that are tried in one round.
const maxTries = 10

// A way is one address of one host.
type way struct {
	host route.Host
	at   netip.AddrPort
}

// An attempt is one round for one work: it goes from host to host until each
// recipient has an answer, or there is no host left.
type attempt struct {
	job   *job
	work  *work
	fates []fate

	tried     map[netip.AddrPort]bool
	over      bool // no further host is to be asked
	unreached bool // there has been no connection
	final     bool // the last problem was a final one
}

// run goes through the hosts. A connection that the job has already comes first.
func (a *attempt) run(ctx context.Context) {
	a.tried = make(map[netip.AddrPort]bool)
	if a.job.conn != nil {
		a.send(ctx)
	} else {
		a.unreached = true
	}
	if !a.done(ctx) {
		a.hosts(ctx)
	}
	for i := range a.fates {
		a.fates[i].close(ctx, a.final)
	}
}

// close decides what has not been decided.
func (f *fate) close(ctx context.Context, final bool) {
	switch {
	case f.done():
	case ctx.Err() != nil:
		f.result = store.Interrupted
	case final:
		f.result = store.Failed
	default:
		f.result = store.Deferred
	}
}

func (a *attempt) done(ctx context.Context) bool {
	return a.over || ctx.Err() != nil || len(a.pending()) == 0
}

// pending returns the indexes of the items that have no answer yet.
func (a *attempt) pending() []int {
	var list []int
	for i := range a.fates {
		if !a.fates[i].done() {
			list = append(list, i)
		}
	}
	return list
}

// hosts tries one group of hosts after the other.
func (a *attempt) hosts(ctx context.Context) {
	plan, err := a.job.run.router.Plan(ctx, a.work.items[0].Domain)
	if err != nil {
		a.problem(err, "")
		return
	}
	for i, hosts := range plan {
		ways, loop := a.ways(ctx, hosts)
		if loop {
			a.ourselves(i == 0)
			return
		}
		a.job.passing = i > 0 || len(hosts) > 1
		for _, w := range ways {
			if a.tried[w.at] || len(a.tried) >= maxTries {
				continue
			}
			if a.try(ctx, w, i == 0); a.done(ctx) {
				return
			}
		}
	}
}

// ways resolves a group. loop says that one of it is ourselves.
func (a *attempt) ways(ctx context.Context, hosts []route.Host) (list []way, loop bool) {
	for _, host := range hosts {
		addrs, err := a.job.run.router.Addresses(ctx, host)
		if errors.Is(err, route.ErrLoop) {
			return nil, true
		}
		if err != nil {
			a.problem(err, host.Name)
		}
		for _, at := range addrs {
			list = append(list, way{host, at})
		}
	}
	return list, false
}

// ourselves ends the round: we are a mail server of that domain. If we are its
// best one, its mail has nowhere to go; otherwise it waits for a better one.
func (a *attempt) ourselves(best bool) {
	a.over = true
	if !best {
		return
	}
	a.final = true
	for _, i := range a.pending() {
		a.fates[i].answer = statusAnswer(route.ErrLoop)
	}
}

// statusAnswer makes an answer of our own of a status.
func statusAnswer(s mail.Status) smtpclient.Answer {
	return smtpclient.Answer{Code: s.Code, Enhanced: s.Enhanced, Text: s.Text}
}

// problem notes what was in the way to a host. It is final only if nothing
// before it was temporary.
func (a *attempt) problem(err error, host string) {
	answer := smtpclient.Answer{Text: err.Error()}
	status, known := errors.AsType[mail.Status](err)
	if known {
		answer = statusAnswer(status)
	}
	first := true
	for _, i := range a.pending() {
		f := &a.fates[i]
		first = f.answer.Text == "" || a.final
		if first || !known {
			f.answer, f.host = answer, host
		}
	}
	a.final = known && first
}

// try connects to a host and sends.
func (a *attempt) try(ctx context.Context, w way, best bool) {
	a.tried[w.at] = true
	conn, err := a.job.run.client.Dial(ctx, smtpclient.Target{Host: w.host.Name, At: w.at})
	if err == nil {
		a.unreached, a.final = false, false
		a.job.use(conn, w)
		a.send(ctx)
		return
	}
	if ctx.Err() != nil {
		return
	}
	e, ok := errors.AsType[*smtpclient.Error](err)
	if !ok {
		a.problem(err, w.host.Name)
		return
	}
	a.refused(e, w, best)
}

// refused draws the conclusion from a connection that could not be made.
func (a *attempt) refused(e *smtpclient.Error, w way, best bool) {
	a.final = false
	answer := e.Answer
	switch self := errors.Is(e, smtpclient.ErrSelf) && !w.host.Chosen; {
	case self && best:
		a.over, answer = true, statusAnswer(route.ErrLoop)
	case self:
		a.over, answer = true, smtpclient.Answer{Text: w.host.Name + " is ourselves, and no better server could be reached"}
	case errors.Is(e, ErrOffline):
		a.over, answer.Text = true, e.Err.Error()
	case e.Final:
		a.over, a.unreached = true, false
	default:
		answer.Code = 0 // a greeting, whatever it says, is about this host alone
	}
	for _, i := range a.pending() {
		a.learn(i, w, answer, e.TLS, e.Note)
	}
}

// send sends to all who have no answer yet, on the job's connection.
func (a *attempt) send(ctx context.Context) {
	a.withdraw(ctx)
	j, pending, first := a.job, a.pending(), a.work.items[0]
	if len(pending) == 0 {
		return
	}
	m := smtpclient.Message{From: first.Sender, Envelope: first.Envelope, Size: first.Size}
	for _, i := range pending {
		m.To = append(m.To, a.work.items[i].Recipient)
	}
	m.Open = func(ctx context.Context) (io.ReadCloser, error) {
		body, err := j.run.d.Queue.OpenMessage(ctx, first.Message)
		if err != nil {
			return nil, err
		}
		return body, nil
	}
	result, err := j.conn.Send(ctx, m)
	if err != nil {
		j.run.log.ErrorContext(ctx, "message can't be sent", "message", first.Message, "err", err)
	}
	a.over = !result.Elsewhere && !result.Stale
	for k, i := range pending {
		answer := result.Answers[k]
		if clear := answer.Taken() || answer.Refused(); clear || !result.Stale && ctx.Err() == nil {
			a.learn(i, j.at, answer, j.conn.TLS, j.conn.Note)
			a.fates[i].relayedWithoutDSN = answer.Taken() && !j.conn.Offers("DSN")
		}
	}
	if !result.Stale {
		a.tried[j.at.at] = true
	}
	if !j.conn.Usable() {
		j.drop()
	}
}

// withdraw interrupts the items that are not to be sent any more: a claim may have
// waited long for its turn.
func (a *attempt) withdraw(ctx context.Context) {
	var ids []store.QueueID
	for _, i := range a.pending() {
		ids = append(ids, a.work.items[i].ID)
	}
	gone, err := a.job.run.d.Queue.Withdrawn(ctx, ids)
	if err != nil && ctx.Err() == nil {
		a.job.run.log.ErrorContext(ctx, "can't tell whether to send", "message", a.work.items[0].Message, "err", err)
	}
	for i := range a.fates {
		if slices.Contains(gone, a.work.items[i].ID) {
			a.fates[i].result = store.Interrupted
		}
	}
}

// learn notes an answer for one item, in its fate and in its trace.
func (a *attempt) learn(i int, w way, answer smtpclient.Answer, tls, note string) {
	if answer.Text == "" {
		answer.Text = "the server gave no answer"
	}
	f := &a.fates[i]
	f.learn(answer, w.host.Name)
	f.tries = append(f.tries, store.Event{
		Time:      a.job.run.d.Now(),
		Kind:      store.Attempt,
		Recipient: a.work.items[i].Recipient.Address.String(),
		Host:      w.host.Name,
		IP:        w.at.Addr().String(),
		TLS:       tls,
		Reply:     f.words(),
		Outcome:   outcomeWord(answer),
		Reason:    note,
	})
}

// giveBack fails what the admin has returned to its sender.
func (a *attempt) giveBack() {
	for i := range a.fates {
		a.fates[i].result = store.Failed
		a.fates[i].answer = smtpclient.Answer{Code: 550, Enhanced: [3]int{5, 0, 0}, Text: "returned by the administrator"}
	}
}

// share gives another work for the same destination the same fate: nobody can
// be reached there.
func (a *attempt) share(other *work) *attempt {
	shared := &attempt{job: a.job, work: other, fates: make([]fate, len(other.items))}
	for i, item := range other.items {
		f := a.fates[0]
		f.tries = make([]store.Event, len(a.fates[0].tries))
		copy(f.tries, a.fates[0].tries)
		for k := range f.tries {
			f.tries[k].Recipient = item.Recipient.Address.String()
		}
		shared.fates[i] = f
	}
	return shared
}
