package delivery

import (
	"context"
	"fmt"
	"net/netip"

	"postroom/delivery/route"
	"postroom/delivery/smtpclient"
	"postroom/store"
	"postroom/store/mail"
)

// An Outlook is the way that mail of a lane would take, as it is planned before
// anybody is connected to.
type Outlook struct {
	Destination string         // the key under which store.Health is kept
	Route       *store.Route   // that leads there; nil: none
	Smarthost   bool           // the configuration's leads there
	Backup      bool           // we hold the mail for better servers
	Sources     []store.Source // to send from, in turn; empty: the kernel's choice
	Hosts       []OutlookHost  // in the order in which they would be tried
	// Err is why there is no host to try, or no further one. One that wraps a
	// mail.Status would fail the mail at its first attempt.
	Err error
}

// An OutlookHost is one that would be tried.
type OutlookHost struct {
	route.Host
	Addresses []OutlookAddress
	Err       error // why it would be left out
}

// An OutlookAddress is an address of a host, and what a connection to it would go
// by.
type OutlookAddress struct {
	At      netip.AddrPort
	Sources []store.Source // those of the Outlook's from which it can be reached
	// TLS is what the connection must have: "none", "may" (whatever the server
	// offers), "must" (TLS), "verify" (TLS with a certificate that is good).
	TLS  string
	Why  string // who demands it; empty: nobody
	Note string // what else is to be said of it
	Err  error  // why the address would be left out
}

// Outlook plans the way that mail of a lane would take, as Run does it. It asks
// the DNS, and the web for MTA-STS policies, and connects to no mail server.
func (d *Dispatcher) Outlook(ctx context.Context, lane store.Lane, wish mail.TLSWish) (Outlook, error) {
	snapshot, err := d.Queue.Ways(ctx)
	if err != nil {
		return Outlook{}, err
	}
	r := newRun(d)
	r.ways = newWays(snapshot, &r.d)
	n := r.ways.next(lane)
	o := Outlook{
		Destination: n.key,
		Route:       n.route,
		Smarthost:   n.route == nil && n.relay != nil,
		Backup:      r.ways.backup[lane.Domain],
		Sources:     n.pool,
	}
	plan, err := r.plan(ctx, n, lane.Domain)
	if err != nil {
		o.Err = err
		return o, nil
	}
	tries := 0
	for i, hosts := range plan.Groups {
		var failed []OutlookHost
		ways, loop := r.reach(ctx, n, hosts, func(host route.Host, err error) {
			failed = append(failed, OutlookHost{Host: host, Err: err})
		})
		if loop {
			o.Err = ourselves(n, lane.Domain, i == 0)
			return o, ctx.Err()
		}
		for _, w := range ways[:min(len(ways), maxTries-tries)] {
			tries++
			o.add(w.host, r.outlookOf(ctx, suspect{n, lane.Domain, w.host, w.at.Addr(), plan.Authentic, wish}, w))
		}
		o.Hosts = append(o.Hosts, failed...)
	}
	return o, ctx.Err()
}

// add adds an address to the last host, or to a new one.
func (o *Outlook) add(host route.Host, a OutlookAddress) {
	if n := len(o.Hosts); n == 0 || o.Hosts[n-1].Host != host || o.Hosts[n-1].Err != nil {
		o.Hosts = append(o.Hosts, OutlookHost{Host: host})
	}
	last := &o.Hosts[len(o.Hosts)-1]
	last.Addresses = append(last.Addresses, a)
}

// ourselves says why a plan ends where we are in it.
func ourselves(n next, domain string, best bool) error {
	switch {
	case best && n.backup:
		return fmt.Errorf("DNS names no better mail server for %s than ourselves, so its mail waits here", domain)
	case best:
		return route.ErrLoop
	}
	return fmt.Errorf("the next mail server of %s is ourselves, so only better ones are tried", domain)
}

func (r *run) outlookOf(ctx context.Context, h suspect, w way) OutlookAddress {
	a := OutlookAddress{At: w.at, Sources: h.next.fitting(w.at.Addr())}
	if _, ok := h.next.source(w.at.Addr()); !ok {
		a.Err = fmt.Errorf("no source address can reach %s (%s)", w.host.Name, w.at.Addr())
		return a
	}
	rule, err := r.security.rule(ctx, h)
	a.TLS, a.Why, a.Note, a.Err = levelWord(rule.Level), rule.Why, rule.note, err
	if rule.testing != "" {
		a.Note = join(a.Note, "the "+rule.testing+" isn't enforced yet: what it demands is noted and nothing is kept back")
	}
	return a
}

func levelWord(l smtpclient.Level) string {
	switch l {
	case smtpclient.None:
		return "none"
	case smtpclient.Encrypt:
		return "must"
	case smtpclient.Verify:
		return "verify"
	}
	return "may"
}
