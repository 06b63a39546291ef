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

// A way is one address of one host, and what a connection to it goes by.
type way struct {
	host   route.Host
	at     netip.AddrPort
	next   next         // that it was made for
	source store.Source // zero: the kernel's choice
	rule   rule
}

// An attempt is one round for one work: it goes from host to host until each
// recipient has an answer, or there is no host left.
type attempt struct {
	job   *job
	work  *work
	fates []fate

	tried     map[netip.AddrPort]bool
	barred    []string // hosts that policy keeps the mail from
	stays     bool     // a server answered, or policy forbids it: the fallback relay is not for this mail
	over      bool     // no further host is to be asked
	unreached bool     // nobody could be reached: the destination's trouble, not this mail's
	trouble   bool     // a connection broke off, timed out or was ended
	final     bool     // the last problem was a final one
}

// run goes through the hosts. A connection that the job has already comes first.
func (a *attempt) run(ctx context.Context) {
	a.tried = make(map[netip.AddrPort]bool)
	a.unreached = !a.reusable()
	if !a.unreached {
		a.send(ctx)
	}
	if !a.done(ctx) {
		a.hosts(ctx)
	}
	for i := range a.fates {
		a.fates[i].close(ctx, a.final)
	}
	a.spare(ctx)
}

// next is where the work goes.
func (a *attempt) next() next { return a.job.dest.next }

// first is the item that speaks for the message.
func (a *attempt) first() store.QueueItem { return a.work.items[0] }

// reusable reports whether the job's connection does for this work: one that was
// made in another manner, or with less protection, is ended.
func (a *attempt) reusable() bool {
	j := a.job
	if j.conn == nil {
		return false
	}
	wish := a.first().Envelope.TLS
	fits := j.at.next.sameManner(a.next(), j.at.source) &&
		(!j.at.rule.lax || wish == mail.TLSOptional) && (wish != mail.TLSRequired || protects(j.conn))
	if !fits || !j.conn.Usable() {
		j.conn.Quit()
		j.drop()
	}
	return fits && j.conn != nil
}

// protects reports whether mail that requires TLS all the way may be sent (RFC
// 8689 section 4.2.1).
func protects(conn *smtpclient.Conn) bool { return conn.Verified && conn.Offers("REQUIRETLS") }

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

// speaks returns the fate that stands for those of the destination's other mail.
// What was withdrawn says nothing.
func (a *attempt) speaks() fate {
	for _, f := range a.fates {
		if f.result != store.Interrupted {
			return f
		}
	}
	return a.fates[0]
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
	n := a.next()
	plan, err := a.job.run.plan(ctx, n, a.first().Domain)
	if err != nil {
		a.problem(err, "")
		return
	}
	for i, hosts := range plan.Groups {
		if hosts[0].Fallback && a.stays {
			return
		}
		ways, loop := a.ways(ctx, n, hosts)
		if loop {
			a.ourselves(n, i == 0)
			return
		}
		a.job.passing = i > 0 || len(hosts) > 1
		for _, w := range ways {
			if a.tried[w.at] || len(a.tried) >= maxTries || slices.Contains(a.barred, w.host.Name) {
				continue
			}
			if a.try(ctx, w, plan.Authentic, i == 0); a.done(ctx) {
				return
			}
		}
	}
}

// plan plans the way of mail for a domain.
func (r *run) plan(ctx context.Context, n next, domain string) (route.Plan, error) {
	return r.router.Plan(ctx, route.Destination{Domain: domain, Relay: n.relay, Backup: n.backup, Ours: n.ours})
}

// ways resolves a group. loop says that one of it is ourselves.
func (a *attempt) ways(ctx context.Context, n next, hosts []route.Host) (list []way, loop bool) {
	return a.job.run.reach(ctx, n, hosts, func(host route.Host, err error) {
		a.problem(err, host.Name)
		a.final = a.final && !n.backup // what we hold waits for its domain to be put right
	})
}

// reach resolves a group of hosts; those that can't be are given to failed. loop
// says that one of the group is ourselves.
func (r *run) reach(ctx context.Context, n next, hosts []route.Host, failed func(route.Host, error)) (list []way, loop bool) {
	for _, host := range hosts {
		addrs, err := r.router.Addresses(ctx, host)
		if errors.Is(err, route.ErrLoop) {
			return nil, true
		}
		if err != nil {
			failed(host, err)
		}
		for _, at := range addrs {
			list = append(list, way{host: host, at: at, next: n})
		}
	}
	return list, false
}

