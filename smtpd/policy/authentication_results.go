package policy

import (
	"strings"

	"postroom/smtpd/policy/dkim"
	"postroom/smtpd/policy/dmarc"
	"postroom/smtpd/policy/spf"
	"postroom/store"
	"postroom/store/mail"
)

// results tells what was found out: to whoever reads the message, and to the admin.
func (a *Authentication) results(f facts) (v Verdict) {
	if a.SPF != Off {
		v.addSPF(f)
	}
	if a.DKIM != Off || f.plan.dkim && !f.plan.dmarc {
		v.addDKIM(f.dkim)
	}
	if a.DMARC != Off {
		v.addDMARC(f.dmarc)
		if a.DMARC == Enforce && f.dmarc.word() == "fail" && f.dmarc.policy.Applied() == dmarc.Quarantine {
			v.Fields = append(v.Fields, spamField)
		}
	}
	if f.ours {
		detail := f.sender.Domain + " is a domain of ours, and SPF doesn't pass"
		v.Checks = append(v.Checks, store.CheckResult{Check: "own_domains", Result: "fail", Detail: detail})
	}
	v.Authentic = f.authentic()
	return v
}

// spamField marks a message for whoever sorts it.
const spamField = "X-Spam: yes\r\n"

// authentic reports whether the envelope's sender is proven: by SPF, or by a
// signature of its domain or one above it. A forwarder before us has broken SPF, but
// not the signature.
func (f facts) authentic() bool {
	if f.spf.Result == spf.Pass {
		return true
	}
	sender, err := mail.ParseDomain(f.sender.Domain)
	if err != nil || f.helo {
		return false
	}
	for _, s := range f.dkim {
		if s.Result == dkim.Pass && (s.Domain == sender || strings.HasSuffix(sender, "."+s.Domain)) {
			return true
		}
	}
	return false
}

func (v *Verdict) addSPF(f facts) {
	if f.spf.Result != "" {
		property := " smtp.mailfrom="
		if f.helo {
			property = " smtp.helo="
		}
		domain, _ := mail.ParseDomain(f.sender.Domain)
		v.Results = append(v.Results, "spf="+string(f.spf.Result)+property+domain)
		v.Checks = append(v.Checks, store.CheckResult{Check: "spf", Result: string(f.spf.Result), Detail: spfDetail(f.spf)})
	}
	if f.name.Result != "" && f.name.Result != spf.None {
		domain, _ := mail.ParseDomain(f.client.Helo)
		v.Results = append(v.Results, "spf="+string(f.name.Result)+" smtp.helo="+domain)
		v.Checks = append(v.Checks, store.CheckResult{Check: "spf", Result: string(f.name.Result), Detail: "of EHLO: " + spfDetail(f.name)})
	}
}

// spfWord is the result also where there was no domain to ask about.
func spfWord(a spf.Answer) spf.Result {
	if a.Result == "" {
		return spf.None
	}
	return a.Result
}

// spfDetail says in words how it came to the result.
func spfDetail(a spf.Answer) string {
	switch {
	case a.Problem != "":
		return printable(a.Problem)
	case a.Matched != "":
		return printable(a.Matched + " in the record of " + a.Domain)
	}
	return printable("nothing in the record of " + a.Domain + " matches")
}

// maxDetail is the length of what is said of one check, in octets.
const maxDetail = 500

// printable makes a stranger's words fit for the trace; most are already.
func printable(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || i == maxDetail {
			return mail.Printable(s, maxDetail)
		}
	}
	return s
}

func (v *Verdict) addDKIM(list []dkim.Verification) {
	best := store.CheckResult{Check: "dkim", Result: "none", Detail: "no signature"}
	var details []string
	for i, s := range list {
		if i == 0 || s.Result == dkim.Pass {
			best.Result = string(s.Result)
		}
		detail := string(s.Result) + ": d=" + s.Domain + " s=" + s.Selector + " a=" + s.Algorithm
		if s.Reason != "" {
			detail += ": " + s.Reason
		}
		details = append(details, detail)
		v.Results = append(v.Results, dkimResult(s))
	}
	if len(list) > 0 {
		best.Detail = printable(strings.Join(details, "; "))
	} else {
		v.Results = append(v.Results, "dkim=none")
	}
	v.Checks = append(v.Checks, best)
}

// dkimResult names one signature (RFC 8601 section 2.7.1, RFC 6008). All that it is
// made of is well-formed already.
func dkimResult(s dkim.Verification) string {
	var b strings.Builder
	b.WriteString("dkim=" + string(s.Result))
	if s.Reason != "" {
		b.WriteString(` reason="` + s.Reason + `"`)
	}
	for _, property := range [][2]string{{"d", s.Domain}, {"s", s.Selector}, {"a", s.Algorithm}} {
		if property[1] != "" {
			b.WriteString(" header." + property[0] + "=" + property[1])
		}
	}
	if s.Start != "" {
		b.WriteString(` header.b="` + s.Start + `"`)
	}
	return b.String()
}

func (v *Verdict) addDMARC(d authorship) {
	word := d.word()
	result := "dmarc=" + word
	if d.policy != nil {
		result += " (" + d.policy.Which + "=" + d.policy.Policy.String() + ")"
	}
	if len(d.domains) > 0 {
		result += " header.from=" + d.domains[0]
	}
	v.Results = append(v.Results, result)
	v.Checks = append(v.Checks, store.CheckResult{Check: "dmarc", Result: word, Detail: printable(d.detail())})
}

// word is the result as Authentication-Results names it (RFC 8601 section 2.7.5,
// RFC 9989).
func (d authorship) word() string {
	switch {
	case d.problem != "":
		return "permerror"
	case d.err != nil:
		return "temperror"
	case d.policy == nil:
		return "none"
	case d.aligned != "":
		return "pass"
	case d.undecided:
		return "temperror"
	}
	return "fail"
}

// detail says in words how it came to that.
func (d authorship) detail() string {
	policy := "no policy"
	if d.policy != nil {
		policy = policyDetail(d.policy)
	}
	switch {
	case d.problem != "":
		return d.problem + "; " + policy
	case d.err != nil:
		return d.err.Error()
	case len(d.domains) == 0:
		return "no author"
	case d.policy == nil:
		return d.domains[0] + " has no policy"
	case d.aligned != "":
		return "proven by " + d.aligned + "; " + policy
	case d.undecided:
		return "SPF or DKIM couldn't be found out; " + policy
	}
	return "neither SPF nor DKIM passes for " + d.domains[0] + "; " + policy
}

func policyDetail(p *dmarc.Discovery) string {
	text := "policy of " + p.At + ": " + p.Which + "=" + p.Policy.String()
	if p.Record.Test {
		text += ", being tested (t=y), so " + p.Applied().String()
	}
	return text
}
