package delivery

import (
	"fmt"
	"net/netip"
	"testing"

	"postroom/delivery/route"
	"postroom/store"
)

// described writes a next as "key > relay tls pool flags".
func described(n next) string {
	text := n.key
	if n.relay != nil {
		text += " > " + n.relay.User + "@" + n.relay.String()
	}
	text += " tls=" + policyWord(n.tls)
	for _, s := range n.pool {
		text += " " + s.IP.String()
	}
	if n.shared {
		text += " shared"
	}
	if n.backup {
		text += " backup"
	}
	return text
}

func TestNext(t *testing.T) {
	const alice, bob = store.AccountID(7), store.AccountID(8)
	aliceFor := store.For{Account: alice, Address: "alice@our.test"}
	source := func(ip string, f store.For) store.Source { return store.Source{IP: netip.MustParseAddr(ip), For: f} }
	relay := func(domain, host string, f store.For) store.Route {
		return store.Route{Domain: domain, Host: host, Port: 587, For: f}
	}
	byMX := func(domain string, p store.TLSPolicy, f store.For) store.Route {
		return store.Route{Domain: domain, TLS: p, For: f}
	}
	for _, test := range []struct {
		name      string
		lane      store.Lane
		ways      store.Ways
		smarthost string
		want      string
	}{
		{name: "by MX", lane: store.Lane{Domain: "x.test"}, want: "x.test tls=may"},
		{
			name: "everything to the smarthost", lane: store.Lane{Domain: "x.test"}, smarthost: "smart.test:26",
			want: "relay smart.test:26 > @smart.test:26 tls=may shared",
		},
		{
			name: "a smarthost that makes no sense is one still", lane: store.Lane{Domain: "x.test"}, smarthost: "smart.test",
			want: "relay smart.test:0 > @smart.test:0 tls=may shared",
		},
		{
			name: "a route before the smarthost", lane: store.Lane{Domain: "x.test"}, smarthost: "smart.test:26",
			ways: store.Ways{Routes: []store.Route{relay("x.test", "r.test", store.For{})}},
			want: "relay r.test:587 > @r.test:587 tls=may shared",
		},
		{
			name: "by MX before the smarthost if a route says so", lane: store.Lane{Domain: "x.test"}, smarthost: "smart.test:26",
			ways: store.Ways{Routes: []store.Route{byMX("x.test", store.TLSMust, store.For{})}},
			want: "x.test tls=must",
		},
		{
			name: "one's own domain before all", lane: store.Lane{Domain: "x.test", Account: alice, Origin: "our.test"},
			ways: store.Ways{Routes: []store.Route{relay("*", "alice.test", aliceFor), relay("x.test", "r.test", store.For{})}},
			want: "relay r.test:587 > @r.test:587 tls=may shared",
		},
		{
			name: "the account before its domain", lane: store.Lane{Domain: "x.test", Account: alice, Origin: "our.test"},
			ways: store.Ways{Routes: []store.Route{
				relay("*", "all.test", store.For{}), relay("*", "our.test", store.For{Domain: "our.test"}), relay("*", "alice.test", aliceFor),
			}},
			want: "relay alice.test:587 > @alice.test:587 tls=may shared",
		},
		{
			name: "the sender's domain before everybody", lane: store.Lane{Domain: "x.test", Account: bob, Origin: "our.test"},
			ways: store.Ways{Routes: []store.Route{
				relay("*", "all.test", store.For{}), relay("*", "our.test", store.For{Domain: "our.test"}), relay("*", "alice.test", aliceFor),
			}},
			want: "relay our.test:587 > @our.test:587 tls=may shared",
		},
		{
			name: "a sender's domain without an account", lane: store.Lane{Domain: "x.test", Origin: "our.test"},
			ways: store.Ways{Routes: []store.Route{relay("*", "all.test", store.For{}), relay("*", "our.test", store.For{Domain: "our.test"})}},
			want: "relay our.test:587 > @our.test:587 tls=may shared",
		},
		{
			name: "nobody's reports take everybody's way", lane: store.Lane{Domain: "x.test"},
			ways: store.Ways{Routes: []store.Route{relay("*", "all.test", store.For{}), relay("*", "our.test", store.For{Domain: "our.test"})}},
			want: "relay all.test:587 > @all.test:587 tls=may shared",
		},
		{
			name: "a TLS policy for some senders keeps their connections apart", lane: store.Lane{Domain: "x.test", Origin: "our.test"},
			ways: store.Ways{Routes: []store.Route{byMX("x.test", store.TLSMust, store.For{Domain: "our.test"})}},
			want: "x.test tls must tls=must",
		},
		{
			name: "users of one relay are kept apart", lane: store.Lane{Domain: "x.test"},
			ways: store.Ways{Routes: []store.Route{
				{Domain: "x.test", Host: "r.test", Port: 587, User: "u1", TLS: store.TLSMust},
				{Domain: "y.test", Host: "r.test", Port: 587, User: "u2", TLS: store.TLSMust},
			}},
			want: "relay r.test:587 user u1 tls must > u1@r.test:587 tls=must shared",
		},
		{
			name: "two routes in one manner share the relay", lane: store.Lane{Domain: "x.test"},
			ways: store.Ways{Routes: []store.Route{
				{Domain: "x.test", Host: "r.test", Port: 587, User: "u1", TLS: store.TLSMust},
				{Domain: "y.test", Host: "r.test", Port: 587, User: "u1", TLS: store.TLSMust},
			}},
			want: "relay r.test:587 > u1@r.test:587 tls=must shared",
		},
		{
			name: "everybody's sources", lane: store.Lane{Domain: "x.test", Account: bob, Origin: "our.test"},
			ways: store.Ways{Sources: []store.Source{source("127.0.0.2", store.For{}), source("127.0.0.3", store.For{}), source("127.0.0.4", aliceFor)}},
			want: "x.test tls=may 127.0.0.2 127.0.0.3",
		},
		{
			name: "a domain's own sources", lane: store.Lane{Domain: "x.test", Account: bob, Origin: "our.test"},
			ways: store.Ways{Sources: []store.Source{source("127.0.0.2", store.For{}), source("127.0.0.3", store.For{Domain: "our.test"})}},
			want: "x.test as our.test tls=may 127.0.0.3",
		},
		{
			name: "an account's own source with a relay", lane: store.Lane{Domain: "x.test", Account: alice, Origin: "our.test"},
			ways: store.Ways{
				Sources: []store.Source{source("127.0.0.2", store.For{}), source("127.0.0.4", aliceFor)},
				Routes:  []store.Route{relay("*", "all.test", store.For{})},
			},
			want: "relay all.test:587 as alice@our.test > @all.test:587 tls=may 127.0.0.4 shared",
		},
		{
			name: "a backup domain by MX only", lane: store.Lane{Domain: "b.test"}, smarthost: "smart.test:26",
			ways: store.Ways{Backup: []string{"b.test"}, Routes: []store.Route{relay("*", "all.test", store.For{})}},
			want: "b.test tls=may backup",
		},
		{
			name: "a route for the backup domain wins", lane: store.Lane{Domain: "b.test"},
			ways: store.Ways{Backup: []string{"b.test"}, Routes: []store.Route{relay("b.test", "r.test", store.For{})}},
			want: "relay r.test:587 > @r.test:587 tls=may shared",
		},
		{
			name: "a TLS policy for all holds for backup domains too", lane: store.Lane{Domain: "b.test"},
			ways: store.Ways{Backup: []string{"b.test"}, Routes: []store.Route{byMX("*", store.TLSMust, store.For{})}},
			want: "b.test tls=must backup",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWays(test.ways, &Dispatcher{Smarthost: test.smarthost})
			if got := described(w.next(test.lane)); got != test.want {
				t.Errorf("it goes to %q, want %q", got, test.want)
			}
		})
	}
}

