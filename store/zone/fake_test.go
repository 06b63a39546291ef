package zone

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"postroom/smtpd/policy/spf"
)

// names answers from records in master file format. A line "NAME TYPE! ERROR" says
// what goes wrong with a question.
type names struct {
	records []dns.RR
	fails   map[string]error // by "name TYPE"
}

func newNames(t *testing.T, lines ...string) *names {
	t.Helper()
	n := &names{fails: make(map[string]error)}
	for _, line := range lines {
		if question, failure, ok := strings.Cut(line, "! "); ok {
			n.fails[question] = &net.DNSError{Err: failure, IsTemporary: true, IsTimeout: failure == "timed out"}
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		n.records = append(n.records, rr)
	}
	return n
}

// ask returns the records of one type, of the name that a name is an alias of.
func (n *names) ask(name, kind string) ([]dns.RR, error) {
	name = lower(name)
	if err := n.fails[name+" "+kind]; err != nil {
		return nil, err
	}
	var found []dns.RR
	exists := false
	for _, rr := range n.records {
		if lower(rr.Header().Name) != name {
			exists = exists || strings.HasSuffix(lower(rr.Header().Name), "."+name)
			continue
		}
		exists = true
		if alias, ok := rr.(*dns.CNAME); ok && kind != "CNAME" {
			return n.ask(alias.Target, kind)
		}
		if dns.TypeToString[rr.Header().Rrtype] == kind {
			found = append(found, rr)
		}
	}
	if !exists {
		return nil, &net.DNSError{Err: "no such domain", Name: name, IsNotFound: true}
	}
	return found, nil
}

func (n *names) LookupMX(_ context.Context, domain string) (list []*net.MX, err error) {
	found, err := n.ask(domain, "MX")
	for _, rr := range found {
		list = append(list, &net.MX{Host: undotted(rr.(*dns.MX).Mx), Pref: rr.(*dns.MX).Preference})
	}
	return list, err
}

func (n *names) LookupNetIP(_ context.Context, _, host string) (list []netip.Addr, err error) {
	four, err := n.ask(host, "A")
	six, err6 := n.ask(host, "AAAA")
	for _, rr := range slices.Concat(four, six) {
		ip, _ := netip.ParseAddr(strings.Fields(rr.String())[4])
		list = append(list, ip)
	}
	if err == nil {
		err = err6
	}
	return list, err
}

func (n *names) LookupTXT(_ context.Context, name string) (list []string, err error) {
	found, err := n.ask(name, "TXT")
	for _, rr := range found {
		list = append(list, strings.Join(rr.(*dns.TXT).Txt, ""))
	}
	return list, err
}

func (n *names) LookupAddr(_ context.Context, addr string) (list []string, err error) {
	reverse, _ := dns.ReverseAddr(addr)
	found, err := n.ask(reverse, "PTR")
	for _, rr := range found {
		list = append(list, lower(rr.(*dns.PTR).Ptr))
	}
	return list, err
}

func (n *names) LookupCNAME(_ context.Context, name string) (string, error) {
	found, err := n.ask(name, "CNAME")
	if len(found) == 0 {
		return "", err
	}
	return lower(found[0].(*dns.CNAME).Target), err
}

func (n *names) LookupSRV(_ context.Context, name string) (list []*net.SRV, err error) {
	found, err := n.ask(name, "SRV")
	for _, rr := range found {
		s := rr.(*dns.SRV)
		list = append(list, &net.SRV{Target: undotted(s.Target), Port: s.Port, Priority: s.Priority, Weight: s.Weight})
	}
	return list, err
}

func (n *names) CheckSPF(ctx context.Context, ip netip.Addr, domain string) (result, why string) {
	a := spf.Check(ctx, n, spf.Query{IP: ip, Domain: domain, Helo: domain})
	return string(a.Result), a.Problem
}

// undotted is how the resolver gives names: only the root keeps its dot.
func undotted(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}
