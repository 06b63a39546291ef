package pop3d_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postroom/pop3d"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// newServer returns a server that needs no TLS but has it.
func newServer(t testing.TB, f pop3d.Maildrops) *pop3d.Server {
	t.Helper()
	return &pop3d.Server{
		Name:      "pop3",
		Hostname:  "mail.example.org",
		Maildrops: f,
		Auth:      &fakeAuth{},
		TLS:       &tls.Config{Certificates: []tls.Certificate{certificate(t)}},
		Locks:     &pop3d.Locks{},
		Log:       slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// certificate makes one for mail.example.org and 127.0.0.1.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "mail.example.org"},
		DNSNames:     []string{"mail.example.org"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve runs s on a port of loopback until the test ends, or stop is called,
// which waits for Serve to return.
func serve(t testing.TB, s *pop3d.Server) (address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), serveOn(t, s, l)
}

func serveOn(t testing.TB, s *pop3d.Server, l net.Listener) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return stop
}

// A client is a dumb one: it sends and expects lines.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, address string) *client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, c)
}

func newClient(t testing.TB, c net.Conn) *client {
	t.Helper()
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatalf("send %.40q: %v", text, err)
	}
}

func (c *client) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read a line: %v (after %q)", err, line)
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		c.t.Fatalf("line %q doesn't end with CRLF", line)
	}
	return text
}

// expect reads a line that begins with prefix.
func (c *client) expect(prefix string) string {
	c.t.Helper()
	line := c.line()
	if !strings.HasPrefix(line, prefix) {
		c.t.Fatalf("got %q, want %q", line, prefix)
	}
	return line
}

// cmd sends a command and expects a reply that begins with prefix.
func (c *client) cmd(command, prefix string) string {
	c.t.Helper()
	c.send(command + "\r\n")
	return c.expect(prefix)
}

// login goes through greeting and login.
func (c *client) login(user string) {
	c.t.Helper()
	c.expect("+OK ")
	c.cmd("USER "+user, "+OK")
	c.cmd("PASS secret", "+OK ")
}

// multi reads the lines of a multi-line reply as they came, up to the final dot.
func (c *client) multi() []string {
	c.t.Helper()
	var lines []string
	for {
		line := c.line()
		if line == "." {
			return lines
		}
		lines = append(lines, line)
	}
}

// eof expects the server to have closed the connection.
func (c *client) eof() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil && !isReset(err) || len(rest) > 0 {
		c.t.Fatalf("got %q, %v; want the end of the connection", rest, err)
	}
}

func isReset(err error) bool {
	return strings.Contains(err.Error(), "connection reset")
}

// startTLS does a client's handshake.
func (c *client) startTLS(protocols ...string) (*client, error) {
	t := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	if err := t.Handshake(); err != nil {
		return nil, err
	}
	return &client{c.t, t, bufio.NewReader(t)}, nil
}

// waitFor waits until a condition holds.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
		}
	}
}
