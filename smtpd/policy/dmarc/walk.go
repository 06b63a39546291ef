package dmarc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// maxQueries is how many names a walk asks for (RFC 9989 section 4.10).
const maxQueries = 8

// A Resolver looks up records, and whether a domain exists. A name that doesn't is a
// *net.DNSError with IsNotFound; any other error is taken for a temporary one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// A Walker looks for records. It is for one message, and remembers what it has found:
// its zero value with a resolver is ready. It may be used by many goroutines at once.
type Walker struct {
	DNS     Resolver
	Explain func(format string, args ...any) // is told each step; nil: nobody

	mu    sync.Mutex
	found map[string]*answer
}

// An answer is what is at the name of one domain.
type answer struct {
	once   sync.Once
	record *Record // nil: none
	err    error
}

// at returns the record of one domain, nil if there is none. Several are none.
func (w *Walker) at(ctx context.Context, domain string) (*Record, error) {
	w.mu.Lock()
	a := w.found[domain]
	if a == nil {
		if w.found == nil {
			w.found = make(map[string]*answer, 4)
		}
		a = &answer{}
		w.found[domain] = a
	}
	w.mu.Unlock()
	a.once.Do(func() { a.record, a.err = w.look(ctx, domain) })
	return a.record, a.err
}

func (w *Walker) look(ctx context.Context, domain string) (*Record, error) {
	list, err := w.DNS.LookupTXT(ctx, "_dmarc."+domain)
	if err != nil && !isMissing(err) {
		w.explain("DMARC: _dmarc.%s: %v", domain, err)
		return nil, fmt.Errorf("look up the DMARC record of %s: %w", domain, err)
	}
	text, n := "", 0
	for _, txt := range list {
		if IsRecord(txt) {
			text, n = txt, n+1
		}
	}
	if n != 1 {
		w.explain("DMARC: _dmarc.%s: %s", domain, [2]string{"no record", "more than one record, so none"}[min(n, 1)])
		return nil, nil
	}
	w.explain("DMARC: _dmarc.%s: %s", domain, text)
	r := Parse(text)
	return &r, nil
}

func (w *Walker) explain(format string, args ...any) {
	if w.Explain != nil {
		w.Explain(format, args...)
	}
}

// A step is a domain of a walk with what is there.
type step struct {
	domain string
	record *Record
}

// steps returns the records above and at a domain, from the longest name to the
// shortest, as far as a walk goes. All names are asked for at once: the wait is for
// the slowest answer, and none of them is asked for often.
func (w *Walker) steps(ctx context.Context, domain string) ([]step, error) {
	names := walk(domain)
	var asking sync.WaitGroup
	for _, name := range names[1:] {
		asking.Go(func() { _, _ = w.at(ctx, name) }) // remembered, error and all
	}
	_, _ = w.at(ctx, domain)
	asking.Wait()
	var list []step
	for _, name := range names {
		r, err := w.at(ctx, name)
		if err != nil {
			return nil, err
		}
		if r == nil {
			continue
		}
		list = append(list, step{name, r})
		if r.PSD != "u" {
			break
		}
	}
	return list, nil
}

// walk returns the names that a walk asks for: the domain's own, and those above it;
// of a long one the seven shortest (section 4.10).
func walk(domain string) []string {
	names := []string{domain}
	labels := strings.Split(domain, ".")
	for i := max(1, len(labels)-maxQueries+1); i < len(labels); i++ {
		names = append(names, strings.Join(labels[i:], "."))
	}
	return names
}

// Organization returns the domain of the organization that a domain belongs to
// (section 4.10.2): the domain itself if nothing says otherwise.
func (w *Walker) Organization(ctx context.Context, domain string) (string, error) {
	list, err := w.steps(ctx, domain)
	if err != nil {
		return "", err
	}
	return organization(domain, list), nil
}

func organization(domain string, list []step) string {
	for _, s := range list {
		switch {
		case s.record.PSD == "n":
			return s.domain
		case s.record.PSD == "y" && s.domain != domain:
			return below(s.domain, domain)
		}
	}
	if len(list) == 0 {
		return domain
	}
	return list[len(list)-1].domain
}

// below returns the name one label longer than suffix on the way to domain.
func below(suffix, domain string) string {
	rest := strings.TrimSuffix(domain, "."+suffix)
	return rest[strings.LastIndexByte(rest, '.')+1:] + "." + suffix
}

// exists reports whether there is a domain in the DNS: it doesn't only where each
// question about it is answered so (RFC 8020).
func (w *Walker) exists(ctx context.Context, domain string) (bool, error) {
	var missing [2]error
	var asking sync.WaitGroup
	asking.Go(func() { _, missing[0] = w.DNS.LookupNetIP(ctx, "ip", domain) })
	_, missing[1] = w.DNS.LookupMX(ctx, domain)
	asking.Wait()
	for _, err := range missing {
		if err == nil {
			return true, nil
		}
	}
	for _, err := range missing {
		if !isMissing(err) {
			return false, fmt.Errorf("look for the domain %s: %w", domain, err)
		}
	}
	w.explain("DMARC: %s doesn't exist", domain)
	return false, nil
}

func isMissing(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}
