package resolver

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// LookupAddr returns the names that an address has in the DNS (PTR), without their
// final dots. Nobody vouches for them: whoever has the address may say that it is
// called anything, so they count only if they lead back to it (RFC 7208 section
// 5.5). What isn't a host's name is left out.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, missing(addr, "not an address")
	}
	reverse, err := dns.ReverseAddr(ip.Unmap().WithZone("").String())
	if err != nil {
		return nil, missing(addr, "not an address")
	}
	a, err := r.lookup(ctx, plainName(reverse), dns.TypePTR)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, rr := range a.records {
		if ptr, ok := rr.(*dns.PTR); ok && isHostName(ptr.Ptr) {
			names = append(names, plainName(ptr.Ptr))
		}
	}
	return names, nil
}

// isHostName reports whether a name could be that of a host: letters, digits and
// hyphens, and underscores, which some have.
func isHostName(name string) bool {
	const in = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return name != "." && strings.Trim(name, in) == ""
}

// LookupCNAME returns where a name's own alias leads, not followed any further, and
// an empty name if it is none.
func (r *Resolver) LookupCNAME(ctx context.Context, name string) (string, error) {
	a, err := r.lookup(ctx, name, dns.TypeCNAME)
	if err != nil {
		return "", err
	}
	for _, rr := range a.records {
		if c, ok := rr.(*dns.CNAME); ok {
			return plainName(c.Target), nil
		}
	}
	return "", nil
}

// LookupSRV returns the SRV records of a name such as "_pop3s._tcp.example.org" (RFC
// 2782) by priority, and the heavier ones of one priority first. A target of "."
// says that there is no such service.
func (r *Resolver) LookupSRV(ctx context.Context, name string) ([]*net.SRV, error) {
	a, err := r.lookup(ctx, name, dns.TypeSRV)
	if err != nil {
		return nil, err
	}
	var list []*net.SRV
	for _, rr := range a.records {
		if s, ok := rr.(*dns.SRV); ok {
			list = append(list, &net.SRV{Target: plainName(s.Target), Port: s.Port, Priority: s.Priority, Weight: s.Weight})
		}
	}
	slices.SortStableFunc(list, func(a, b *net.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight))
	})
	return list, nil
}
