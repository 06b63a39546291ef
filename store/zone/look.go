package zone

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of one look: what strangers wrote must not make us ask for ever.
const (
	patience  = 10 * time.Second // for everything
	maxTurns  = 20               // questions at the same time
	maxHosts  = 10               // MX hosts whose addresses are looked up, and names of one address
	maxOthers = 5                // parents of a domain that may have a DMARC record
)

// Lookups ask the DNS. Their errors are *net.DNSError, with IsNotFound if a name
// doesn't exist; a name without records of the type gives an empty list. They end
// with their context.
type Lookups interface {
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupCNAME(ctx context.Context, name string) (string, error)
	LookupSRV(ctx context.Context, name string) ([]*net.SRV, error)
	// CheckSPF says whether mail in a domain's name may come from an address: result
	// is the word of RFC 7208 section 2.6, why the reason in words.
	CheckSPF(ctx context.Context, ip netip.Addr, domain string) (result, why string)
}

// An Answer is what the DNS says to one question. A name that doesn't exist and one
// without such records both give an empty List; Err says why it couldn't be asked.
type Answer[T any] struct {
	List []T
	Err  error
}

// An SPFAnswer is what a record says of mail from an address.
type SPFAnswer struct{ Result, Why string }

// A Sender is mail from an address in the name of a domain.
type Sender struct {
	IP     netip.Addr
	Domain string
}

// Found is what the DNS says, by what was asked.
type Found struct {
	MX      map[string]Answer[*net.MX]
	IP      map[string]Answer[netip.Addr]
	TXT     map[string]Answer[string]
	CNAME   map[string]Answer[string]
	SRV     map[string]Answer[*net.SRV]
	Reverse map[netip.Addr]Answer[string]
	SPF     map[Sender]SPFAnswer
}

// Look asks all that Judge needs to know of a domain, at the same time, and comes
// back after ten seconds with what it has.
func Look(ctx context.Context, f Facts, dns Lookups) Found {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	l := &look{
		dns: dns, turns: make(chan struct{}, maxTurns),
		found: Found{
			make(map[string]Answer[*net.MX]), make(map[string]Answer[netip.Addr]), make(map[string]Answer[string]), make(map[string]Answer[string]),
			make(map[string]Answer[*net.SRV]), make(map[netip.Addr]Answer[string]), make(map[Sender]SPFAnswer),
		},
	}
	l.asking.Go(func() { l.incoming(ctx, f) })
	l.asking.Go(func() { l.host(ctx, f) })
	if !f.Backup {
		l.texts(ctx, f)
		l.aliases(ctx, f)
		l.services(ctx, f)
	}
	l.asking.Wait()
	return l.found
}

// A look is one Look.
type look struct {
	dns    Lookups
	turns  chan struct{}
	asking sync.WaitGroup

	mu    sync.Mutex
	found Found
}

// incoming looks where a domain's mail goes.
func (l *look) incoming(ctx context.Context, f Facts) {
	mx := ask(ctx, l, l.found.MX, f.Domain, func() ([]*net.MX, error) { return l.dns.LookupMX(ctx, f.Domain) })
	for _, mx := range mx.List[:min(len(mx.List), maxHosts)] {
		l.addresses(ctx, lower(mx.Host))
	}
	if len(mx.List) == 0 {
		l.addresses(ctx, f.Domain) // RFC 5321 section 5.1: then its own address counts
	}
}

// host looks at the server's names and at the addresses that mail leaves from.
func (l *look) host(ctx context.Context, f Facts) {
	l.alias(ctx, f.Hostname)
	for _, s := range f.Sources {
		if s.Name != "" {
			l.addresses(ctx, s.Name)
		}
	}
	var published []netip.Addr
	if f.AllChosen || len(f.Sending) > 0 {
		l.addresses(ctx, f.Hostname)
	} else {
		published = l.ip(ctx, f.Hostname).List
	}
	if f.Backup {
		return
	}
	for _, s := range f.senders(published) {
		l.asking.Go(func() { l.reverse(ctx, s.IP) })
		for _, domain := range []string{f.Domain, s.Name} {
			l.asking.Go(func() { l.spf(ctx, Sender{s.IP, domain}) })
		}
		if s.Name != f.Hostname {
			l.text(ctx, s.Name)
		}
	}
	l.text(ctx, f.Hostname)
}

