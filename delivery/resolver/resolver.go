// Package resolver looks up the DNS records that mail needs. It asks recursive
// servers and follows what they say; it is not one itself.
package resolver

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	defaultTimeout = 3 * time.Second
	rounds         = 2  // how often the list of servers is gone through
	maxAliases     = 10 // CNAMEs in a row
)

// A Resolver asks DNS servers. Its zero value asks the system's. It may be used
// by many goroutines at once; its fields are not changed after the first use.
//
// Every error is a *net.DNSError: with IsNotFound if the name doesn't exist
// (NXDOMAIN), with IsTemporary if that couldn't be found out. A name that exists
// but has no such records gives an empty list and no error. The methods with the
// names of *net.Resolver's can stand in for them.
type Resolver struct {
	Servers []string         // "ip:port", asked in order; empty: those of /etc/resolv.conf
	Timeout time.Duration    // for one question to one server; zero: 3 s
	Log     *slog.Logger     // nil: nothing is logged
	Now     func() time.Time // nil: time.Now

	mu    sync.Mutex
	cache map[question]answer
}

// A question is what is asked for: a name in lower case with its final dot.
type question struct {
	name  string
	qtype uint16
}

// An answer is what the servers know: records of the type that was asked for,
// none if there are none, or that the name doesn't exist.
type answer struct {
	records []dns.RR
	missing bool // NXDOMAIN
	until   time.Time
}

// LookupMX returns the MX records of a domain by preference, names without
// their final dot. The root, which says that a domain takes no mail (RFC 7505),
// is ".".
func (r *Resolver) LookupMX(ctx context.Context, domain string) ([]*net.MX, error) {
	records, err := r.lookup(ctx, domain, dns.TypeMX)
	if err != nil {
		return nil, err
	}
	var list []*net.MX
	for _, rr := range records {
		if mx, ok := rr.(*dns.MX); ok {
			list = append(list, &net.MX{Host: plainName(mx.Mx), Pref: mx.Preference})
		}
	}
	slices.SortStableFunc(list, func(a, b *net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
	return list, nil
}

// LookupNetIP returns the addresses of a host: IPv4 first, then IPv6. network is
// "ip", "ip4" or "ip6". If one of the two kinds can't be found out, the other is
// returned alone, unless it is empty.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	var list []netip.Addr
	var failed error
	for _, qtype := range typesOf(network) {
		records, err := r.lookup(ctx, host, qtype)
		if isMissing(err) {
			return nil, err
		}
		if err != nil {
			failed = err
		}
		for _, rr := range records {
			if ip, ok := addressIn(rr); ok {
				list = append(list, ip)
			}
		}
	}
	if len(list) == 0 {
		return nil, failed
	}
	return list, nil
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

// plainName takes the final dot off a name other than the root's.
func plainName(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

// lookup returns the records of one type, from the cache if it has them.
func (r *Resolver) lookup(ctx context.Context, name string, qtype uint16) ([]dns.RR, error) {
	if _, ok := dns.IsDomainName(name); !ok {
		return nil, &net.DNSError{Err: "not a domain name", Name: name, IsNotFound: true}
	}
	q := question{strings.ToLower(dns.Fqdn(name)), qtype}
	a, ok := r.remembered(q)
	if !ok {
		var err error
		if a, err = r.resolve(ctx, q); err != nil {
			return nil, err
		}
		r.remember(q, a)
	}
	if a.missing {
		return nil, &net.DNSError{Err: "no such domain", Name: name, IsNotFound: true}
	}
	return a.records, nil
}

// resolve asks the servers, and again for the name that an alias leads to if
// they leave that to us (RFC 1034 3.6.2).
func (r *Resolver) resolve(ctx context.Context, q question) (answer, error) {
	name, until := q.name, r.now().Add(maxTTL)
	for aliases := 0; aliases <= maxAliases; {
		m, err := r.ask(ctx, question{name, q.qtype})
		if err != nil {
			return answer{}, err
		}
		end, n := followAliases(m.Answer, name)
		a := answerIn(m, question{end, q.qtype}, r.now())
		if a.until.After(until) {
			a.until = until
		}
		if n == 0 || a.missing || len(a.records) > 0 {
			return a, nil
		}
		name, until, aliases = end, a.until, aliases+n
	}
	return answer{}, &net.DNSError{Err: "too many aliases (CNAME)", Name: plainName(q.name), IsTemporary: true}
}

// followAliases returns where the CNAMEs in an answer lead from name, and how
// many they are.
func followAliases(records []dns.RR, name string) (end string, n int) {
	for n <= maxAliases {
		next := ""
		for _, rr := range records {
			if c, ok := rr.(*dns.CNAME); ok && strings.EqualFold(c.Hdr.Name, name) {
				next = strings.ToLower(c.Target)
			}
		}
		if next == "" {
			break
		}
		name, n = next, n+1
	}
	return name, n
}

// answerIn takes the answer to q out of a message, and how long it may be kept.
func answerIn(m *dns.Msg, q question, now time.Time) answer {
	a := answer{missing: m.Rcode == dns.RcodeNameError}
	ttl := maxTTL
	for _, rr := range m.Answer {
		h := rr.Header()
		if h.Rrtype != q.qtype && h.Rrtype != dns.TypeCNAME {
			continue
		}
		ttl = min(ttl, time.Duration(h.Ttl)*time.Second)
		if h.Rrtype == q.qtype && strings.EqualFold(h.Name, q.name) {
			a.records = append(a.records, rr)
		}
	}
	if a.missing || len(a.records) == 0 {
		ttl = min(ttl, negativeTTL(m))
	}
	a.until = now.Add(ttl)
	return a
}

func isMissing(err error) bool {
	e, ok := err.(*net.DNSError)
	return ok && e.IsNotFound
}

func (r *Resolver) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}
