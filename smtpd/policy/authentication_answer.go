package policy

import (
	"fmt"

	"postroom/smtpd/policy/dmarc"
	"postroom/smtpd/policy/spf"
	"postroom/store/mail"
)

// Answers to mail that isn't from whom it says (RFC 7372).
var (
	statusOwnDomain   = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "The sender is of a domain of this server, and you haven't logged in: to send from it, log in on port 587"}
	statusManyAuthors = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "The field From names too many domains"}
)

// answer decides what becomes of a message.
func (a *Authentication) answer(f facts) Verdict {
	for _, judge := range []func(facts) Verdict{a.judgeOwnDomain, a.judgeSPF, a.judgeDMARC} {
		if v := judge(f); !v.Pass() {
			return v
		}
	}
	return Verdict{}
}

// judgeOwnDomain wants who says to be of a domain of ours to pass its SPF.
func (a *Authentication) judgeOwnDomain(f facts) Verdict {
	switch {
	case !f.ours:
		return Verdict{}
	case f.spf.Result == spf.TempError:
		return Object(statusSPFTrouble, "own_domains: "+f.spf.Problem)
	}
	return Object(statusOwnDomain, fmt.Sprintf("own_domains: SPF of %s is %s, not pass", f.sender.Domain, spfWord(f.spf)))
}

func (a *Authentication) judgeSPF(f facts) Verdict {
	switch {
	case a.SPF != Enforce:
	case f.spf.Result == spf.Fail:
		text := mail.Printable(fmt.Sprintf("SPF: %s doesn't allow %s to send its mail", f.sender.Domain, f.client.Addr), 300)
		if f.spf.Explanation != "" {
			text += ": " + quoted(f.spf.Explanation)
		}
		return Object(mail.Status{Code: 550, Enhanced: [3]int{5, 7, 23}, Text: text}, "spf: "+spfDetail(f.spf))
	case f.spf.Result == spf.TempError:
		return Object(statusSPFTrouble, "spf: "+f.spf.Problem)
	}
	return Verdict{}
}

// maxQuoted is how much of a stranger's words an answer quotes, in octets.
const maxQuoted = 200

// quoted returns a stranger's words as they may stand in an answer: printable
// ASCII, not too many, and marked as theirs.
func quoted(s string) string {
	b := []byte(mail.Printable(s, maxQuoted))
	for i, c := range b {
		if c < ' ' || c > '~' || c == '"' {
			b[i] = '\''
		}
	}
	return `"` + string(b) + `"`
}

func (a *Authentication) judgeDMARC(f facts) Verdict {
	d := f.dmarc
	applied := dmarc.None
	if d.policy != nil {
		applied = d.policy.Applied()
	}
	switch {
	case a.DMARC != Enforce:
	case d.problem != "" && applied > dmarc.None:
		text := fmt.Sprintf("DMARC: a message from %s must have one author in one field From: its policy is p=%s", d.policy.Domain, applied)
		return Object(mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: text}, "dmarc: "+d.problem)
	case d.tooMany:
		return Object(statusManyAuthors, "dmarc: "+d.problem)
	case d.err != nil:
		return Object(statusDNSTrouble, "dmarc: "+d.err.Error())
	case d.aligned != "" || applied == dmarc.None:
	case d.undecided:
		return Object(statusUndecided, "dmarc: SPF or DKIM couldn't be found out, and the policy is "+applied.String())
	case applied == dmarc.Reject:
		return Object(refusedByDMARC(d.policy), "dmarc: "+d.detail())
	}
	return Verdict{}
}

// refusedByDMARC names the domain and its policy.
func refusedByDMARC(p *dmarc.Discovery) mail.Status {
	where := ""
	if p.At != p.Domain {
		where = " of " + p.At
	}
	text := fmt.Sprintf("DMARC: this isn't proven to be from %s, whose policy%s (%s=%s) is to refuse it", p.Domain, where, p.Which, p.Policy)
	return mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: text}
}
