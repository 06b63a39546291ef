package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"postroom/store/mail"
)

type table struct {
	mx    map[string]string // "10 a, 20 b"
	hosts map[string]string // "192.0.2.1 2001:db8::1"
}

func (d table) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	text, ok := d.mx[domain]
	_, exists := d.hosts[domain]
	switch {
	case text == "broken":
		return nil, errors.New("server answered SERVFAIL")
	case !ok && !exists:
		return nil, &net.DNSError{Name: domain, Err: "no such domain", IsNotFound: true}
	}
	var list []*net.MX
	for one := range strings.SplitSeq(text, ", ") {
		mx := &net.MX{}
		if n, _ := fmt.Sscan(one, &mx.Pref, &mx.Host); n == 2 {
			list = append(list, mx)
		}
	}
	return list, nil
}

func (d table) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	text, ok := d.hosts[host]
	switch {
	case text == "broken":
		return nil, errors.New("server answered SERVFAIL")
	case !ok:
		return nil, &net.DNSError{Name: host, Err: "no such domain", IsNotFound: true}
	}
	var list []netip.Addr
	for one := range strings.FieldsSeq(text) {
		list = append(list, netip.MustParseAddr(one))
	}
	return list, nil
}

// planned writes a plan as "a b | c": groups of hosts.
func planned(plan [][]Host) string {
	var groups []string
	for _, group := range plan {
		var names []string
		for _, h := range group {
			names = append(names, net.JoinHostPort(h.Name, fmt.Sprint(h.Port)))
		}
		groups = append(groups, strings.Join(names, " "))
	}
	return strings.Join(groups, " | ")
}

func TestPlan(t *testing.T) {
	dns := table{
		mx: map[string]string{
			"a.test": "20 mx3.a.test, 10 MX1.a.test., 10 mx2.a.test.", "twice.test": "10 mx.test., 20 mx.test.",
			"null.test": "0 .", "mixed.test": "0 ., 10 mx.test.", "broken.test": "broken", "bad.test": "10 192.0.2.1, 20 a/b.test.",
		},
		hosts: map[string]string{"plain.test": "192.0.2.1", "empty.test": "", "sick.test": "broken"},
	}
	for _, test := range []struct {
		name, domain, smarthost, fallback string
		want                              string
		err                               error
	}{
		{"MX by preference, equals together", "a.test", "", "", "mx1.a.test:25 mx2.a.test:25 | mx3.a.test:25", nil},
		{"a host once", "twice.test", "", "", "mx.test:25", nil},
		{"the domain itself without MX", "plain.test", "", "", "plain.test:25", nil},
		{"an address literal", "[192.0.2.7]", "", "", "[[192.0.2.7]]:25", nil},
		{"null MX", "null.test", "", "smart.test:26", "", ErrNullMX},
		{"null MX beside others is none", "mixed.test", "", "", "mx.test:25", nil},
		{"only unusable MX", "bad.test", "", "", "", ErrNoHost},
		{"no such domain", "gone.test", "", "", "", ErrNoDomain},
		{"no address", "empty.test", "", "", "", ErrNoHost},
		{"DNS fails", "broken.test", "", "", "", errTemporary},
		{"DNS fails for the address", "sick.test", "", "", "", errTemporary},
		{"everything to the smarthost", "gone.test", "smart.test:587", "", "smart.test:587", nil},
		{"a smarthost by address", "gone.test", "[2001:db8::1]:587", "", "[2001:db8::1]:587", nil},
		{"a smarthost without port", "gone.test", "smart.test", "", "", errTemporary},
		{"the fallback relay last", "plain.test", "", "relay.test:26", "plain.test:25 | relay.test:26", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &Router{
				Resolver: dns, Hostname: "mail.our.test", Port: 25, Smarthost: test.smarthost, Fallback: test.fallback,
				Shuffle: func(int, func(i, j int)) {},
			}
			plan, err := r.Plan(t.Context(), test.domain)
			if err == nil && planned(plan) != strings.ReplaceAll(test.want, "[[192.0.2.7]]", "[192.0.2.7]") {
				t.Errorf("the plan is %q, want %q", planned(plan), test.want)
			}
			checkError(t, err, test.err)
		})
	}
}

