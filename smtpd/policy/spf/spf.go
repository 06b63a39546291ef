// Package spf finds out whether a host may send in the name of a domain (RFC 7208).
package spf

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

// A Result is what becomes of a query (RFC 7208 section 2.6).
type Result string

// The results.
const (
	None      Result = "none"
	Neutral   Result = "neutral"
	Pass      Result = "pass"
	Fail      Result = "fail"
	SoftFail  Result = "softfail"
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// A Resolver looks up what records ask for. A name that doesn't exist is a
// *net.DNSError with IsNotFound; any other error is taken for a temporary one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// A Query asks whether a host may send in the name of Local@Domain.
type Query struct {
	IP       netip.Addr
	Helo     string
	Local    string // empty: postmaster
	Domain   string // in A-labels
	Receiver string // our own name, for explanations
	Now      time.Time

	Explain func(format string, args ...any) // is told each step; nil: nobody
}

// An Answer is what became of a Query.
type Answer struct {
	Result      Result
	Domain      string // whose record decided: the one that was asked for, or where its redirect= leads
	Matched     string // the term of that record that matched; empty if none did
	Explanation string // the domain's own words for who fails: a stranger's text
	Problem     string // of none, temperror and permerror: why nothing better was found
}

// Check evaluates the record of the query's domain. Its DNS questions end with ctx,
// and are bounded in number (section 4.6.4).
func Check(ctx context.Context, dns Resolver, q Query) Answer {
	if q.Local == "" {
		q.Local = "postmaster"
	}
	q.IP = q.IP.Unmap()
	if q.Explain == nil {
		q.Explain = func(string, ...any) {}
	}
	e := evaluation{Query: q, dns: dns}
	a := e.check(ctx, q.Domain)
	if a.Result == Fail && a.exp != "" {
		a.Explanation = e.explanation(ctx, a.exp, a.Domain)
	}
	return a.Answer
}

// What one query may cost (section 4.6.4).
const (
	maxLookups = 10 // terms that ask the DNS
	maxVoid    = 2  // questions without an answer
	maxHosts   = 10 // of an MX, and names of an address
)

// An evaluation is one query on its way.
type evaluation struct {
	Query
	dns           Resolver
	lookups, void int
	names         []string // of the client, which lead back to it
	named         bool     // names is known
}

// An outcome is what a record says; exp is where the explanation of a failure is.
type outcome struct {
	Answer
	exp string
}

// A problem ends an evaluation.
type problem struct {
	result Result
	text   string
}

func (p *problem) Error() string { return p.text }

func permanent(text string) error { return &problem{PermError, text} }

// check is check_host of section 4.
func (e *evaluation) check(ctx context.Context, domain string) outcome {
	found, err := e.fetch(ctx, domain)
	if err == nil {
		var o outcome
		if o, err = e.evaluate(ctx, found, domain); err == nil {
			return o
		}
	}
	p, ok := err.(*problem)
	if !ok {
		p = &problem{TempError, err.Error()}
	}
	e.Explain("SPF: %s: %s: %s", domain, p.result, p.text)
	return outcome{Answer: Answer{Result: p.result, Domain: domain, Problem: p.text}}
}

// fetch returns the record of a domain.
func (e *evaluation) fetch(ctx context.Context, domain string) (*record, error) {
	if !isQualified(domain) {
		return nil, &problem{None, "that is not a domain: " + domain}
	}
	list, err := e.dns.LookupTXT(ctx, plain(domain))
	switch {
	case isMissing(err):
		return nil, &problem{None, "there is no domain " + domain}
	case err != nil:
		return nil, err
	}
	text, n := "", 0
	for _, txt := range list {
		if isRecord(txt) {
			text, n = txt, n+1
		}
	}
	switch n {
	case 0:
		return nil, &problem{None, domain + " has no SPF record"}
	case 1:
		e.Explain("SPF: record of %s: %s", domain, text)
		return parse(text)
	}
	return nil, permanent(domain + " has more than one SPF record")
}

// isRecord reports whether a TXT record is one of SPF (section 4.5).
func isRecord(txt string) bool {
	const version = "v=spf1"
	return len(txt) >= len(version) && strings.EqualFold(txt[:len(version)], version) &&
		(len(txt) == len(version) || txt[len(version)] == ' ')
}

// evaluate goes through the terms of a record until one matches.
func (e *evaluation) evaluate(ctx context.Context, r *record, domain string) (outcome, error) {
	for _, t := range r.terms {
		matches, err := e.matches(ctx, t, domain)
		if err != nil {
			return outcome{}, err
		}
		if matches {
			e.Explain("SPF: %s: %s matches: %s", domain, t.text, t.result)
			return outcome{Answer{Result: t.result, Domain: domain, Matched: t.text}, r.exp}, nil
		}
		e.Explain("SPF: %s: %s doesn't match", domain, t.text)
	}
	if r.redirect == "" {
		return outcome{Answer: Answer{Result: Neutral, Domain: domain}}, nil
	}
	return e.redirect(ctx, r.redirect, domain)
}

// redirect has another domain's record decide (section 6.1).
func (e *evaluation) redirect(ctx context.Context, spec, domain string) (outcome, error) {
	target, err := e.target(ctx, spec, domain)
	if err == nil {
		err = e.count()
	}
	if err != nil {
		return outcome{}, err
	}
	o := e.check(ctx, target)
	if o.Result == None {
		return outcome{}, permanent("redirect: " + o.Problem)
	}
	return o, nil
}

// count counts a term that asks the DNS.
func (e *evaluation) count() error {
	if e.lookups++; e.lookups > maxLookups {
		return permanent("the records ask the DNS for too much")
	}
	return nil
}

// countVoid counts a question that n records came for.
func (e *evaluation) countVoid(n int) error {
	if n > 0 {
		return nil
	}
	if e.void++; e.void > maxVoid {
		return permanent("the records ask for too much that isn't in the DNS")
	}
	return nil
}
