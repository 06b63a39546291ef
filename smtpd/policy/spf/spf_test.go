package spf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// A fakeDNS has TXT records; "broken" is no answer. Every host has the address
// 192.0.2.1.
type fakeDNS struct {
	txt   map[string]string
	asked int
}

func (f *fakeDNS) LookupTXT(_ context.Context, name string) ([]string, error) {
	f.asked++
	switch record, ok := f.txt[name]; {
	case record == "broken":
		return nil, errors.New("no answer")
	case ok:
		return []string{"something else", record}, nil
	}
	return nil, fmt.Errorf("ask: %w", &net.DNSError{Name: name, IsNotFound: true})
}

func (f *fakeDNS) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	f.asked++
	return []*net.MX{{Host: "mx." + name}}, nil
}

func (f *fakeDNS) LookupNetIP(_ context.Context, network, _ string) ([]netip.Addr, error) {
	f.asked++
	if network != "ip4" && network != "ip6" {
		return nil, errors.New("asked for " + network)
	}
	return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1")}, nil
}

func (f *fakeDNS) LookupAddr(context.Context, string) ([]string, error) {
	f.asked++
	return []string{"Host.Ptr.test."}, nil
}

func TestCheck(t *testing.T) {
	dns := &fakeDNS{txt: map[string]string{
		"ip.test":          "v=spf1 ip4:192.0.2.0/24 -all",
		"twice.test":       "v=spf1 include:other.test include:ip.test -all",
		"other.test":       "v=spf1 -all",
		"redirect.test":    "v=spf1 redirect=%{d1r}.to.test",
		"redirect.to.test": "v=spf1 ?all",
		"local.test":       "v=spf1 exists:%{l}.users.test -all",
		"ptr.test":         "v=spf1 ptr -all",
		"name.test":        "v=spf1 include:%{p} -all",
		"mapped.test":      "v=spf1 ip6:::ffff:192.0.2.0/120 -all",
		"broken.test":      "broken",
		"inner.test":       "v=spf1 include:broken.test -all",
		"end.test":         "v=spf1 ip4:192.0.2.9",
		"late.test":        "v=spf1 +all ip4:nonsense",
		"empty.test":       "v=spf1",
		"notone.test":      "v=spf10 -all",
	}}
	for _, tt := range []struct{ it, sender, want string }{
		{"names the network that matched", "s@ip.test", "pass ip4:192.0.2.0/24 in ip.test"},
		{"names the record that includes, not the included one", "s@twice.test", "pass include:ip.test in twice.test"},
		{"names the record that another leads to", "s@redirect.test", "neutral ?all in redirect.to.test"},
		{"asks for the local part", "s@local.test", "pass exists:%{l}.users.test in local.test"},
		{"asks for the client's name", "s@ptr.test", "pass ptr in ptr.test"},
		{"has the client's name in macros", "s@name.test", "permerror: include: there is no domain host.ptr.test"},
		{"knows an IPv4 address in IPv6's clothes", "s@mapped.test", "pass ip6:::ffff:192.0.2.0/120 in mapped.test"},
		{"takes trouble for temporary", "s@broken.test", "temperror: no answer"},
		{"takes that of an included record for temporary too", "s@inner.test", "temperror: no answer"},
		{"is neutral if nothing matches", "s@end.test", "neutral  in end.test"},
		{"finds a mistake behind what matches", "s@late.test", "permerror: the record holds what isn't a mechanism: ip4:nonsense"},
		{"knows a record that says nothing", "s@empty.test", "neutral  in empty.test"},
		{"sees that there is no record", "s@notone.test", "none: notone.test has no SPF record"},
		{"sees that there is no domain", "s@missing.test", "none: there is no domain missing.test"},
	} {
		local, domain, _ := strings.Cut(tt.sender, "@")
		a := Check(t.Context(), dns, Query{IP: netip.MustParseAddr("192.0.2.1"), Helo: "client.test", Local: local, Domain: domain})
		got := fmt.Sprintf("%s %s in %s", a.Result, a.Matched, a.Domain)
		if a.Problem != "" {
			got = fmt.Sprintf("%s: %s", a.Result, a.Problem)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.it, got, tt.want)
		}
	}
}

// TestBounds: whatever is in the records, there is an end to it.
func TestBounds(t *testing.T) {
	dns := &fakeDNS{txt: map[string]string{
		"circle.test":   "v=spf1 include:circle.test include:circle.test -all",
		"redirect.test": "v=spf1 redirect=redirect.test",
		"large.test":    "v=spf1" + strings.Repeat(" ip4:198.51.100.1", 4000) + " -all",
		"hosts.test":    "v=spf1" + strings.Repeat(" a:other.invalid", 4000) + " -all",
		"macros.test":   "v=spf1 exists:" + strings.Repeat("%{d}", 10000) + ".test -all",
		"names.test":    "v=spf1" + strings.Repeat(" mx:a.test/32", 60) + " -all",
	}}
	for domain, want := range map[string]Result{
		"circle.test": PermError, "redirect.test": PermError, "large.test": Fail, "hosts.test": PermError, "macros.test": Pass, "names.test": PermError,
	} {
		dns.asked = 0
		a := Check(t.Context(), dns, Query{IP: netip.MustParseAddr("203.0.113.7"), Domain: domain})
		if a.Result != want || dns.asked > 25 {
			t.Errorf("%s: %s (%s) after %d questions, want %s", domain, a.Result, a.Problem, dns.asked, want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("a:%{l1r-.}.x.test//64 mx/24 ptr include:fuzz.test exp=%{p}.test ?all")
	f.Add("redirect=%{h}.%{v}.test exists:%{i}._%{s}")
	f.Fuzz(func(t *testing.T, terms string) {
		dns := &fakeDNS{txt: map[string]string{"fuzz.test": "v=spf1 " + terms}}
		a := Check(t.Context(), dns, Query{IP: netip.MustParseAddr("2001:db8::1"), Helo: "h", Local: "l", Domain: "fuzz.test"})
		if a.Result == "" || dns.asked > 150 || (a.Problem == "") != (a.Result == Pass || a.Result == Fail || a.Result == SoftFail || a.Result == Neutral) {
			t.Errorf("%+v after %d questions", a, dns.asked)
		}
	})
}