// errTemporary stands for any error that isn't a Status.
var errTemporary = errors.New("temporary")

func checkError(t *testing.T, err, want error) {
	t.Helper()
	var status mail.Status
	final := errors.As(err, &status)
	switch {
	case want == errTemporary:
		if err == nil || final {
			t.Errorf("the error is %v, want a temporary one", err)
		}
	case !errors.Is(err, want):
		t.Errorf("the error is %v, want %v", err, want)
	}
}

func TestEqualHostsAreMixed(t *testing.T) {
	r := &Router{Resolver: table{mx: map[string]string{"a.test": "10 x.test, 10 y.test, 10 z.test, 20 last.test"}}, Port: 25}
	seen := make(map[string]bool)
	for range 200 {
		plan, err := r.Plan(t.Context(), "a.test")
		if err != nil || len(plan) != 2 || plan[1][0].Name != "last.test" {
			t.Fatal(planned(plan), err)
		}
		seen[plan[0][0].Name] = true
	}
	if len(seen) != 3 {
		t.Errorf("first come only %v", seen)
	}
}

func TestAddresses(t *testing.T) {
	dns := table{hosts: map[string]string{
		"public.test": "192.0.2.1 2001:db8::1", "mixed.test": "10.0.0.1 192.0.2.1", "empty.test": "", "sick.test": "broken",
		"private.test":  "10.0.0.1 172.16.3.4 192.168.0.1 127.0.0.1 0.0.0.0 169.254.1.1 100.64.0.1 224.0.0.1 255.255.255.255 ::1 :: fe80::1 fd00::1 ff02::1 ::ffff:127.0.0.1",
		"self.test":     "192.0.2.9",
		"mail.our.test": "192.0.2.10",
	}}
	for _, test := range []struct {
		name    string
		host    Host
		private bool
		want    string
		err     error
	}{
		{"all of them", Host{Name: "public.test"}, false, "[192.0.2.1:25 [2001:db8::1]:25]", nil},
		{"no private ones", Host{Name: "mixed.test"}, false, "[192.0.2.1:25]", nil},
		{"private ones if they may be", Host{Name: "mixed.test"}, true, "[10.0.0.1:25 192.0.2.1:25]", nil},
		{"private ones that the admin chose", Host{Name: "mixed.test", Chosen: true}, false, "[10.0.0.1:25 192.0.2.1:25]", nil},
		{"only private ones", Host{Name: "private.test"}, false, "[]", ErrPrivate},
		{"none", Host{Name: "empty.test"}, false, "[]", ErrNoHost},
		{"no such host", Host{Name: "gone.test"}, false, "[]", ErrNoHost},
		{"no such relay", Host{Name: "gone.test", Chosen: true}, false, "[]", errTemporary},
		{"DNS fails", Host{Name: "sick.test"}, false, "[]", errTemporary},
		{"our address", Host{Name: "self.test"}, false, "[]", ErrLoop},
		{"our name", Host{Name: "mail.our.test"}, false, "[]", ErrLoop},
		{"a relay that is ourselves", Host{Name: "self.test", Chosen: true}, false, "[]", errTemporary},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &Router{
				Resolver: dns, Hostname: "mail.our.test", Private: test.private,
				Self: func(at netip.AddrPort) bool { return at.Addr() == netip.MustParseAddr("192.0.2.9") },
			}
			test.host.Port = 25
			list, err := r.Addresses(t.Context(), test.host)
			if fmt.Sprint(list) != test.want {
				t.Errorf("found %v, want %s", list, test.want)
			}
			checkError(t, err, test.err)
		})
	}
}
