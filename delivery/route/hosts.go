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

// maxAddresses is how many addresses of one host are tried, so that one with many
// leaves some tries to the others.
const maxAddresses = 4

// Addresses returns the addresses of a host of a plan, both families in turn: a
// network that has only one of them costs no more than every other try. It fails
// with ErrLoop if the host is ourselves, with ErrNoHost or ErrPrivate if it has no
// address to send to, or with a temporary error.
func (r *Router) Addresses(ctx context.Context, h Host) ([]netip.AddrPort, error) {
	if h.ours || !h.Chosen && r.isOurs(h.Name, nil) {
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
		case h.Chosen || r.Private || IsPublic(at.Addr()):
			list = append(list, at)
		}
	}
	if len(list) == 0 {
		return nil, ErrPrivate
	}
	list = r.mix(list)
	return list[:min(len(list), maxAddresses)], nil
}

// mix shuffles the addresses of each family, and lets the families take turns.
func (r *Router) mix(list []netip.AddrPort) []netip.AddrPort {
	r.shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	var four, six, mixed []netip.AddrPort
	for _, at := range list {
		if at.Addr().Is4() {
			four = append(four, at)
		} else {
			six = append(six, at)
		}
	}
	for i := range max(len(four), len(six)) {
		mixed = append(mixed, four[min(i, len(four)):min(i+1, len(four))]...)
		mixed = append(mixed, six[min(i, len(six)):min(i+1, len(six))]...)
	}
	return mixed
}

func (r *Router) lookup(ctx context.Context, h Host) ([]netip.Addr, error) {
	if h.literal.IsValid() {
		return []netip.Addr{h.literal}, nil
	}
	ips, err := r.Resolver.LookupNetIP(ctx, "ip", h.Name)
	switch {
	case err != nil && (h.Chosen || !IsMissing(err)):
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
	netip.MustParsePrefix("100::/64"),       // discard (RFC 6666)
	netip.MustParsePrefix("64:ff9b:1::/48"), // NAT64 of one's own network (RFC 8215)
	netip.MustParsePrefix("2001::/32"),      // Teredo: a tunnel to wherever the address says
}

// carriers are networks whose addresses stand for the IPv4 address at an offset.
var carriers = []struct {
	prefix netip.Prefix
	offset int
}{
	{netip.MustParsePrefix("::/96"), 12},           // IPv4-compatible (RFC 4291)
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // IPv4-translated (RFC 2765)
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64 (RFC 6052)
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4 (RFC 3056)
}

// carried returns the IPv4 address that one of IPv6 leads to, or the address
// itself.
func carried(ip netip.Addr) netip.Addr {
	ip = ip.Unmap()
	for _, c := range carriers {
		if c.prefix.Contains(ip) {
			octets := ip.As16()
			return netip.AddrFrom4([4]byte(octets[c.offset : c.offset+4]))
		}
	}
	return ip
}

// IsPublic reports whether an address that DNS gave may be contacted. 192.0.2.0/24
// and its like are left to the network, which has no way there.
func IsPublic(ip netip.Addr) bool {
	ip = carried(ip)
	if !ip.IsGlobalUnicast() || ip.IsPrivate() { // loopback, link-local, multicast, unspecified are no global unicast
		return false
	}
	return !slices.ContainsFunc(private, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// IsMissing reports whether a Resolver's error says that a name, or records of it,
// don't exist.
func IsMissing(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}
