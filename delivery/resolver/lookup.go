package resolver

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// LookupMX returns the MX records of a domain by preference, names without
// their final dot. The root, which says that a domain takes no mail (RFC 7505),
// is ".".
func (r *Resolver) LookupMX(ctx context.Context, domain string) ([]*net.MX, error) {
	list, _, err := r.AuthenticMX(ctx, domain)
	return list, err
}

// AuthenticMX is LookupMX that also says whether the answer is authentic, an
// empty one too.
func (r *Resolver) AuthenticMX(ctx context.Context, domain string) (list []*net.MX, authentic bool, err error) {
	a, err := r.lookup(ctx, domain, dns.TypeMX)
	if err != nil {
		return nil, false, err
	}
	for _, rr := range a.records {
		if mx, ok := rr.(*dns.MX); ok {
			list = append(list, &net.MX{Host: plainName(mx.Mx), Pref: mx.Preference})
		}
	}
	slices.SortStableFunc(list, func(a, b *net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
	return list, a.authentic, nil
}

// LookupNetIP returns the addresses of a host: IPv4 first, then IPv6. network is
// "ip", "ip4" or "ip6". If one of the two kinds can't be found out, the other is
// returned alone, unless it is empty.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	a, err := r.addresses(ctx, host, typesOf(network)...)
	return a.list, err
}

// AuthenticNetIP is LookupNetIP for both kinds that also says where the aliases
// (CNAME) of the host lead, which is the host itself if it has none, and whether
// they and the addresses are authentic.
func (r *Resolver) AuthenticNetIP(ctx context.Context, host string) (list []netip.Addr, name string, authentic bool, err error) {
	a, err := r.addresses(ctx, host, typesOf("ip")...)
	return a.list, a.name, a.authentic, err
}

// AuthenticAlias reports whether a name is an alias by an authentic CNAME,
// wherever that leads (RFC 7672 section 2.2.2).
func (r *Resolver) AuthenticAlias(ctx context.Context, name string) (bool, error) {
	a, err := r.lookup(ctx, name, dns.TypeCNAME)
	if err != nil {
		return false, err
	}
	return len(a.records) > 0 && a.authentic, nil
}

// LookupTXT returns the TXT records of a name, the strings of each joined (RFC
// 7208 section 3.3).
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := r.lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, rr := range a.records {
		if txt, ok := rr.(*dns.TXT); ok {
			list = append(list, text(txt.Txt))
		}
	}
	return list, nil
}

// text joins the strings of a record and undoes the escapes that the DNS library
// puts in.
func text(parts []string) string {
	joined := strings.Join(parts, "")
	if !strings.Contains(joined, `\`) {
		return joined
	}
	var b strings.Builder
	for i := 0; i < len(joined); i++ {
		c := joined[i]
		if c == '\\' && i+3 < len(joined) && isDigits(joined[i+1:i+4]) {
			c = (joined[i+1]-'0')*100 + (joined[i+2]-'0')*10 + (joined[i+3] - '0')
			i += 3
		} else if c == '\\' && i+1 < len(joined) {
			i++
			c = joined[i]
		}
		b.WriteByte(c)
	}
	return b.String()
}

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// LookupTLSA returns the TLSA records of a name such as "_25._tcp.mx.example.net"
// (RFC 6698), and whether they, or that there are none, is authentic.
func (r *Resolver) LookupTLSA(ctx context.Context, name string) (records []dns.TLSA, authentic bool, err error) {
	a, err := r.lookup(ctx, name, dns.TypeTLSA)
	if err != nil {
		return nil, false, err
	}
	for _, rr := range a.records {
		if tlsa, ok := rr.(*dns.TLSA); ok {
			records = append(records, *tlsa)
		}
	}
	return records, a.authentic, nil
}

// addresses are those of a host, and what is known of its name.
type addresses struct {
	list      []netip.Addr
	name      string
	authentic bool
}

// addresses asks for all types at once.
func (r *Resolver) addresses(ctx context.Context, host string, types ...uint16) (addresses, error) {
	answers, errs := make([]answer, len(types)), make([]error, len(types))
	var asking sync.WaitGroup
	for i, qtype := range types {
		asking.Go(func() { answers[i], errs[i] = r.lookup(ctx, host, qtype) })
	}
	asking.Wait()
	found := addresses{name: host, authentic: true}
	var failed error
	for i, err := range errs {
		switch {
		case isMissing(err):
			return addresses{}, err
		case err != nil:
			failed = err
		default:
			found.add(answers[i])
		}
	}
	if len(found.list) == 0 && failed != nil {
		return addresses{}, failed
	}
	return found, nil
}

func (found *addresses) add(a answer) {
	found.authentic = found.authentic && a.authentic
	found.name = plainName(a.name)
	for _, rr := range a.records {
		if ip, ok := addressIn(rr); ok {
			found.list = append(found.list, ip)
		}
	}
}

func typesOf(network string) []uint16 {
	switch network {
	case "ip4":
		return []uint16{dns.TypeA}
	case "ip6":
		return []uint16{dns.TypeAAAA}
	}
	return []uint16{dns.TypeA, dns.TypeAAAA}
}

func addressIn(rr dns.RR) (netip.Addr, bool) {
	var ip net.IP
	switch rr := rr.(type) {
	case *dns.A:
		ip = rr.A
	case *dns.AAAA:
		ip = rr.AAAA
	}
	addr, ok := netip.AddrFromSlice(ip)
	return addr.Unmap(), ok
}