// senders returns the addresses that mail of the domain leaves from, each with the
// name that it gives. Where the server can't know them, they are those that the DNS
// gives for its name.
func (f Facts) senders(published []netip.Addr) []Source {
	list := slices.Clone(f.Sources)
	if !f.AllChosen {
		ips := f.Sending
		if len(ips) == 0 {
			ips = published
		}
		for _, ip := range ips {
			list = append(list, Source{IP: ip})
		}
	}
	var named []Source
	seen := make(map[netip.Addr]bool)
	for _, s := range list {
		if s.Name == "" {
			s.Name = f.Hostname
		}
		if !seen[s.IP] {
			named = append(named, s)
		}
		seen[s.IP] = true
	}
	return named
}

// reverse looks for the names of an address, and where they lead.
func (l *look) reverse(ctx context.Context, ip netip.Addr) {
	names := ask(ctx, l, l.found.Reverse, ip, func() ([]string, error) { return l.dns.LookupAddr(ctx, ip.String()) })
	for _, name := range names.List[:min(len(names.List), maxHosts)] {
		l.addresses(ctx, lower(name))
	}
}

func (l *look) spf(ctx context.Context, s Sender) {
	select {
	case l.turns <- struct{}{}:
	case <-ctx.Done():
		return // no answer
	}
	result, why := l.dns.CheckSPF(ctx, s.IP, s.Domain)
	<-l.turns
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found.SPF[s] = SPFAnswer{result, why}
}

// texts looks at the TXT records that say who may send in a domain's name.
func (l *look) texts(ctx context.Context, f Facts) {
	names := []string{f.Domain, "_mta-sts." + f.Domain, "_smtp._tls." + f.Domain}
	for _, k := range f.Keys {
		names = append(names, k.Name)
	}
	for _, name := range append(names, dmarcNames(f.Domain)...) {
		l.text(ctx, name)
	}
}

// dmarcNames are where a domain's DMARC record may stand: the domain's own, else one
// above it that has one (RFC 9989).
func dmarcNames(domain string) []string {
	var names []string
	for name := domain; strings.Contains(name, ".") && len(names) <= maxOthers; {
		names = append(names, "_dmarc."+name)
		_, name, _ = strings.Cut(name, ".")
	}
	return names
}

// aliases looks at the names in the domain that are to lead to this server.
func (l *look) aliases(ctx context.Context, f Facts) {
	for _, name := range []string{"mta-sts." + f.Domain, "autoconfig." + f.Domain, "autodiscover." + f.Domain} {
		l.alias(ctx, name)
		l.addresses(ctx, name)
	}
}

func (l *look) services(ctx context.Context, f Facts) {
	for _, s := range services(f) {
		l.asking.Go(func() {
			ask(ctx, l, l.found.SRV, s.name, func() ([]*net.SRV, error) { return l.dns.LookupSRV(ctx, s.name) })
		})
	}
}

func (l *look) text(ctx context.Context, name string) {
	l.asking.Go(func() {
		ask(ctx, l, l.found.TXT, name, func() ([]string, error) { return l.dns.LookupTXT(ctx, name) })
	})
}

func (l *look) alias(ctx context.Context, name string) {
	l.asking.Go(func() {
		ask(ctx, l, l.found.CNAME, name, func() ([]string, error) {
			target, err := l.dns.LookupCNAME(ctx, name)
			if target == "" {
				return nil, err
			}
			return []string{target}, err
		})
	})
}

func (l *look) addresses(ctx context.Context, name string) { l.asking.Go(func() { l.ip(ctx, name) }) }

func (l *look) ip(ctx context.Context, name string) Answer[netip.Addr] {
	return ask(ctx, l, l.found.IP, name, func() ([]netip.Addr, error) { return l.dns.LookupNetIP(ctx, "ip", name) })
}

// ask asks one question when its turn has come, and notes the answer.
func ask[K comparable, T any](ctx context.Context, l *look, into map[K]Answer[T], key K, question func() ([]T, error)) Answer[T] {
	var a Answer[T]
	select {
	case l.turns <- struct{}{}:
		a.List, a.Err = question()
		<-l.turns
	case <-ctx.Done():
		a.Err = ctx.Err()
	}
	var missing *net.DNSError
	if errors.As(a.Err, &missing) && missing.IsNotFound {
		a = Answer[T]{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	into[key] = a
	return a
}

// lower is how names are compared.
func lower(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
