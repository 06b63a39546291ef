// Package route finds the hosts that take mail for a domain, and their order.
// It connects to none of them.
package route

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"

	"postroom/store/mail"
)

// Resolver looks up hosts; *net.Resolver is one. A name that doesn't exist is a
// *net.DNSError with IsNotFound; a name without such records is an empty list,
// or the same error; any other error is temporary.
type Resolver interface {
	// LookupMX returns the MX records of a domain; "." stands for the root.
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	// LookupNetIP returns the addresses of a host; network is "ip".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Why a domain's mail can't be sent. Each is final; any other error of a Router
// is temporary.
var (
	ErrNoDomain = mail.Status{Code: 550, Enhanced: [3]int{5, 1, 2}, Text: "the domain does not exist"}
	ErrNullMX   = mail.Status{Code: 556, Enhanced: [3]int{5, 1, 10}, Text: "the domain takes no mail (null MX)"}
	ErrNoHost   = mail.Status{Code: 550, Enhanced: [3]int{5, 4, 4}, Text: "the domain has no mail server"}
	ErrPrivate  = mail.Status{Code: 550, Enhanced: [3]int{5, 4, 4}, Text: "the domain's mail server has no public address"}
	ErrLoop     = mail.Status{Code: 550, Enhanced: [3]int{5, 4, 6}, Text: "mail for this domain would come back to ourselves"}
)

// An Authenticator is a Resolver that knows whether DNSSEC vouches for its answers
// (RFC 4035), the empty ones too.
type Authenticator interface {
	Resolver
	AuthenticMX(ctx context.Context, domain string) (list []*net.MX, authentic bool, err error)
}

// A Router finds the ways for outgoing mail. Its fields are not changed while it
// is in use.
type Router struct {
	Resolver Resolver
	Hostname string // ours: as an MX it means ourselves
	Port     int    // of hosts found by DNS
	Private  bool   // may those have private or loopback addresses?
	Fallback string // "host:port": takes what no host found by DNS can be reached for
	// Self reports whether an address is one that we listen on. Nil: none is.
	Self func(netip.AddrPort) bool
	// Shuffle mixes hosts of one preference; nil: at random.
	Shuffle func(n int, swap func(i, j int))
}

// A Host is one place to try.
type Host struct {
	Name string
	Port int
	// Preference is that of the MX record; hosts of one preference are equals.
	Preference uint16
	// Chosen means that the admin named the host, not DNS: it may have any
	// address, and its failures are never the recipient's.
	Chosen bool
	// Fallback means that the host is the last way out.
	Fallback bool
	literal  netip.Addr // of an address literal
	ours     bool       // it is called as we are
}

// A Destination is what a Plan is for.
type Destination struct {
	Domain string   // the recipients'
	Relay  *Relay   // what the admin has chosen for them; nil: by MX
	Backup bool     // we hold the domain's mail for better servers
	Ours   []string // names of ours besides the Hostname
}

// A Plan is the way to a destination: groups of hosts to try in order. Hosts of
// one preference are a group, already mixed.
type Plan struct {
	Groups [][]Host
	// Authentic means that DNSSEC vouches for the hosts' names. Whether it does so
	// for their addresses is another question.
	Authentic bool
}

// Plan plans the way to a destination. Who goes through it resolves a group as a
// whole with Addresses before trying any of it, and stops at the group that we
// are in (RFC 5321 5.1). It fails with one of the Statuses above, or with a
// temporary error.
func (r *Router) Plan(ctx context.Context, d Destination) (Plan, error) {
	if d.Relay != nil {
		host, err := d.Relay.host()
		return Plan{Groups: [][]Host{{host}}}, err
	}
	plan, err := r.byDomain(ctx, d.Domain)
	if status, final := errors.AsType[mail.Status](err); final && d.Backup && status != ErrNullMX {
		return Plan{}, errors.New(status.Text + ", so its mail waits here")
	}
	if err != nil {
		return Plan{}, err
	}
	for _, group := range plan.Groups {
		for i := range group {
			group[i].ours = r.isOurs(group[i].Name, d.Ours)
		}
	}
	if r.Fallback == "" || d.Backup {
		return plan, nil
	}
	fallback, err := r.fallback()
	plan.Groups = append(plan.Groups, []Host{fallback})
	return plan, err
}

// isOurs reports whether a host that DNS names is ourselves.
func (r *Router) isOurs(name string, ours []string) bool {
	return strings.EqualFold(name, r.Hostname) ||
		slices.ContainsFunc(ours, func(one string) bool { return strings.EqualFold(name, one) })
}

func (r *Router) fallback() (Host, error) {
	relay, err := ParseRelay(r.Fallback)
	if err != nil {
		return Host{}, err
	}
	host, err := relay.host()
	host.Fallback = true
	return host, err
}

func (r *Router) byDomain(ctx context.Context, domain string) (Plan, error) {
	if ip, ok := literal(domain); ok {
		return Plan{Groups: [][]Host{{{Name: domain, Port: r.Port, literal: ip}}}}, nil
	}
	list, authentic, err := r.lookupMX(ctx, domain)
	if err != nil && !IsMissing(err) {
		return Plan{}, err
	}
	missing := err != nil
	hosts, null := usable(list)
	switch {
	case len(hosts) > 0:
		return Plan{r.order(hosts), authentic}, nil
	case null:
		return Plan{}, ErrNullMX
	case len(list) > 0:
		return Plan{}, ErrNoHost // an MX record that names no host
	}
	return r.withoutMX(ctx, domain, missing)
}

func (r *Router) lookupMX(ctx context.Context, domain string) ([]*net.MX, bool, error) {
	if a, ok := r.Resolver.(Authenticator); ok {
		return a.AuthenticMX(ctx, domain)
	}
	list, err := r.Resolver.LookupMX(ctx, domain)
	return list, false, err
}

// withoutMX makes the domain itself the host (RFC 5321 5.1), if it has an
// address. missing says that the question for MX was answered with NXDOMAIN,
// which *net.Resolver also says of a domain that has other records.
func (r *Router) withoutMX(ctx context.Context, domain string, missing bool) (Plan, error) {
	ips, err := r.Resolver.LookupNetIP(ctx, "ip", domain)
	switch {
	case err != nil && IsMissing(err) && missing:
		return Plan{}, ErrNoDomain
	case err != nil && !IsMissing(err):
		return Plan{}, err
	case len(ips) == 0:
		return Plan{}, ErrNoHost
	}
	// The name is the recipients' own: nobody else had to vouch for it.
	return Plan{[][]Host{{{Name: domain, Port: r.Port}}}, true}, nil
}

// Literal reports whether the host is an IP address.
func (h Host) Literal() bool { return h.literal.IsValid() }

// literal returns the address of a mail.Address's Domain that is one.
func literal(domain string) (netip.Addr, bool) {
	inner, ok := strings.CutPrefix(domain, "[")
	if !ok {
		return netip.Addr{}, false
	}
	inner = strings.TrimPrefix(strings.TrimSuffix(inner, "]"), "IPv6:")
	ip, err := netip.ParseAddr(inner)
	return ip.Unmap(), err == nil
}

func (r *Router) shuffle(n int, swap func(i, j int)) {
	if r.Shuffle == nil {
		rand.Shuffle(n, swap)
		return
	}
	r.Shuffle(n, swap)
}
