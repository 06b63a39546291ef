package delivery

import (
	"context"
	"errors"
	"net"
	"syscall"

	"postroom/delivery/route"
	"postroom/delivery/smtpclient"
	"postroom/store"
	"postroom/store/mail"
)

// errNeedsTLS fails mail that requires TLS all the way where no server assures it
// (RFC 8689 section 4.2.1).
var errNeedsTLS = mail.Status{
	Code: 550, Enhanced: [3]int{5, 7, 30},
	Text: "the message requires TLS all the way (REQUIRETLS), which the server doesn't assure",
}

// Enhanced codes of what can be in the way (RFC 3463, RFC 7505).
var (
	codeNoAnswer = [3]int{4, 4, 1}
	codeLost     = [3]int{4, 4, 2}
	codeDNS      = [3]int{4, 4, 3}
	codeTLS      = [3]int{4, 7, 5}
	codeConfig   = [3]int{4, 3, 5}
	codeOurs     = [3]int{4, 3, 0}
)

// try connects to a host and sends. named says that DNSSEC vouches for the host's
// name, best that no host would be better.
func (a *attempt) try(ctx context.Context, w way, named, best bool) {
	a.tried[w.at] = true
	source, ok := w.next.source(w.at.Addr())
	if !ok {
		a.skip(w, smtpclient.Answer{Enhanced: codeConfig, Text: "no source address can reach " + w.host.Name + " (" + w.at.Addr().String() + ")"})
		return
	}
	w.source = source
	first, err := a.first(), error(nil)
	w.rule, err = a.job.run.security.rule(ctx, suspect{w.next, first.Domain, w.host, w.at.Addr(), named, first.Envelope.TLS})
	if err != nil {
		a.forbidden(ctx, w, err)
		return
	}
	if a.borrow(ctx, w) {
		return
	}
	a.job.run.room()
	conn, err := a.job.run.client.Dial(ctx, w.target())
	switch {
	case err == nil:
		a.connected(ctx, conn, w)
	case ctx.Err() == nil:
		a.refused(err, w, best)
	}
}

// target is how a way is to be spoken to.
func (w way) target() smtpclient.Target {
	t := smtpclient.Target{Host: w.host.Name, At: w.at, Hostname: w.source.Name, Source: w.source.IP, Security: w.rule.Security}
	t.Implicit = w.host.Implicit()
	if relay := w.next.relay; relay != nil && relay.User != "" && !w.host.Fallback {
		t.Auth = &smtpclient.Credentials{User: relay.User, Password: relay.Password}
	}
	return t
}

// forbidden: policy keeps the mail from a host. That says nothing of other mail
// for the destination, which may be under another policy.
func (a *attempt) forbidden(ctx context.Context, w way, err error) {
	if ctx.Err() != nil {
		return
	}
	answer := ownAnswer(err)
	if _, ok := errors.AsType[*policyError](err); !ok {
		a.job.run.log.ErrorContext(ctx, "can't tell how to protect a connection", "remote", w.host.Name, "err", err)
		answer = smtpclient.Answer{Enhanced: codeOurs, Text: "internal error, see the log"}
	}
	a.unreached, a.stays, a.barred = false, true, append(a.barred, w.host.Name)
	a.skip(w, answer)
}

// skip leaves a host out.
func (a *attempt) skip(w way, answer smtpclient.Answer) {
	a.final = false
	for _, i := range a.pending() {
		a.learn(i, w, answer, spoken{})
	}
}

// connected sends over a new connection.
func (a *attempt) connected(ctx context.Context, conn *smtpclient.Conn, w way) {
	a.unreached = false
	if a.first().Envelope.TLS == mail.TLSRequired && !protects(conn) {
		for _, i := range a.pending() {
			a.trace(i, w, statusAnswer(errNeedsTLS), spokenOn(conn, w.rule))
		}
		a.problem(errNeedsTLS, w.host.Name)
		conn.Quit()
		return
	}
	a.final = false
	a.job.use(conn, w)
	a.send(ctx)
}