// ourselves ends the round: we are a mail server of that domain. If we are its
// best one, its mail has nowhere to go, unless we hold it for the domain;
// otherwise it waits for a better one.
func (a *attempt) ourselves(n next, best bool) {
	a.over = true
	switch {
	case best && n.backup:
		a.final = false
		a.say("DNS names no better mail server for "+a.first().Domain+" than ourselves, so its mail waits here", [3]int{4, 4, 6})
	case best:
		a.final = true
		a.answer(statusAnswer(route.ErrLoop), "")
	default:
		a.final = false
	}
}

// say gives those who have no answer yet one of our own words.
func (a *attempt) say(words string, code [3]int) {
	a.answer(smtpclient.Answer{Enhanced: code, Text: words}, "")
}

func (a *attempt) answer(answer smtpclient.Answer, host string) {
	for _, i := range a.pending() {
		a.fates[i].answer, a.fates[i].host = answer, host
	}
}

// statusAnswer makes an answer of our own of a status.
func statusAnswer(s mail.Status) smtpclient.Answer {
	return smtpclient.Answer{Code: s.Code, Enhanced: s.Enhanced, Text: s.Text}
}

// problem notes what was in the way to a host. It is final only if nothing
// before it was temporary.
func (a *attempt) problem(err error, host string) {
	answer := ownAnswer(err)
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

// send sends to all who have no answer yet, on the job's connection.
func (a *attempt) send(ctx context.Context) {
	if !a.withdraw(ctx) {
		return
	}
	j, pending := a.job, a.pending()
	if len(pending) == 0 {
		return
	}
	signed := a.job.run.signer.seal(ctx, a.first())
	result, err := j.conn.Send(ctx, a.message(pending, signed))
	if err != nil {
		a.unsendable(ctx, err)
	}
	a.over = !result.Elsewhere && !result.Stale
	a.unreached = result.Stale // nobody has been there since
	a.trouble = a.trouble || result.Trouble
	a.stays = a.stays || !result.Stale && !result.Trouble
	for k, i := range pending {
		if a.fates[i].done() {
			continue
		}
		answer := blameless(result.Answers[k], j.at.host)
		if said := answer.Taken() || answer.Refused(); said || !result.Stale && ctx.Err() == nil {
			how := spokenOn(j.conn, j.at.rule)
			how.signed = signed.words
			a.learn(i, j.at, broken(answer, result.Trouble), how)
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

// unsendable says what kept a message from being sent, if that is our trouble: what
// was cancelled meanwhile can't be read any more.
func (a *attempt) unsendable(ctx context.Context, err error) {
	a.withdraw(ctx)
	if len(a.pending()) > 0 {
		a.job.run.log.ErrorContext(ctx, "message can't be sent", "message", a.first().Message, "err", err)
	}
}

// message is what is sent to some of the items.
func (a *attempt) message(items []int, signed sealed) smtpclient.Message {
	first := a.first()
	m := smtpclient.Message{From: first.Sender, Envelope: first.Envelope, Size: first.Size + int64(len(signed.fields))}
	for _, i := range items {
		m.To = append(m.To, a.work.items[i].Recipient)
	}
	m.Open = func(ctx context.Context) (io.ReadCloser, error) {
		body, err := signed.open(ctx, a.job.run.d.Queue, first.Message)
		if err != nil {
			return nil, err
		}
		return prefixed(signed.fields, body), nil
	}
	return m
}

// withdraw interrupts the items that are not to be sent any more: a claim may have
// waited long for its turn. It reports false if that can't be found out: then
// nothing is sent, since nobody could take it back.
func (a *attempt) withdraw(ctx context.Context) bool {
	if a.interrupt(ctx, a.pending()) {
		return true
	}
	a.over, a.final = true, false
	a.say("internal error, see the log", codeOurs)
	return false
}

// spare interrupts those that have failed, but were withdrawn meanwhile: what
// the admin has cancelled or holds isn't returned to its sender.
func (a *attempt) spare(ctx context.Context) {
	var failed []int
	for i := range a.fates {
		if a.fates[i].result == store.Failed {
			failed = append(failed, i)
		}
	}
	a.interrupt(context.WithoutCancel(ctx), failed)
}

// interrupt interrupts those of some items that are withdrawn. It reports false
// if the store can't tell.
func (a *attempt) interrupt(ctx context.Context, items []int) bool {
	if len(items) == 0 {
		return true
	}
	var ids []store.QueueID
	for _, i := range items {
		ids = append(ids, a.work.items[i].ID)
	}
	gone, err := a.job.run.d.Queue.Withdrawn(ctx, ids)
	if err != nil && ctx.Err() == nil {
		a.job.run.log.ErrorContext(ctx, "can't tell whether to send", "message", a.first().Message, "err", err)
	}
	for _, i := range items {
		if slices.Contains(gone, a.work.items[i].ID) {
			a.fates[i].result = store.Interrupted
		}
	}
	return err == nil
}
