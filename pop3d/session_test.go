package pop3d_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pires/go-proxyproto"

	"postroom/pop3d"
	"postroom/store"
)

func TestBadCommandsEndASession(t *testing.T) {
	address, _ := serve(t, newServer(t, newFakeStore(messages...)))
	c := dial(t, address)
	c.expect("+OK")
	for range 30 {
		c.cmd("XYZZY", "-ERR unknown command")
	}
	c.cmd("CAPA", "+OK") // 30 are borne
	c.multi()
	c.send(strings.Repeat("XYZZY\r\n", 1000))
	c.expect("-ERR too many bad commands")
	c.eof()
}

// A halfListener's connections aren't TCP's own, but can be closed by half too.
type halfListener struct {
	net.Listener
	halves atomic.Int32
}

type halfConn struct {
	net.Conn
	listener *halfListener
}

func (l *halfListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &halfConn{c, l}, err
}

func (c *halfConn) CloseWrite() error {
	c.listener.halves.Add(1)
	return c.Conn.(*net.TCPConn).CloseWrite()
}

func TestLastWordsAreHeard(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &halfListener{Listener: tcp}
	serveOn(t, newServer(t, newFakeStore()), l)
	c := dial(t, tcp.Addr().String())
	c.send(strings.Repeat("XYZZY\r\n", 10000))
	heard, err := io.ReadAll(c.r)
	if err != nil || !strings.HasSuffix(string(heard), "-ERR too many bad commands, good bye\r\n") {
		t.Errorf("heard %q, %v", heard, err)
	}
	if n := l.halves.Load(); n != 1 {
		t.Errorf("the connection was closed by half %d times", n)
	}
}

func TestLogTellsAStopFromATimeout(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, newFakeStore(messages...))
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	address, stop := serve(t, s)
	dial(t, address).login("alice")
	stop()
	if !strings.Contains(log.String(), `reason="server stops"`) {
		t.Errorf("the log says: %s", &log)
	}
}

func TestFailedLoginsEndASession(t *testing.T) {
	address, _ := serve(t, newServer(t, newFakeStore()))
	c := dial(t, address)
	c.expect("+OK")
	for range 30 {
		c.cmd("USER alice", "+OK")
		c.cmd("PASS wrong", "-ERR [AUTH]")
	}
	c.cmd("USER alice", "+OK")
	c.cmd("PASS wrong", "-ERR too many")
	c.eof()
}

func TestLongLines(t *testing.T) {
	address, _ := serve(t, newServer(t, newFakeStore(messages...)))
	c := dial(t, address)
	c.expect("+OK")
	c.cmd("NOOP "+strings.Repeat("x", 1020), "-ERR line too long")
	c.cmd("NOOP "+strings.Repeat("x", 1018), "-ERR log in first")
	c.cmd(strings.Repeat("x", 1<<20), "-ERR line too long")
	c.cmd("AUTH PLAIN "+strings.Repeat("A", 12276), "-ERR that is not")
	c.cmd("AUTH PLAIN "+strings.Repeat("A", 12280), "-ERR line too long")
	c.cmd("AUTH PLAIN", "+ ")
	c.cmd(strings.Repeat("A", 1<<20), "-ERR a response is one line")
	c.cmd("USER alice", "+OK")
	c.cmd("PASS "+strings.Repeat("x", 12000), "-ERR [AUTH]")
	c.cmd("USER alice", "+OK")
	c.cmd("PASS secret", "+OK 4")
}

func TestHalfACommandHarmsNobody(t *testing.T) {
	s := newServer(t, newFakeStore(messages...))
	address, _ := serve(t, s)
	for _, half := range []string{"", "US", "USER alice", "USER alice\r", "USER alice\r\nPASS sec", "AUTH PLAIN\r\nAGFs"} {
		c := dial(t, address)
		c.expect("+OK")
		c.send(half)
		c.Close()
	}
	c := dial(t, address)
	c.login("alice")
	c.cmd("STAT", "+OK 4")
}

func TestALPN(t *testing.T) {
	s := newServer(t, newFakeStore(messages...))
	s.ImplicitTLS = true
	address, _ := serve(t, s)
	for _, test := range []struct {
		name   string
		offers []string
		ok     bool
	}{
		{"takes a client without ALPN", nil, true},
		{"takes pop3", []string{"pop3"}, true},
		{"takes pop3 among others", []string{"imap", "pop3"}, true},
		{"refuses another protocol", []string{"http/1.1"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := dial(t, address).startTLS(test.offers...)
			if (err == nil) != test.ok {
				t.Fatalf("handshake: %v", err)
			}
			if test.ok {
				c.expect("+OK")
			}
		})
	}
}