// refused draws the conclusion from a connection that could not be made.
func (a *attempt) refused(err error, w way, best bool) {
	e, ok := errors.AsType[*smtpclient.Error](err)
	if !ok {
		a.problem(err, w.host.Name)
		return
	}
	a.final = false
	a.trouble = a.trouble || e.Err == nil && e.Answer.Code == 421
	answer := refusal(e, w)
	switch self := errors.Is(e, smtpclient.ErrSelf) && !w.host.Chosen; {
	case self && best && !w.next.backup:
		a.over, answer = true, statusAnswer(route.ErrLoop)
	case self:
		a.over = true
		answer = smtpclient.Answer{Enhanced: route.ErrLoop.Enhanced, Text: w.host.Name + " is ourselves, and no better server could be reached"}
		answer.Enhanced[0] = 4
	case errors.Is(e, ErrOffline):
		a.over = true
	case errors.Is(e, smtpclient.ErrUnprotected):
		a.unreached, a.stays = false, true // as forbidden
	case e.Final && !w.host.Chosen:
		a.over, a.unreached = true, false
	}
	for _, i := range a.pending() {
		a.learn(i, w, answer, spoken{tls: e.TLS, certificate: e.Certificate, note: join(e.Note, w.rule.note)})
	}
}

// refusal is the answer that a failed connection comes to. Whatever a greeting
// says, it is about this host alone.
func refusal(e *smtpclient.Error, w way) smtpclient.Answer {
	answer := e.Answer
	if e.Final && !w.host.Chosen {
		return answer
	}
	answer.Code = 0
	if answer.Enhanced[0] == 5 {
		answer.Enhanced[0] = 4
	}
	_, dialing := errors.AsType[*net.OpError](e.Err)
	switch {
	case errors.Is(e, ErrOffline):
		answer.Text = e.Err.Error()
	case errors.Is(e, smtpclient.ErrUnprotected):
		answer.Enhanced = codeTLS
	case errors.Is(e, smtpclient.ErrLogin):
		answer.Enhanced = codeConfig
	case dialing && errors.Is(e, syscall.EADDRNOTAVAIL) && w.source.IP.IsValid():
		answer.Enhanced, answer.Text = codeConfig, "the source address "+w.source.IP.String()+" is not an address of this machine"
	case dialing:
		answer.Enhanced = codeNoAnswer
	case !answer.Remote:
		answer.Enhanced = codeLost
	}
	return answer
}

// broken gives the end of a connection its code.
func broken(answer smtpclient.Answer, trouble bool) smtpclient.Answer {
	if answer.Remote || answer.Code != 0 || answer.Enhanced != [3]int{} {
		return answer
	}
	answer.Enhanced = codeOurs
	if trouble {
		answer.Enhanced = codeLost
	}
	return answer
}

// blameless makes a relay's wish for a login temporary: it is our configuration's
// fault, and no recipient's.
func blameless(answer smtpclient.Answer, host route.Host) smtpclient.Answer {
	switch answer.Code {
	case 530, 534, 535, 538:
		if host.Chosen {
			answer.Code, answer.Enhanced = 0, codeConfig
		}
	}
	return answer
}

// ownAnswer makes a temporary answer of what went wrong before anybody was
// connected.
func ownAnswer(err error) smtpclient.Answer {
	answer := smtpclient.Answer{Text: err.Error()}
	var lookup *net.DNSError
	var policy *policyError
	switch {
	case errors.As(err, &policy):
		answer.Enhanced = codeTLS
	case errors.As(err, &lookup):
		answer.Enhanced = codeDNS
	}
	return answer
}

// spoken is how we spoke to a server.
type spoken struct{ tls, certificate, note, signed string }

func spokenOn(conn *smtpclient.Conn, r rule) spoken {
	return spoken{tls: conn.TLS, certificate: conn.Certificate, note: join(conn.Note, r.noteOn(conn))}
}

// join makes one of two notes.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// learn notes an answer for one item, in its fate and in its trace.
func (a *attempt) learn(i int, w way, answer smtpclient.Answer, s spoken) {
	if answer.Text == "" {
		answer.Text = "the server gave no answer"
	}
	a.fates[i].learn(answer, w.host.Name)
	a.trace(i, w, answer, s)
}

func (a *attempt) trace(i int, w way, answer smtpclient.Answer, s spoken) {
	f := &a.fates[i]
	f.tries = append(f.tries, store.Event{
		Time:        a.job.run.d.Now(),
		Kind:        store.Attempt,
		Recipient:   a.work.items[i].Recipient.Address.String(),
		Host:        w.host.Name,
		IP:          w.at.Addr().String(),
		TLS:         s.tls,
		Certificate: s.certificate,
		Source:      sourceWords(w.source),
		Signed:      s.signed,
		Reply:       (&fate{answer: answer}).words(),
		Outcome:     outcomeWord(answer),
		Reason:      s.note,
	})
}

// sourceWords are the address and the name that we came with.
func sourceWords(s store.Source) string {
	switch {
	case !s.IP.IsValid():
		return ""
	case s.Name == "":
		return s.IP.String()
	}
	return s.IP.String() + " (" + s.Name + ")"
}
