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
func planned(plan Plan) string {
	var groups []string
	for _, group := range plan.Groups {
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
		name, domain, relay, fallback string
		backup                        bool
		want                          string
		err                           error
	}{
		{"MX by preference, equals together", "a.test", "", "", false, "mx1.a.test:25 mx2.a.test:25 | mx3.a.test:25", nil},
		{"a host once", "twice.test", "", "", false, "mx.test:25", nil},
		{"the domain itself without MX", "plain.test", "", "", false, "plain.test:25", nil},
		{"an address literal", "[192.0.2.7]", "", "", false, "[192.0.2.7]:25", nil},
		{"null MX", "null.test", "", "smart.test:26", false, "", ErrNullMX},
		{"null MX beside others is none", "mixed.test", "", "", false, "mx.test:25", nil},
		{"only unusable MX", "bad.test", "", "", false, "", ErrNoHost},
		{"no such domain", "gone.test", "", "", false, "", ErrNoDomain},
		{"no address", "empty.test", "", "", false, "", ErrNoHost},
		{"DNS fails", "broken.test", "", "", false, "", errTemporary},
		{"DNS fails for the address", "sick.test", "", "", false, "", errTemporary},
		{"everything to a relay", "gone.test", "Smart.test:587", "", false, "smart.test:587", nil},
		{"a relay before the fallback", "a.test", "smart.test:587", "relay.test:26", false, "smart.test:587", nil},
		{"a relay by address", "gone.test", "[2001:db8::1]:587", "", false, "[2001:db8::1]:587", nil},
		{"the fallback relay last", "plain.test", "", "relay.test:26", false, "plain.test:25 | relay.test:26", nil},
		{"a fallback relay without port", "plain.test", "", "relay.test", false, "", errTemporary},
		{"no fallback relay for what we hold", "plain.test", "", "relay.test:26", true, "plain.test:25", nil},
		{"what we hold waits for its domain", "gone.test", "", "", true, "", errTemporary},
		{"what we hold waits for its host", "empty.test", "", "", true, "", errTemporary},
		{"null MX for what we hold", "null.test", "", "", true, "", ErrNullMX},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &Router{
				Resolver: dns, Hostname: "mail.our.test", Port: 25, Fallback: test.fallback,
				Shuffle: func(int, func(i, j int)) {},
			}
			d := Destination{Domain: test.domain, Backup: test.backup}
			if test.relay != "" {
				relay, err := ParseRelay(test.relay)
				if err != nil {
					t.Fatal(err)
				}
				d.Relay = &relay
			}
			plan, err := r.Plan(t.Context(), d)
			if err == nil && strings.ReplaceAll(planned(plan), "[[192.0.2.7]]", "[192.0.2.7]") != test.want {
				t.Errorf("the plan is %q, want %q", planned(plan), test.want)
			}
			checkError(t, err, test.err)
		})
	}
}

func TestParseRelay(t *testing.T) {
	for text, want := range map[string]string{
		"Smart.Test.:587": "smart.test:587", "[::1]:25": "[::1]:25", "smart.test": "", "smart.test:0": "", "smart.test:x": "", "": "",
	} {
		relay, err := ParseRelay(text)
		if err == nil && relay.String() != want || (err != nil) != (want == "") {
			t.Errorf("%q is %q, %v", text, relay.String(), err)
		}
	}
	if _, err := (&Router{}).Plan(t.Context(), Destination{Relay: &Relay{Host: "smart.test"}}); err == nil {
		t.Error("a relay without port is planned for")
	}
}

// signing vouches for the MX records of one domain.
type signing struct {
	table
	domain string
}

func (s signing) AuthenticMX(ctx context.Context, domain string) ([]*net.MX, bool, error) {
	list, err := s.LookupMX(ctx, domain)
	return list, domain == s.domain, err
}

func TestAuthenticPlans(t *testing.T) {
	dns := table{mx: map[string]string{"signed.test": "10 mx.test", "plain.test": "10 mx.test"}, hosts: map[string]string{"bare.test": "192.0.2.1"}}
	r := &Router{Resolver: signing{dns, "signed.test"}, Port: 25}
	for domain, want := range map[string]bool{"signed.test": true, "plain.test": false, "bare.test": true, "[192.0.2.1]": false} {
		if plan, err := r.Plan(t.Context(), Destination{Domain: domain}); plan.Authentic != want || err != nil {
			t.Errorf("the plan for %s is authentic: %v, %v", domain, plan.Authentic, err)
		}
	}
}

func TestOurOtherNames(t *testing.T) {
	r := &Router{Resolver: table{mx: map[string]string{"a.test": "10 Out.our.test"}, hosts: map[string]string{"out.our.test": "192.0.2.1"}}}
	plan, err := r.Plan(t.Context(), Destination{Domain: "a.test", Ours: []string{"out.our.test"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Addresses(t.Context(), plan.Groups[0][0])
	checkError(t, err, ErrLoop)
}

func TestPublicAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"192.0.2.1": true, "2001:db8::1": true, "2600::1": true,
		"127.0.0.1": false, "::1": false, "10.1.2.3": false, "0.1.2.3": false, "100.64.0.1": false, "fe80::1": false, "fd00::1": false,
		"::ffff:10.0.0.1": false, "::ffff:192.0.2.1": true, "::127.0.0.1": false, "::ffff:0:10.0.0.1": false,
		"64:ff9b::10.0.0.1": false, "64:ff9b::192.0.2.1": true, "64:ff9b:1::192.0.2.1": false,
		"2002:a00:1::1": false, "2002:7f00:1::": false, "2002:c000:201::1": true, "2001:0:a00:1::1": false, "100::1": false,
	} {
		if got := IsPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %v", text, got)
		}
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
		plan, err := r.Plan(t.Context(), Destination{Domain: "a.test"})
		if err != nil || len(plan.Groups) != 2 || plan.Groups[1][0].Name != "last.test" {
			t.Fatal(planned(plan), err)
		}
		seen[plan.Groups[0][0].Name] = true
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
		"many.test":     "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 2001:db8::1",
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
		{"both families in turn, and not too many", Host{Name: "many.test"}, false, "[192.0.2.1:25 [2001:db8::1]:25 192.0.2.2:25 192.0.2.3:25]", nil},
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
				Resolver: dns, Hostname: "mail.our.test", Private: test.private, Shuffle: func(int, func(i, j int)) {},
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
