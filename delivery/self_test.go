package delivery

import (
	"net/netip"
	"testing"
)

func TestCheckSource(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1": "", "127.200.3.4": "", "::1": "", "::ffff:127.0.0.9": "",
		"192.0.2.77":  "192.0.2.77 is not an address of this machine",
		"2001:db8::7": "2001:db8::7 is not an address of this machine",
		"0.0.0.0":     "0.0.0.0 is no address to send from",
		"224.0.0.1":   "224.0.0.1 is no address to send from",
	} {
		got := ""
		if err := CheckSource(netip.MustParseAddr(text)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestListensOn(t *testing.T) {
	self := listensOn([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.5:25"), netip.MustParseAddrPort("0.0.0.0:2525")})
	for text, want := range map[string]bool{
		"127.0.0.5:25": true, "127.0.0.6:25": false, "127.0.0.6:2525": true, "192.0.2.77:2525": false, "127.0.0.5:26": false,
	} {
		if got := self(netip.MustParseAddrPort(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
