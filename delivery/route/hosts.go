package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// usable returns the MX records that name a host, and whether one of them is
// the null MX (RFC 7505).
func usable(list []*net.MX) (hosts []*net.MX, null bool) {
	for _, mx := range list {
		name := strings.ToLower(strings.TrimSuffix(mx.Host, "."))
		switch {
		case name == "":
			null = true
		case isHostname(name):
			hosts = append(hosts, &net.MX{Host: name, Pref: mx.Pref})
		}
	}
	return hosts, null
}

// isHostname reports whether a name of an MX record can be one: an IP address
// can't (RFC 2181 10.3), nor can what DNS carries and no host is called.
func isHostname(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return strings.Trim(name, "0123456789.") != ""
}

// order makes groups of equal preference, the best first.
func (r *Router) order(list []*net.MX) [][]Host {
	r.shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b *net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
	var groups [][]Host
	seen := make(map[string]bool)
	for _, mx := range list {
		if seen[mx.Host] {
			continue
		}
		seen[mx.Host] = true
		host := Host{Name: mx.Host, Port: r.Port, Preference: mx.Pref}
		if n := len(groups); n > 0 && groups[n-1][0].Preference == mx.Pref {
			groups[n-1] = append(groups[n-1], host)
		} else {
			groups = append(groups, []Host{host})
		}
	}
	return groups
}

// Addresses returns the addresses of a host of a plan. It fails with ErrLoop if
// the host is ourselves, with ErrNoHost or ErrPrivate if it has no address to
// send to, or with a temporary error.
func (r *Router) Addresses(ctx context.Context, h Host) ([]netip.AddrPort, error) {
	if !h.Chosen && strings.EqualFold(h.Name, r.Hostname) {
		return nil, ErrLoop
	}
	ips, err := r.lookup(ctx, h)
	if err != nil {
		return nil, err
	}
	var list []netip.AddrPort
	for _, ip := range ips {
		at := netip.AddrPortFrom(ip.Unmap(), uint16(h.Port))
		switch {
		case r.Self != nil && r.Self(at):
			return nil, loop(h)
		case h.Chosen || r.Private || isPublic(at.Addr()):
			list = append(list, at)
		}
	}
	if len(list) == 0 {
		return nil, ErrPrivate
	}
	return list, nil
}

func (r *Router) lookup(ctx context.Context, h Host) ([]netip.Addr, error) {
	if h.literal.IsValid() {
		return []netip.Addr{h.literal}, nil
	}
	ips, err := r.Resolver.LookupNetIP(ctx, "ip", h.Name)
	switch {
	case err != nil && (h.Chosen || !isMissing(err)):
		return nil, err
	case len(ips) == 0 && h.Chosen:
		return nil, fmt.Errorf("%s has no address", h.Name)
	case len(ips) == 0:
		return nil, ErrNoHost
	}
	return ips, nil
}

// loop is ErrLoop for hosts that DNS names. A relay that the admin named is a
// mistake of ours, which must not fail anybody's mail.
func loop(h Host) error {
	if h.Chosen {
		return fmt.Errorf("the relay %s is ourselves", h.Name)
	}
	return ErrLoop
}

// private holds what netip.Addr doesn't know to be out of the public's reach.
var private = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT (RFC 6598)
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks (RFC 2544)
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("fec0::/10"),
}

// isPublic reports whether an address that DNS gave may be contacted. 192.0.2.0/24
// and its like are left to the network, which has no way there.
func isPublic(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() { // loopback, link-local, multicast, unspecified are no global unicast
		return false
	}
	return !slices.ContainsFunc(private, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func isMissing(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}
