package policy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"postroom/smtpd/policy/dkim"
	"postroom/smtpd/policy/dmarc"
	"postroom/smtpd/policy/spf"
	"postroom/store/mail"
)

// authenticationTimeout bounds all the questions that one message makes us ask the
// DNS about who has sent it.
const authenticationTimeout = 12 * time.Second

// A Resolver looks up what checks need of the DNS. Its methods are those of
// *net.Resolver; an error that isn't a *net.DNSError is taken for a temporary one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// A Mode says what is made of a check's result.
type Mode int

// The modes.
const (
	Off     Mode = iota // nothing
	Mark                // it stands in Authentication-Results and in the trace
	Enforce             // and mail is refused that the owner of its domain wants refused
)

// ParseMode returns the mode of a name in the configuration: "off", "mark",
// "enforce".
func ParseMode(name string) Mode {
	switch name {
	case "mark":
		return Mark
	case "enforce":
		return Enforce
	}
	return Off
}

// An Authentication finds out whether mail comes from whom it says: by SPF, DKIM
// and DMARC together, which all look at the same message and need each other's
// results. It must not be copied after the first use, and may be used by many
// goroutines at once.
//
// DMARC needs the other two: where it is on they are made in any mode, and their
// mode says whether anybody hears of them.
type Authentication struct {
	DNS              Resolver
	SPF, DKIM, DMARC Mode
	OwnDomains       bool // who says to be of a domain of ours must pass its SPF
	Forwards         bool // look at what is forwarded, in whatever mode: whom it comes from decides what is reported back
	Ours             func(ctx context.Context, domain string) (bool, error)
	Now              func() time.Time // nil: time.Now

	once     sync.Once
	verifier *dkim.Verifier
}

// Check returns the check of messages. It judges mail of nobody who has logged in.
func (a *Authentication) Check() Check[*Message] {
	return Check[*Message]{Name: "authentication", Judge: func(ctx context.Context, client Client, m *Message) (Verdict, error) {
		if client.Account != 0 {
			return Verdict{}, nil
		}
		return a.judge(ctx, client, m)
	}}
}

func (a *Authentication) judge(ctx context.Context, client Client, m *Message) (Verdict, error) {
	p := a.plan(client, m)
	if !p.spf && !p.dkim && !p.dmarc {
		return Verdict{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, authenticationTimeout)
	defer cancel()
	f, err := a.find(ctx, client, m, p)
	if err != nil {
		return Verdict{}, err
	}
	v := a.results(f)
	answer := a.answer(f)
	v.Answer, v.Reason = answer.Answer, answer.Reason
	return v, nil
}

// A plan says what is to be found out about a message.
type plan struct {
	spf, dkim, dmarc bool
	sender           mail.Address // whom SPF is about: for the null sender, the client's own name
	helo             bool         // it is the client's name
}

func (a *Authentication) plan(client Client, m *Message) (p plan) {
	p.sender = m.Envelope.Sender
	if p.sender.IsNull() {
		p.helo, p.sender = true, mail.Address{Local: "postmaster", Domain: client.Helo}
	}
	p.dmarc = a.DMARC != Off
	p.spf = a.SPF != Off || p.dmarc || a.OwnDomains
	p.dkim = a.DKIM != Off || p.dmarc || a.Forwards && m.Forwards && !p.helo
	return p
}

// facts are what was found out about a message.
type facts struct {
	plan
	client Client
	spf    spf.Answer          // its Result is empty if there was nobody to ask about
	name   spf.Answer          // of the client's name, where the sender doesn't pass
	dkim   []dkim.Verification // of the first signatures
	dmarc  authorship
	ours   bool // the sender says to be of a domain of ours, and SPF doesn't say so
}

// find finds it all out, as much of it at once as can be.
func (a *Authentication) find(ctx context.Context, client Client, m *Message, p plan) (facts, error) {
	f := facts{plan: p, client: client}
	w := &dmarc.Walker{DNS: a.DNS}
	if m.Explain != nil {
		w.Explain = m.Explain.Add
	}
	var asking sync.WaitGroup
	if p.spf {
		asking.Go(func() {
			f.spf = a.checkSPF(ctx, client, p.sender, m.Explain)
			if a.SPF != Off && !p.helo && f.spf.Result != spf.Pass { // else it says nothing new
				f.name = a.checkSPF(ctx, client, mail.Address{Local: "postmaster", Domain: client.Helo}, nil)
			}
		})
	}
	if p.dmarc {
		asking.Go(func() { f.dmarc = discover(ctx, w, authorsOf(m)) })
	}
	var err error
	if p.dkim {
		f.dkim, err = a.verifyDKIM(ctx, m)
	}
	asking.Wait()
	if err == nil {
		f.ours, err = a.isOurs(ctx, f)
	}
	if p.dmarc && err == nil {
		f.align(ctx, w)
	}
	return f, err
}

// isOurs reports whether a sender of whom SPF says nothing good is one of ours.
func (a *Authentication) isOurs(ctx context.Context, f facts) (bool, error) {
	if !a.OwnDomains || f.helo || f.spf.Result == spf.Pass {
		return false, nil
	}
	yes, err := a.Ours(ctx, f.sender.Domain)
	if err != nil {
		return false, fmt.Errorf("judge whether a domain is ours: %w", err)
	}
	return yes, nil
}

func (a *Authentication) checkSPF(ctx context.Context, client Client, sender mail.Address, explained *Explanation) spf.Answer {
	domain, err := mail.ParseDomain(sender.Domain)
	if err != nil || isLiteral(domain) { // an address in brackets, or no name at all
		return spf.Answer{}
	}
	q := spf.Query{IP: client.Addr, Helo: client.Helo, Local: sender.Local, Domain: domain, Receiver: client.Hostname, Now: a.now()}
	if explained != nil {
		q.Explain = explained.Add
	}
	return spf.Check(ctx, a.DNS, q)
}

func isLiteral(domain string) bool { return domain != "" && domain[0] == '[' }

func (a *Authentication) verifyDKIM(ctx context.Context, m *Message) ([]dkim.Verification, error) {
	a.once.Do(func() { a.verifier = &dkim.Verifier{DNS: a.DNS, Now: a.Now} })
	signed := dkim.Message{Header: m.Header, Open: m.Open}
	if m.Explain != nil {
		signed.Explain = m.Explain.Add
	}
	return a.verifier.Verify(ctx, signed)
}

func (a *Authentication) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}
