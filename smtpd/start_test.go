package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"postroom/smtpd/policy"
	"postroom/store/mail"
)

func trustLoopback(s *Server) { s.ProxyTrusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// proxied returns the PROXY header of a proxy that speaks for client.
func proxied(t *testing.T, version byte, client string) string {
	t.Helper()
	from, to := netip.MustParseAddrPort(client), netip.MustParseAddrPort("192.0.2.25:25")
	if from.Addr().Is6() {
		to = netip.MustParseAddrPort("[2001:db8::25]:25")
	}
	b, err := proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(to)).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestProxyNamesTheClient(t *testing.T) {
	for _, version := range []byte{1, 2} {
		for client, literal := range map[string]string{"198.51.100.7:999": "[198.51.100.7]", "[2001:db8::7]:999": "[IPv6:2001:db8::7]"} {
			h := serve(t, trustLoopback)
			c := h.dial(t)
			c.send(proxied(t, version, client))
			c.expect("220")
			c.do("EHLO client.test", "250")
			c.within("alice@example.test")
			c.do(".", "250")
			k := h.mail.last(t)
			if want := "Received: from client.test (" + literal + ")\r\n"; k.text[:len(want)] != want {
				t.Errorf("got %q, want %q", k.text[:len(want)], want)
			}
			if want := netip.MustParseAddrPort(client).Addr().String(); k.Accepted.Client != want {
				t.Errorf("the trace has %q, want %q", k.Accepted.Client, want)
			}
		}
	}
}

func TestProxyBeforeTLS(t *testing.T) {
	h := serve(t, submission, trustLoopback, func(s *Server) { s.ImplicitTLS = true })
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(proxied(t, 2, "198.51.100.7:999"))); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, tls.Client(conn, &tls.Config{InsecureSkipVerify: true}))
	c.expect("220")
}

func TestNoProxyHeaderFromATrustedNetwork(t *testing.T) {
	h := serve(t, trustLoopback)
	c := h.dial(t)
	c.send("EHLO client.test\r\n")
	c.expect("421 4.7.0")
	c.expectEnd()
}

func TestProxyHeaderFromAStranger(t *testing.T) {
	h := serve(t)
	for _, version := range []byte{1, 2} {
		c := h.dial(t)
		c.expect("220")
		c.send(proxied(t, version, "198.51.100.7:999"))
		c.expect("554 5.7.1")
		c.expectEnd()
	}
}

// behindProxy opens a connection that counts as client's.
func (h *harness) behindProxy(t *testing.T, client string) *client {
	t.Helper()
	c := h.dial(t)
	c.send(proxied(t, 2, client+":999"))
	return c
}

func TestConnectionsPerAddress(t *testing.T) {
	h := serve(t, trustLoopback, func(s *Server) { s.Limits.ConnectionsPerAddress = 2 })
	for range 2 {
		h.behindProxy(t, "198.51.100.7").expect("220")
	}
	c := h.behindProxy(t, "198.51.100.7")
	c.expect("421 4.7.0 Too many connections")
	c.expectEnd()
	h.behindProxy(t, "198.51.100.8").expect("220")
	for range 5 {
		h.behindProxy(t, "127.0.0.1").expect("220") // loopback is exempt
	}
}

func TestOneNetworkOfIPv6IsOneClient(t *testing.T) {
	h := serve(t, trustLoopback, func(s *Server) { s.Limits.ConnectionsPerAddress = 1 })
	h.behindProxy(t, "[2001:db8:0:1::1]").expect("220")
	h.behindProxy(t, "[2001:db8:0:1::2]").expect("421")
	h.behindProxy(t, "[2001:db8:0:2::1]").expect("220")
}

func TestConnectionsInAll(t *testing.T) {
	h := serve(t, trustLoopback, func(s *Server) { s.Limits.Connections = 2 })
	first := h.behindProxy(t, "198.51.100.1")
	first.expect("220")
	h.behindProxy(t, "198.51.100.2").expect("220")
	h.behindProxy(t, "198.51.100.3").expect("421 4.7.0")
	first.do("QUIT", "221")
	first.expectEnd()
	for { // the place is free again in a moment
		c := h.behindProxy(t, "198.51.100.4")
		if reply := c.reply(); reply[:3] == "220" {
			return
		}
	}
}

// What is refused is hung up on gently, and must not keep others out meanwhile.
func TestRefusedConnectionsTakeNoPlace(t *testing.T) {
	h := serve(t, trustLoopback, func(s *Server) { s.Limits.Connections, s.Limits.ConnectionsPerAddress = 3, 1 })
	h.behindProxy(t, "198.51.100.1").expect("220")
	for range 5 {
		h.behindProxy(t, "198.51.100.1").expect("421 4.7.0") // and stays connected
	}
	for range 5 {
		h.behindProxy(t, "127.0.0.1").expect("220")
	}
	h.behindProxy(t, "198.51.100.2").expect("220")
	h.behindProxy(t, "198.51.100.3").expect("220")
	h.behindProxy(t, "198.51.100.4").expect("421 4.7.0")
}

