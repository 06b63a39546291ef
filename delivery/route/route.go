// Package route finds the hosts that take mail for a domain, and their order.
// It connects to none of them.
package route

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
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

// A Router finds the ways for outgoing mail. Its fields are not changed while it
// is in use.
type Router struct {
	Resolver  Resolver
	Hostname  string // ours: as an MX it means ourselves
	Port      int    // of hosts found by DNS
	Private   bool   // may those have private or loopback addresses?
	Smarthost string // "host:port": takes everything
	Fallback  string // "host:port": takes what no host found by DNS can be reached for
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
}

// Key names the destination that a recipient domain's mail goes to. Mail with
// one key can share a connection.
func (r *Router) Key(domain string) string {
	if r.Smarthost != "" {
		return "smarthost " + r.Smarthost
	}
	return domain
}

// Plan returns the groups of hosts to try in order: hosts of one preference are
// a group, already mixed. Who goes through it resolves a group as a whole with
// Addresses before trying any of it, and stops at the group that we are in (RFC
// 5321 5.1). It fails with one of the Statuses above, or with a temporary error.
func (r *Router) Plan(ctx context.Context, domain string) ([][]Host, error) {
	if r.Smarthost != "" {
		host, err := chosen(r.Smarthost)
		return [][]Host{{host}}, err
	}
	groups, err := r.byDomain(ctx, domain)
	if err != nil || r.Fallback == "" {
		return groups, err
	}
	fallback, err := chosen(r.Fallback)
	fallback.Fallback = true
	return append(groups, []Host{fallback}), err
}

func (r *Router) byDomain(ctx context.Context, domain string) ([][]Host, error) {
	if ip, ok := literal(domain); ok {
		return [][]Host{{{Name: domain, Port: r.Port, literal: ip}}}, nil
	}
	list, err := r.Resolver.LookupMX(ctx, domain)
	if err != nil && !isMissing(err) {
		return nil, err
	}
	missing := err != nil
	hosts, null := usable(list)
	switch {
	case len(hosts) > 0:
		return r.order(hosts), nil
	case null:
		return nil, ErrNullMX
	case len(list) > 0:
		return nil, ErrNoHost // an MX record that names no host
	}
	return r.withoutMX(ctx, domain, missing)
}

// withoutMX makes the domain itself the host (RFC 5321 5.1), if it has an
// address. missing says that the question for MX was answered with NXDOMAIN,
// which *net.Resolver also says of a domain that has other records.
func (r *Router) withoutMX(ctx context.Context, domain string, missing bool) ([][]Host, error) {
	ips, err := r.Resolver.LookupNetIP(ctx, "ip", domain)
	switch {
	case err != nil && isMissing(err) && missing:
		return nil, ErrNoDomain
	case err != nil && !isMissing(err):
		return nil, err
	case len(ips) == 0:
		return nil, ErrNoHost
	}
	return [][]Host{{{Name: domain, Port: r.Port}}}, nil
}

// chosen parses a "host:port" of the configuration.
func chosen(hostport string) (Host, error) {
	name, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return Host{}, fmt.Errorf("relay %q: %w", hostport, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return Host{}, fmt.Errorf("relay %q: %w", hostport, err)
	}
	host := Host{Name: strings.TrimSuffix(name, "."), Port: int(n), Chosen: true}
	if ip, err := netip.ParseAddr(name); err == nil {
		host.literal = ip
	}
	return host, nil
}

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
