// Package dmarc finds the policy that a domain's owner has for mail in its name, and
// tells which domains are one organization's (RFC 9989).
package dmarc

import (
	"strings"
)

// A Policy is what the owner of a domain wants done with mail that isn't proven to
// come from it.
type Policy int

// The policies, from the mildest to the strictest.
const (
	None Policy = iota
	Quarantine
	Reject
)

// String returns the policy's name in a record.
func (p Policy) String() string { return [...]string{"none", "quarantine", "reject"}[p] }

// milder returns the policy that is applied in its place while it is tested (t=y).
func (p Policy) milder() Policy { return max(p-1, None) }

// A Record is what a domain publishes at "_dmarc" (RFC 9989 section 4.7).
type Record struct {
	Text string

	P, SP, NP  Policy // for the domain, for those in it, for those in it that don't exist
	StrictSPF  bool   // aspf=s: SPF's domain must be the author's own
	StrictDKIM bool   // adkim=s: DKIM's domain must be
	Test       bool   // t=y: the owner is still trying it out
	PSD        string // "y": the domain is a public suffix, "n": an organization's own, "u": neither is said
	Broken     bool   // a policy can't be understood, and nobody is told: the record asks for nothing
}

// IsRecord reports whether a TXT record is one of DMARC.
func IsRecord(txt string) bool {
	first, _, _ := strings.Cut(txt, ";")
	name, value, _ := strings.Cut(first, "=")
	return strings.TrimSpace(name) == "v" && strings.TrimSpace(value) == "DMARC1"
}

// Parse reads a record for which IsRecord holds. What isn't known is passed over.
func Parse(txt string) Record {
	r := Record{Text: txt, PSD: "u"}
	policies := make(map[string]string, 3)
	reports := false
	for i, tag := range strings.Split(txt, ";") {
		name, value, ok := strings.Cut(tag, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if i == 0 || !ok {
			continue
		}
		switch name {
		case "p", "sp", "np":
			policies[name] = strings.ToLower(value)
		case "aspf":
			r.StrictSPF = strings.EqualFold(value, "s")
		case "adkim":
			r.StrictDKIM = strings.EqualFold(value, "s")
		case "t":
			r.Test = strings.EqualFold(value, "y")
		case "psd":
			if v := strings.ToLower(value); v == "y" || v == "n" {
				r.PSD = v
			}
		case "rua":
			reports = reports || strings.Contains(value, ":")
		}
	}
	r.setPolicies(policies, reports)
	return r
}

// setPolicies sets what the record asks for. If any of it can't be understood, the
// owner only wants to hear about mail, or nothing at all (section 4.10.1).
func (r *Record) setPolicies(given map[string]string, reports bool) {
	var wrong [3]bool
	r.P, wrong[0] = policy(given, "p", None)
	r.SP, wrong[1] = policy(given, "sp", r.P)
	r.NP, wrong[2] = policy(given, "np", r.SP)
	if wrong != [3]bool{} {
		r.P, r.SP, r.NP, r.Broken = None, None, None, !reports
	}
}

func policy(given map[string]string, name string, without Policy) (p Policy, wrong bool) {
	value, ok := given[name]
	if !ok {
		return without, false
	}
	for p := None; p <= Reject; p++ {
		if p.String() == value {
			return p, false
		}
	}
	return None, true
}