func TestOldTLS(t *testing.T) {
	s := newServer(t, newFakeStore())
	s.ImplicitTLS = true
	address, _ := serve(t, s)
	c := tls.Client(dial(t, address).Conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err := c.Handshake(); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

// TestDisabled: an account that is disabled loses its sessions, and what they
// meant to delete stays.
func TestDisabled(t *testing.T) {
	f := newFakeStore(messages...)
	s := newServer(t, f)
	users := &fakeAuth{}
	s.Auth = users
	address, stop := serve(t, s)
	c := dial(t, address)
	c.login("alice")
	c.cmd("DELE 1", "+OK")
	users.end(1)
	c.eof()
	stop()
	if got := f.state(); got != "left 1,2,3,4 collected " {
		t.Errorf("the store has %s", got)
	}
	if len(users.ends) > 0 {
		t.Error("the session is tracked still")
	}
}

// TestDisabledMeanwhile: an account that is disabled between the check of its
// password and the session's being tracked doesn't get in.
func TestDisabledMeanwhile(t *testing.T) {
	s := newServer(t, newFakeStore(messages...))
	users := &fakeAuth{disabled: true}
	s.Auth = users
	address, stop := serve(t, s)
	c := dial(t, address)
	c.expect("+OK")
	c.cmd("USER alice", "+OK")
	c.cmd("PASS secret", "-ERR [AUTH] wrong name or password")
	c.cmd("STAT", "-ERR")
	stop()
	if len(users.ends) > 0 {
		t.Error("the session is tracked still")
	}
}

// TestPanic: a bug ends its session, deletes nothing and leaves no lock behind.
func TestPanic(t *testing.T) {
	f := newFakeStore(messages...)
	bugs := atomic.Int32{}
	f.beforeEntries = func() {
		if bugs.Add(1) == 1 {
			panic("a bug at login")
		}
	}
	f.beforeRemove = func() {
		if bugs.Add(1) == 3 {
			panic("a bug at QUIT")
		}
	}
	address, _ := serve(t, newServer(t, f))
	c := dial(t, address)
	c.expect("+OK")
	c.cmd("USER alice", "+OK")
	c.send("PASS secret\r\n")
	c.eof()
	c = dial(t, address)
	c.login("alice")
	c.cmd("DELE 1", "+OK")
	c.send("QUIT\r\n")
	c.eof()
	c = dial(t, address)
	c.login("alice")
	c.cmd("STAT", "+OK 4")
}

// TestTrace: what the store is told of a session.
func TestTrace(t *testing.T) {
	f := newFakeStore(messages...)
	s := newServer(t, f)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.Now = func() time.Time { return at }
	address, stop := serve(t, s)
	c := dial(t, address)
	c.login("alice")
	c.send("RETR 2\r\nTOP 1 0\r\nDELE 4\r\nDELE 1\r\nQUIT\r\n")
	c.expect("+OK")
	c.multi()
	c.expect("+OK")
	c.multi()
	c.expect("+OK")
	c.expect("+OK")
	c.expect("+OK")
	stop()
	collected := []store.Collection{{Message: 2, Account: 1, At: at, Client: "127.0.0.1", Protocol: "pop3"}}
	removals := []store.Removal{{Account: 1, At: at, Messages: []store.MessageID{1, 4}, Client: "127.0.0.1", Protocol: "pop3"}}
	if diff := cmp.Diff(collected, f.collected) + cmp.Diff(removals, f.removals); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A header that names a client from elsewhere, which limits apply to.
func proxied(version byte, from string) string {
	h := proxyproto.HeaderProxyFromAddrs(version,
		&net.TCPAddr{IP: net.ParseIP(from), Port: 1234}, &net.TCPAddr{IP: net.ParseIP(from), Port: 110})
	b, err := h.Format()
	if err != nil {
		panic(err)
	}
	return string(b)
}

func proxyServer(t *testing.T, f *fakeStore) *pop3d.Server {
	s := newServer(t, f)
	s.ProxyTrusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}
	return s
}

func TestProxy(t *testing.T) {
	for _, test := range []struct{ name, header, client string }{
		{"takes version 1", proxied(1, "203.0.113.9"), "203.0.113.9"},
		{"takes version 2", proxied(2, "203.0.113.9"), "203.0.113.9"},
		{"takes IPv6", proxied(2, "2001:db8::7"), "2001:db8::7"},
		{"takes the proxy's own connection", "PROXY UNKNOWN\r\n", "127.0.0.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeStore(messages...)
			address, stop := serve(t, proxyServer(t, f))
			c := dial(t, address)
			c.send(test.header)
			c.login("alice")
			c.cmd("RETR 1", "+OK")
			c.multi()
			c.cmd("QUIT", "+OK")
			stop()
			if got := f.collected[0].Client; got != test.client {
				t.Errorf("the trace says %s, want %s", got, test.client)
			}
		})
	}
}

func TestProxyWithTLS(t *testing.T) {
	s := proxyServer(t, newFakeStore(messages...))
	s.ImplicitTLS = true
	address, _ := serve(t, s)
	c := dial(t, address)
	c.send(proxied(2, "203.0.113.9"))
	c, err := c.startTLS("pop3")
	if err != nil {
		t.Fatal(err)
	}
	c.login("alice")
}

func TestProxyMustSpeak(t *testing.T) {
	address, _ := serve(t, proxyServer(t, newFakeStore()))
	for _, opening := range []string{"USER alice\r\n", "PROXY nonsense\r\n", "\r\n\r\n\x00\r\nQUIT\nnonsense........"} {
		c := dial(t, address)
		c.send(opening)
		c.eof()
	}
}

func TestSilentProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serveBubble(t, proxyServer(t, newFakeStore()))
		c := b.dial()
		if d := took(c.eof); d != 5*time.Second {
			t.Errorf("it was ended after %v", d)
		}
	})
}

