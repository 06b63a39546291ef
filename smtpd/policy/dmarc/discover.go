package dmarc

import (
	"context"
	"strings"
)

// A Discovery is the policy that holds for mail of a domain.
type Discovery struct {
	Domain string // the author's
	Record Record
	At     string // where the record stands
	Policy Policy // what the owner asks for
	Which  string // the tag that says so: "p", "sp", "np"
}

// Applied is the policy that is to be applied: a milder one while it is tested.
func (d *Discovery) Applied() Policy {
	if d.Record.Test {
		return d.Policy.milder()
	}
	return d.Policy
}

// Discover finds the policy for an author's domain (RFC 9989 section 4.10.1). It is
// nil if there is none: DMARC has nothing to say then.
func (w *Walker) Discover(ctx context.Context, domain string) (*Discovery, error) {
	r, err := w.at(ctx, domain)
	if err != nil {
		return nil, err
	}
	if r != nil {
		return used(&Discovery{Domain: domain, Record: *r, At: domain, Policy: r.P, Which: "p"}), nil
	}
	list, err := w.steps(ctx, domain)
	if err != nil {
		return nil, err
	}
	s, ok := policyRecord(domain, list)
	if !ok {
		return nil, nil
	}
	d := &Discovery{Domain: domain, Record: *s.record, At: s.domain, Policy: s.record.SP, Which: "sp"}
	if s.record.NP == s.record.SP {
		return used(d), nil
	}
	exists, err := w.exists(ctx, domain)
	if err != nil {
		return nil, err
	}
	if !exists {
		d.Policy, d.Which = s.record.NP, "np"
	}
	return used(d), nil
}

func used(d *Discovery) *Discovery {
	if d.Record.Broken {
		return nil
	}
	return d
}

// policyRecord returns the record whose word holds for a domain without one: the
// organization's, or else that of the public suffix above it.
func policyRecord(domain string, list []step) (step, bool) {
	own := organization(domain, list)
	for _, s := range list {
		if s.domain == own {
			return s, true
		}
	}
	if n := len(list); n > 0 && list[n-1].record.PSD == "y" {
		return list[n-1], true
	}
	return step{}, false
}

// Aligned reports whether an authenticated domain may speak for the author's: it is
// the same, or, unless strict, of the same organization (section 4.9).
func (w *Walker) Aligned(ctx context.Context, author, authenticated string, strict bool) (bool, error) {
	switch {
	case author == authenticated:
		return true, nil
	case strict, !related(author, authenticated):
		return false, nil
	}
	a, err := w.Organization(ctx, author)
	if err != nil {
		return false, err
	}
	b, err := w.Organization(ctx, authenticated)
	w.explain("DMARC: organization of %s: %s; of %s: %s", author, a, authenticated, b)
	return a == b, err
}

// related reports whether two domains have anything above them in common: without
// it there is no need to ask.
func related(a, b string) bool {
	return a[strings.LastIndexByte(a, '.')+1:] == b[strings.LastIndexByte(b, '.')+1:]
}
