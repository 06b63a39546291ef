package pop3d

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxyTimeout is how long a trusted proxy may take to say whom it speaks for.
const proxyTimeout = 5 * time.Second

// identify returns the client's address: the connection's own, or the one that
// the PROXY header of a trusted proxy names. The connection that it returns
// begins behind the header.
func (h *house) identify(nc net.Conn) (net.Conn, netip.Addr, error) {
	peer := address(nc.RemoteAddr())
	if !h.trusts(peer) {
		return nc, peer, nil
	}
	pc := proxyproto.NewConn(nc, proxyproto.WithPolicy(proxyproto.REQUIRE), proxyproto.SetReadHeaderTimeout(proxyTimeout))
	if pc.ProxyHeader() == nil {
		return nc, peer, fmt.Errorf("a trusted proxy sent no valid PROXY header within %v", proxyTimeout)
	}
	if client := address(pc.RemoteAddr()); client.IsValid() {
		return pc, client, nil
	}
	return pc, peer, nil
}

func (h *house) trusts(peer netip.Addr) bool {
	for _, p := range h.server.ProxyTrusted {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

// address returns the IP address of a, invalid if it has none.
func address(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// signatureV2 is how a PROXY header of version 2 begins, less its first line
// end.
const signatureV2 = "\r\n\x00\r\nQUIT\n"

// isProxyHeader reports whether a session's first line, and what follows it in
// the buffer, is a PROXY header. Only trusted proxies may send one: from anybody
// else it is a lie about an address, or a mistake in the configuration.
func (s *session) isProxyHeader(line []byte) bool {
	if len(line) > 0 {
		return len(line) >= 6 && string(line[:6]) == "PROXY "
	}
	next, _ := s.r.Peek(min(s.r.Buffered(), len(signatureV2)))
	return string(next) == signatureV2
}
