package store_test

import (
	"net/netip"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

var now = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

// list has the given entries; those that begin with ! have ended.
func list(what ...string) *store.AccessList {
	var entries []store.AccessEntry
	for _, w := range what {
		e := store.AccessEntry{What: w, Action: store.Block, Expires: now.Add(time.Nanosecond)}
		if w[0] == '!' {
			e.What, e.Expires = w[1:], now
		}
		entries = append(entries, e)
	}
	return store.NewAccessList(entries)
}

func TestAccessListNetworks(t *testing.T) {
	for _, tt := range []struct {
		it   string
		list []string
		addr string
		want string // empty: none
	}{
		{"finds an address", []string{"192.0.2.1/32"}, "192.0.2.1", "192.0.2.1/32"},
		{"finds a network", []string{"192.0.2.0/24"}, "192.0.2.255", "192.0.2.0/24"},
		{"ends with the network", []string{"192.0.2.0/24"}, "192.0.3.0", ""},
		{"takes the smallest", []string{"192.0.0.0/16", "192.0.2.0/24", "192.0.2.1/32"}, "192.0.2.2", "192.0.2.0/24"},
		{"takes the smallest, in whatever order", []string{"192.0.2.1/32", "192.0.2.0/24", "192.0.0.0/16"}, "192.0.2.1", "192.0.2.1/32"},
		{"passes over what has ended", []string{"192.0.0.0/16", "!192.0.2.1/32"}, "192.0.2.1", "192.0.0.0/16"},
		{"finds nothing where all has ended", []string{"!192.0.2.1/32"}, "192.0.2.1", ""},
		{"has IPv6", []string{"2001:db8::/32", "2001:db8:1::/48"}, "2001:db8:1::25", "2001:db8:1::/48"},
		{"has everything", []string{"0.0.0.0/0"}, "198.51.100.1", "0.0.0.0/0"},
		{"keeps the two kinds apart", []string{"0.0.0.0/0"}, "2001:db8::1", ""},
		{"sees an IPv4 address in IPv6", []string{"192.0.2.0/24"}, "::ffff:192.0.2.1", "192.0.2.0/24"},
		{"passes over zones", []string{"fe80::/10"}, "fe80::1%eth0", "fe80::/10"},
		{"has no network in a domain", []string{"example.org"}, "192.0.2.1", ""},
	} {
		e, ok := list(tt.list...).Network(netip.MustParseAddr(tt.addr), now)
		if e.What != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: got %q, want %q", tt.it, e.What, tt.want)
		}
	}
	if _, ok := list("0.0.0.0/0").Network(netip.Addr{}, now); ok {
		t.Error("it finds an address that is none")
	}
}

func TestAccessListSenders(t *testing.T) {
	for _, tt := range []struct {
		it, want string
		list     []string
		sender   string
	}{
		{"finds an address", "eve@example.org", []string{"eve@example.org"}, "Eve@example.org"},
		{"finds an address without its tag", "eve@example.org", []string{"eve@example.org"}, "eve+7@example.org"},
		{"takes the tag's own entry first", "eve+7@example.org", []string{"eve@example.org", "eve+7@example.org"}, "eve+7@example.org"},
		{"finds no other address", "", []string{"eve@example.org"}, "bob@example.org"},
		{"finds a domain", "example.org", []string{"example.org"}, "eve@example.org"},
		{"finds a domain above", "example.org", []string{"example.org"}, "eve@a.b.example.org"},
		{"finds the nearest domain", "b.example.org", []string{"example.org", "b.example.org"}, "eve@a.b.example.org"},
		{"finds no domain with a likeness", "", []string{"example.org"}, "eve@badexample.org"},
		{"takes the address before its domain", "eve@example.org", []string{"example.org", "eve@example.org"}, "eve@example.org"},
		{"passes over what has ended", "org", []string{"!eve@example.org", "!example.org", "org"}, "eve@example.org"},
		{"isn't deceived by an @ in quotes", "", []string{"eve@example.org"}, `"eve@example.org"@example.net`},
	} {
		sender, err := mail.ParseAddress(tt.sender)
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := list(tt.list...).Sender(sender, now); e.What != tt.want || ok != (tt.want != "") {
			t.Errorf("it %s: got %q, want %q", tt.it, e.What, tt.want)
		}
	}
	if _, ok := list("example.org").Sender(mail.Address{}, now); ok {
		t.Error("it finds the null sender")
	}
}

func TestNoAccessList(t *testing.T) {
	var none *store.AccessList
	_, network := none.Network(netip.MustParseAddr("192.0.2.1"), now)
	_, sender := none.Sender(mail.Address{Local: "eve", Domain: "example.org"}, now)
	_, domain := none.Domain("example.org", now)
	if network || sender || domain {
		t.Error("the nil list has something")
	}
}