func TestFarTooManyConnections(t *testing.T) {
	var a admission
	client := netip.MustParseAddr("198.51.100.7")
	for range 2*5 + 10 {
		if !a.enter(client, 5) {
			t.Fatal("refused one that could be told why")
		}
	}
	if a.enter(client, 5) {
		t.Error("took one more than that")
	}
	if !a.enter(netip.MustParseAddr("127.0.0.1"), 5) {
		t.Error("loopback is not exempt")
	}
}

func TestTooManyOverTLS(t *testing.T) {
	h := serve(t, submission, trustLoopback, func(s *Server) {
		s.ImplicitTLS, s.Limits.ConnectionsPerAddress = true, 1
	})
	for i, want := range []string{"220", "421 4.7.0"} {
		plain := h.behindProxy(t, "198.51.100.7")
		c := newClient(t, tls.Client(plain.conn, &tls.Config{InsecureSkipVerify: true}))
		if got := c.reply(); len(got) < 3 || got[:3] != want[:3] {
			t.Errorf("connection %d got %q", i, got)
		}
	}
}

func TestConnectionChecks(t *testing.T) {
	var asked policy.Client
	refuse := true
	h := serve(t, trustLoopback, func(s *Server) {
		s.Rules.Connection = policy.Chain[struct{}]{{Name: "list", Judge: func(_ context.Context, c policy.Client, _ struct{}) (policy.Verdict, error) {
			asked = c
			if refuse {
				return policy.Object(mail.Status{Code: 554, Enhanced: [3]int{5, 7, 1}, Text: "You are listed"}, "listed by x"), nil
			}
			return policy.Verdict{Delay: time.Minute}, nil
		}}}
	})
	c := h.behindProxy(t, "198.51.100.7")
	c.expect("554 5.7.1 You are listed")
	c.expectEnd()
	if r := h.mail.refusals(); len(r) != 1 || r[0].Events[0].Reason != "list: listed by x" || r[0].Events[0].Client != "198.51.100.7" {
		t.Errorf("refusals: %+v", r)
	}
	if asked.Addr.String() != "198.51.100.7" || asked.Hostname != "mail.example.test" {
		t.Errorf("the check saw %+v", asked)
	}

	refuse = false
	c = h.behindProxy(t, "198.51.100.7")
	c.send("EHLO early.test\r\n")
	c.expect("554 5.5.1 You spoke before the greeting")
	c.expectEnd()
	h.behindProxy(t, "127.0.0.1").expect("220") // exempt
}

func TestStop(t *testing.T) {
	h := serve(t)
	idle := h.open(t)
	busy := h.open(t)
	busy.within("alice@example.test")
	busy.send("x: y\r\n\r\nfirst half")
	h.stop()
	idle.expect("421 4.3.2")
	idle.expectEnd()
	if _, err := net.Dial("tcp", h.addr); err == nil {
		t.Error("connections are still accepted")
	}
	select {
	case <-h.done:
		t.Fatal("Serve has left a message behind")
	default:
	}
	busy.send(", second half\r\n.\r\n")
	busy.expect("250 2.0.0 accepted")
	busy.expect("421 4.3.2")
	busy.expectEnd()
	<-h.done
}

func TestStopOverTLS(t *testing.T) {
	h := serve(t)
	for range 2 {
		c := h.open(t)
		c.startTLS()
		c.do("EHLO client.test", "250")
		defer c.expectEnd()
		defer c.expect("421 4.3.2")
	}
	h.stop()
}

func TestStopWaitsNoLongerThanGrace(t *testing.T) {
	h := serve(t, func(s *Server) { s.Limits.Grace = 50 * time.Millisecond })
	c := h.open(t)
	c.within("alice@example.test")
	h.stop()
	<-h.done
	c.expectEnd()
}

func TestRevokedAccount(t *testing.T) {
	h := serve(t, submission, func(s *Server) { s.RequireTLS = false })
	c, other := h.open(t), h.open(t)
	c.do("AUTH PLAIN "+plainResponse("alice", password), "235")
	other.do("AUTH PLAIN "+plainResponse("bob", password), "235")
	h.auth.Forget(alice)
	c.expect("421 4.7.0 You have been logged out")
	c.expectEnd()
	other.do("NOOP", "250")
}

func TestServeFailsWithItsListener(t *testing.T) {
	h := serve(t)
	want := errors.New("no more")
	if err := h.Serve(t.Context(), brokenListener{err: want}); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

type brokenListener struct {
	net.Listener
	err error
}

func (b brokenListener) Accept() (net.Conn, error) { return nil, b.err }
func (b brokenListener) Close() error              { return nil }