func TestConnectionLimits(t *testing.T) {
	const text = "-ERR [SYS/TEMP] too many connections"
	from := func(t *testing.T, address, client string) *client {
		c := dial(t, address)
		c.send(proxied(1, client))
		return c
	}
	t.Run("for one address", func(t *testing.T) {
		s := proxyServer(t, newFakeStore())
		s.Limits = pop3d.Limits{PerAddress: 2}
		address, _ := serve(t, s)
		first := from(t, address, "203.0.113.9")
		first.expect("+OK")
		from(t, address, "203.0.113.9").expect("+OK")
		third := from(t, address, "203.0.113.9")
		third.expect(text)
		third.eof()
		from(t, address, "203.0.113.10").expect("+OK")
		first.cmd("QUIT", "+OK")
		first.eof()
		waitFor(t, "room for another connection", func() bool {
			c := from(t, address, "203.0.113.9")
			defer c.Close()
			return strings.HasPrefix(c.line(), "+OK")
		})
	})
	t.Run("for an IPv6 network", func(t *testing.T) {
		s := proxyServer(t, newFakeStore())
		s.Limits = pop3d.Limits{PerAddress: 1}
		address, _ := serve(t, s)
		from(t, address, "2001:db8::1").expect("+OK")
		from(t, address, "2001:db8::2").expect(text)
		from(t, address, "2001:db8:0:1::2").expect("+OK")
	})
	t.Run("not for loopback", func(t *testing.T) {
		s := newServer(t, newFakeStore())
		s.Limits = pop3d.Limits{PerAddress: 1}
		address, _ := serve(t, s)
		for range 5 {
			dial(t, address).expect("+OK")
		}
	})
	t.Run("in all", func(t *testing.T) {
		s := proxyServer(t, newFakeStore())
		s.Limits = pop3d.Limits{Connections: 2}
		address, _ := serve(t, s)
		from(t, address, "203.0.113.1").expect("+OK")
		from(t, address, "203.0.113.2").expect("+OK")
		c := from(t, address, "203.0.113.3")
		c.expect(text)
		c.eof()
		from(t, address, "127.0.0.1").expect("+OK")
	})
	t.Run("with TLS from the first byte", func(t *testing.T) {
		s := proxyServer(t, newFakeStore())
		s.Limits, s.ImplicitTLS = pop3d.Limits{Connections: 1}, true
		address, _ := serve(t, s)
		first, err := from(t, address, "203.0.113.1").startTLS()
		if err != nil {
			t.Fatal(err)
		}
		first.expect("+OK")
		second, err := from(t, address, "203.0.113.2").startTLS()
		if err != nil {
			t.Fatal(err)
		}
		second.expect(text)
		second.eof()
	})
}

// TestBatches: the replies to commands that came together leave together.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeStore(messages...)
		b := serveBubble(t, newServer(t, f))
		c := b.pass()
		c.expect("+OK")
		go c.send(strings.Repeat("NOOP\r\n", 100) + "RETR 1\r\nSTAT\r\n")
		buf := make([]byte, 1<<16)
		n, err := c.Read(buf) // one write of the server's
		if err != nil || strings.Count(string(buf[:n]), "+OK") != 102 {
			t.Errorf("one read gives %d octets, %v: %.100q", n, err, buf[:n])
		}
		synctest.Wait()
		if got := f.state(); got != "left 1,2,3,4 collected 1" {
			t.Errorf("the store has %s", got)
		}
	})
}

func TestLargeMessage(t *testing.T) {
	body := strings.Repeat(strings.Repeat("x", 998)+"\r\n.\r\n", 2000) + strings.Repeat("y", 1<<20) + "\r\n"
	f := newFakeStore("Subject: large\r\n\r\n" + body)
	address, _ := serve(t, newServer(t, f))
	c := dial(t, address)
	c.login("alice")
	size := len(f.bodies[1])
	c.cmd("LIST 1", fmt.Sprintf("+OK 1 %d", size))
	c.cmd("RETR 1", fmt.Sprintf("+OK %d", size))
	var got strings.Builder
	for _, line := range c.multi() {
		got.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
	if got.String() != string(f.bodies[1]) {
		t.Errorf("got %d octets, others than the %d that are kept", got.Len(), size)
	}
}

func TestListenerFails(t *testing.T) {
	broken := errors.New("broken")
	s := newServer(t, newFakeStore())
	if err := s.Serve(t.Context(), failingListener{broken}); !errors.Is(err, broken) {
		t.Errorf("Serve: %v", err)
	}
}

type failingListener struct{ err error }

func (l failingListener) Accept() (net.Conn, error) { return nil, l.err }
func (l failingListener) Close() error              { return nil }
func (l failingListener) Addr() net.Addr            { return &net.TCPAddr{} }
