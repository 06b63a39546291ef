package delivery

import (
	"net/netip"
	"testing"
)

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
