package policy

import (
	"context"
	"fmt"
	"sync"

	"postroom/smtpd/policy/dmarc"
	"postroom/store"
	"postroom/store/mail"
)

// An Examination is what the live checks think of a mail that may come, or of a
// part of one.
type Examination struct {
	Checks    []store.CheckResult
	Results   []string    // for Authentication-Results
	Spam      bool        // it would be marked X-Spam: yes
	Answer    mail.Status // of the check that objects; the zero Status: none does
	Reason    string      // why it does, for the admin
	Explained []string    // what led to each result: records, mechanisms, keys
}

// An Explanation collects in words what led to a verdict: records found, mechanisms
// that matched, keys. The nil Explanation collects nothing. It may be used by many
// goroutines at once.
type Explanation struct {
	mu    sync.Mutex
	lines []string
}

// Add appends one line; it bears a stranger's words.
func (e *Explanation) Add(format string, args ...any) {
	if e == nil {
		return
	}
	line := mail.Printable(fmt.Sprintf(format, args...), maxExplained)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = append(e.lines, line)
}

// Lines returns what was collected so far.
func (e *Explanation) Lines() []string {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.lines...)
}

// maxExplained is the length of one line, in octets.
const maxExplained = 1000

// Examine asks the checks of whole messages, and of m's recipients before them. A
// check that couldn't tell is answered for as a session does: with 451.
func (r Rules) Examine(ctx context.Context, client Client, m *Message) Examination {
	m.Explain = &Explanation{}
	var found Verdict
	for _, address := range m.Recipients {
		v, err := r.Recipient.Judge(ctx, client, Recipient{Sender: m.Envelope.Sender, Address: address, Ours: true})
		found.gather(v)
		if err != nil || !v.Pass() {
			return examined(v, err, m.Explain)
		}
	}
	v, err := r.Message.Judge(ctx, client, m)
	found.gather(v)
	found.Answer, found.Reason, found.Check = v.Answer, v.Reason, v.Check
	return examined(found, err, m.Explain)
}

// examined tells a verdict as an Examination.
func examined(v Verdict, err error, explained *Explanation) Examination {
	e := Examination{Checks: v.Checks, Results: v.Results, Answer: v.Answer, Explained: explained.Lines()}
	if err != nil {
		e.Answer, e.Reason = mail.StatusOf(err), v.Check+": "+err.Error()
	} else if !v.Pass() {
		e.Reason = v.Check + ": " + v.Reason
	}
	for _, field := range v.Fields {
		e.Spam = e.Spam || field == spamField
	}
	return e
}

// ExamineSPF says what SPF makes of a sender's coming from a client; of the null
// sender, what it makes of the client's name.
func (a *Authentication) ExamineSPF(ctx context.Context, client Client, sender mail.Address) Examination {
	explained := &Explanation{}
	f := facts{client: client, plan: plan{spf: true, sender: sender}}
	if sender.IsNull() {
		f.helo, f.sender = true, mail.Address{Local: "postmaster", Domain: client.Helo}
	}
	ctx, cancel := context.WithTimeout(ctx, authenticationTimeout)
	defer cancel()
	f.spf = a.checkSPF(ctx, client, f.sender, explained)
	var v Verdict
	v.addSPF(f)
	if f.spf.Result == "" {
		v.Checks = append(v.Checks, store.CheckResult{Check: "spf", Result: "none", Detail: "there is no domain to ask about"})
	}
	if f.spf.Explanation != "" {
		explained.Add("SPF: explanation of %s: %s", f.spf.Domain, f.spf.Explanation)
	}
	v.Answer = a.judgeSPF(f).Answer
	return examined(v, nil, explained)
}

// ExamineDKIM says what becomes of each signature of a message. Only Header and
// Open of m are needed.
func (a *Authentication) ExamineDKIM(ctx context.Context, m *Message) Examination {
	m.Explain = &Explanation{}
	ctx, cancel := context.WithTimeout(ctx, authenticationTimeout)
	defer cancel()
	list, err := a.verifyDKIM(ctx, m)
	var v Verdict
	v.Check = "dkim"
	v.addDKIM(list)
	return examined(v, err, m.Explain)
}

// ExamineDMARC says which policy holds for mail of a domain, and where it stands.
// The result is "none", "quarantine" or "reject"; "absent" where there is no record,
// and "temperror" where that can't be found out.
func (a *Authentication) ExamineDMARC(ctx context.Context, domain string) Examination {
	explained := &Explanation{}
	w := &dmarc.Walker{DNS: a.DNS, Explain: explained.Add}
	ctx, cancel := context.WithTimeout(ctx, authenticationTimeout)
	defer cancel()
	d := discover(ctx, w, authors{domains: []string{domain}})
	check := store.CheckResult{Check: "dmarc", Detail: printable(d.detail())}
	switch {
	case d.err != nil:
		check.Result = "temperror"
	case d.policy == nil:
		check.Result = "absent"
	default:
		check.Result = d.policy.Policy.String()
		check.Detail = policyDetail(d.policy)
	}
	if own, err := w.Organization(ctx, domain); err == nil {
		explained.Add("DMARC: %s belongs to the organization %s", domain, own)
	}
	return examined(Verdict{Checks: []store.CheckResult{check}}, nil, explained)
}