func BenchmarkNext(b *testing.B) {
	var snapshot store.Ways
	for i := range 1000 {
		snapshot.Routes = append(snapshot.Routes, store.Route{Domain: fmt.Sprintf("d%d.test", i), Host: "r.test", Port: 25})
	}
	w := newWays(snapshot, &Dispatcher{})
	for b.Loop() {
		w.next(store.Lane{Domain: "x.test", Account: 7, Origin: "our.test"})
	}
}

func TestSourcesTakeTurns(t *testing.T) {
	source := func(ip string) store.Source { return store.Source{IP: netip.MustParseAddr(ip)} }
	w := newWays(store.Ways{Sources: []store.Source{source("192.0.2.1"), source("2001:db8::1"), source("192.0.2.2")}}, &Dispatcher{})
	n := w.next(store.Lane{Domain: "x.test"})
	seen := make(map[string]int)
	for range 4 {
		s, ok := n.source(netip.MustParseAddr("198.51.100.1"))
		if !ok {
			t.Fatal("there is no source")
		}
		seen[s.IP.String()]++
	}
	if seen["192.0.2.1"] != 2 || seen["192.0.2.2"] != 2 {
		t.Errorf("they come from %v", seen)
	}
	if s, ok := n.source(netip.MustParseAddr("2001:db8::9")); !ok || s.IP.String() != "2001:db8::1" {
		t.Errorf("over IPv6 it comes from %v", s)
	}
	four := newWays(store.Ways{Sources: []store.Source{source("192.0.2.1")}}, &Dispatcher{}).next(store.Lane{Domain: "x.test"})
	if s, ok := four.source(netip.MustParseAddr("2001:db8::9")); ok {
		t.Errorf("a pool of IPv4 reaches IPv6 from %v", s)
	}
	if _, ok := (next{}).source(netip.MustParseAddr("2001:db8::9")); !ok {
		t.Error("without a pool the kernel can't choose")
	}
}

func TestSameManner(t *testing.T) {
	source := store.Source{IP: netip.MustParseAddr("192.0.2.1"), Name: "out.our.test"}
	relay := func(password string) *route.Relay {
		return &route.Relay{Host: "r.test", Port: 587, User: "u", Password: password}
	}
	for _, test := range []struct {
		name       string
		made, asks next
		from       store.Source
		want       bool
	}{
		{"the same", next{relay: relay("p")}, next{relay: relay("p")}, store.Source{}, true},
		{"by MX", next{}, next{}, store.Source{}, true},
		{"another relay", next{}, next{relay: relay("p")}, store.Source{}, false},
		{"another password", next{relay: relay("p")}, next{relay: relay("q")}, store.Source{}, false},
		{"another policy", next{}, next{tls: store.TLSMust, ruled: true}, store.Source{}, false},
		{"from the pool", next{pool: []store.Source{source}}, next{pool: []store.Source{source}}, source, true},
		{"from an address that is gone", next{pool: []store.Source{source}}, next{}, source, false},
		{"from none, where there is a pool now", next{}, next{pool: []store.Source{source}}, store.Source{}, false},
	} {
		if got := test.made.sameManner(test.asks, test.from); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
