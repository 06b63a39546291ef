// Package resolver looks up the DNS records that mail needs. It asks recursive
// servers and follows what they say; it is not one itself, and validates no
// signature: whether an answer is authentic is believed from a server on this
// machine alone.
package resolver

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	defaultTimeout = 3 * time.Second
	maxAliases     = 10 // CNAMEs in a row
)

// A Resolver asks DNS servers. Its zero value asks the system's. It may be used
// by many goroutines at once; its fields are not changed after the first use.
//
// Every error is a *net.DNSError: with IsNotFound if the name doesn't exist
// (NXDOMAIN), with IsTemporary if that couldn't be found out. A name that exists
// but has no such records gives an empty list and no error. LookupMX, LookupNetIP,
// LookupTXT and LookupAddr can stand in for *net.Resolver's.
//
// Authentic means that the server has validated the answer and every alias on
// the way to it (DNSSEC), and that the server is on this machine: from anywhere
// else, its word could have been changed on the way.
type Resolver struct {
	Servers []string         // "ip:port", asked in order; empty: those of /etc/resolv.conf
	Timeout time.Duration    // for one question to one server; zero: 3 s
	Log     *slog.Logger     // nil: nothing is logged
	Now     func() time.Time // nil: time.Now

	mu      sync.Mutex
	cache   map[question]answer
	octets  int // of the records in cache
	flights map[question]*flight
	peers   map[string]*peer
}

// A question is what is asked for: a name in lower case with its final dot.
type question struct {
	name  string
	qtype uint16
}

// An answer is what the servers know: records of the type that was asked for,
// none if there are none, or that the name doesn't exist.
type answer struct {
	records   []dns.RR
	name      string // where the aliases of the question's name lead
	missing   bool   // NXDOMAIN
	authentic bool
	until     time.Time
}

// lookup returns what is known of the records of one type: from the cache, from
// somebody who is asking just now, or from the servers.
func (r *Resolver) lookup(ctx context.Context, name string, qtype uint16) (answer, error) {
	if _, ok := dns.IsDomainName(name); !ok {
		return answer{}, missing(name, "not a domain name")
	}
	q := question{strings.ToLower(dns.Fqdn(name)), qtype}
	a, err := r.together(ctx, q)
	switch {
	case err != nil:
		return answer{}, err
	case a.missing:
		return answer{}, missing(name, "no such domain")
	}
	return a, nil
}

func missing(name, why string) error {
	return &net.DNSError{Err: why, Name: name, IsNotFound: true}
}

// resolve asks the servers, and again for the name that an alias leads to if
// they leave that to us (RFC 1034 3.6.2).
func (r *Resolver) resolve(ctx context.Context, q question) (answer, error) {
	so := answer{name: q.name, authentic: true, until: r.now().Add(maxTTL)}
	for aliases := 0; aliases <= maxAliases; {
		m, authentic, err := r.ask(ctx, question{so.name, q.qtype})
		if err != nil {
			return answer{}, err
		}
		end, n := so.name, 0
		if q.qtype != dns.TypeCNAME {
			end, n = followAliases(m.Answer, so.name)
		}
		a := answerIn(m, question{end, q.qtype}, r.now())
		a.authentic = so.authentic && authentic
		if a.until.After(so.until) {
			a.until = so.until
		}
		if n == 0 || a.missing || len(a.records) > 0 {
			return a, nil
		}
		so, aliases = a, aliases+n
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
	a := answer{name: q.name, missing: m.Rcode == dns.RcodeNameError}
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

// plainName takes the final dot off a name other than the root's.
func plainName(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
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
