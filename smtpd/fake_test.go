package smtpd

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
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postroom/store"
	"postroom/store/auth"
	"postroom/store/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeMail is a store with two users at example.test: alice, who also is
// info@, and bob, whose maildrop is full if he has no room. away@ and gone@ are at
// x@far.test, all@ at two such addresses, and carol forwards what comes for
// forwarded@; we hold mail for backup.test, and alice takes whatever comes for
// catchall.test.
type fakeMail struct {
	secret store.Secret
	nextID atomic.Int64
	full   atomic.Bool
	fail   atomic.Pointer[error]
	hold   chan struct{} // Accept waits for it, if set
	keys   atomic.Int64  // how often a secret was asked for
	noKey  atomic.Bool   // there is none to be had
	away   atomic.Int64  // the account that is

	mu       sync.Mutex
	accepted []kept
	refused  []store.Refusal
}

// A kept message is an acceptance whose body has been read.
type kept struct {
	store.Acceptance
	text string
}

const (
	alice store.AccountID = iota + 1
	bob
	carol
)

func (f *fakeMail) NewMessageID() store.MessageID { return store.MessageID(f.nextID.Add(1)) }
func (f *fakeMail) Full() bool                    { return f.full.Load() }

func (f *fakeMail) Resolve(_ context.Context, a mail.Address) (store.Resolution, error) {
	r := store.Resolution{Ours: true, Room: store.Unlimited}
	switch a.Domain {
	case "example.test", "":
	case "catchall.test":
		r.Destinations = []store.Destination{{Account: alice}}
		return r, nil
	default:
		r.Backup = a.Domain == "backup.test"
		r.Ours, r.Destinations = r.Backup, []store.Destination{{Remote: a}}
		return r, nil
	}
	local := func(id store.AccountID) (store.Resolution, error) {
		r.Destinations = append(r.Destinations, store.Destination{Account: id})
		return r, nil
	}
	switch strings.ToLower(a.Base().Local) {
	case "alice":
		r.Direct = alice
		return local(alice)
	case "bob", "postmaster", "quoted local":
		r.Direct = bob
		return local(bob)
	case "full":
		r.Direct, r.Room = carol, 0
		return local(carol)
	case "small":
		r.Direct, r.Room = carol, 100
		return local(carol)
	case "team":
		r.Destinations = []store.Destination{{Account: alice}, {Account: bob}, {Remote: address("x@far.test")}}
		return r, nil
	case "away", "gone":
		r.Destinations = []store.Destination{{Remote: address("x@far.test")}}
		return r, nil
	case "forwarded":
		r.Destinations, r.Forwarders = []store.Destination{{Remote: address("x@far.test")}}, []store.AccountID{carol}
		return r, nil
	case "all":
		r.Destinations = []store.Destination{{Remote: address("x@far.test")}, {Remote: address("y@far.test")}}
		return r, nil
	case "refused":
		return r, store.ErrRefused
	case "panic":
		panic("resolver fell over: secret detail")
	case "broken":
		return r, io.ErrUnexpectedEOF
	}
	return r, store.ErrNotFound
}

func (f *fakeMail) Secret(_ context.Context, name string) ([]byte, error) {
	f.keys.Add(1)
	if f.noKey.Load() {
		return nil, io.ErrUnexpectedEOF
	}
	return []byte("the secret of " + name), nil
}

func (f *fakeMail) MaySend(_ context.Context, id store.AccountID, a mail.Address) (bool, error) {
	switch a.Base().Key() {
	case "alice@example.test", "info@example.test":
		return id == alice, nil
	}
	return false, nil
}

func (f *fakeMail) IsAway(id store.AccountID, _ time.Time) bool {
	return int64(id) == f.away.Load()
}

// Nobody is a device, and there are no limits: what these do is tested with the
// real store.

func (f *fakeMail) DeviceOf(context.Context, netip.Addr) (store.Device, error) {
	return store.Device{}, store.ErrNotFound
}

func (f *fakeMail) Account(context.Context, store.AccountID) (store.Account, error) {
	return store.Account{}, store.ErrNotFound
}

func (f *fakeMail) WithinLimits(context.Context, store.AccountID, int) error { return nil }

func (f *fakeMail) Accept(ctx context.Context, a store.Acceptance) error {
	if err := f.fail.Load(); err != nil {
		return *err
	}
	if f.hold != nil {
		<-f.hold
	}
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted = append(f.accepted, kept{a, string(text)})
	return nil
}

func (f *fakeMail) Refused(r store.Refusal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = append(f.refused, r)
}

// last returns the message that was accepted last.
func (f *fakeMail) last(t *testing.T) kept {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.accepted) == 0 {
		t.Fatal("no message was accepted")
	}
	k := f.accepted[len(f.accepted)-1]
	if int64(len(k.text)) != k.Size {
		t.Errorf("Size is %d, the body has %d octets", k.Size, len(k.text))
	}
	return k
}

func (f *fakeMail) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.accepted)
}

func (f *fakeMail) refusals() []store.Refusal {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]store.Refusal(nil), f.refused...)
}

// What the Authenticator asks: everybody's password is "secret".

func (f *fakeMail) AccountByLogin(_ context.Context, login string) (store.Account, error) {
	switch strings.ToLower(login) {
	case "alice", "alice@example.test":
		return store.Account{ID: alice, Address: address("alice@example.test"), Secret: f.secret}, nil
	case "bob", "bob@example.test":
		return store.Account{ID: bob, Address: address("bob@example.test"), Secret: f.secret}, nil
	}
	return store.Account{}, store.ErrNotFound
}

func (f *fakeMail) AppPasswordByHash(context.Context, [32]byte) (store.AppPassword, error) {
	return store.AppPassword{}, store.ErrNotFound
}
func (f *fakeMail) TouchAppPassword(context.Context, int64, time.Time) error { return nil }

func address(s string) mail.Address {
	a, err := mail.ParseAddress(s)
	if err != nil {
		panic(err)
	}
	return a
}

// A harness is a server on loopback and its store.
type harness struct {
	*Server
	mail *fakeMail
	auth *auth.Authenticator
	addr string
	stop func()        // ends Serve
	done chan struct{} // closed when Serve has returned
}

// serve runs a server that is like port 25, unless change says otherwise.
func serve(t testing.TB, change ...func(*Server)) *harness {
	t.Helper()
	f := &fakeMail{}
	a := authenticator(t, f)
	h := &harness{mail: f, auth: a, done: make(chan struct{})}
	h.Server = &Server{
		Name: "smtp", Hostname: "mail.example.test", Mail: f, TLS: serverTLS(), RequireTLS: true, SpoolDir: t.TempDir(),
		Now: func() time.Time { return time.Date(2026, 11, 21, 22, 14, 4, 0, time.UTC) },
	}
	for _, c := range change {
		c(h.Server)
	}
	if h.Submission {
		h.Server.Auth = a
	}
	listenOn(t, h, "127.0.0.1:0")
	return h
}

// listenOn serves h at an address until the test ends.
func listenOn(t testing.TB, h *harness, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	h.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	go func() {
		defer close(h.done)
		if err := h.Serve(ctx, l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-h.done
	})
}

func submission(s *Server) { s.Name, s.Submission = "submission", true }

// authenticator checks passwords against f; hashing is done once for all tests.
func authenticator(t testing.TB, f *fakeMail) *auth.Authenticator {
	t.Helper()
	a := auth.New(f, auth.Options{SCRAM: true})
	secret, err := sharedSecret(a)
	if err != nil {
		t.Fatal(err)
	}
	f.secret = secret
	return a
}

var (
	secretOnce   sync.Once
	secretShared store.Secret
	secretErr    error
)

const password = "correct horse battery"

func sharedSecret(a *auth.Authenticator) (store.Secret, error) {
	secretOnce.Do(func() { secretShared, secretErr = a.NewSecret(context.Background(), password) })
	return secretShared, secretErr
}

var serverTLS = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.example.test"},
		DNSNames: []string{"mail.example.test"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// A client speaks to a server, a line at a time.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func (h *harness) dial(t testing.TB) *client {
	t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

func newClient(t testing.TB, conn net.Conn) *client {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// open dials and gets past EHLO.
func (h *harness) open(t testing.TB) *client {
	t.Helper()
	c := h.dial(t)
	c.expect("220 ")
	c.do("EHLO client.test", "250")
	return c
}

// send writes raw text.
func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// line reads one line, "" at the end of the connection.
func (c *client) line() string {
	c.t.Helper()
	s, err := c.r.ReadString('\n')
	if err != nil && s == "" {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			c.t.Fatal("the server says nothing")
		}
		return ""
	}
	return strings.TrimSuffix(s, "\r\n")
}

// expect reads a whole reply that begins with prefix, and returns its last line.
func (c *client) expect(prefix string) string {
	c.t.Helper()
	s := c.line()
	for len(s) > 3 && s[3] == '-' {
		s = c.line()
	}
	if !strings.HasPrefix(s, prefix) {
		c.t.Fatalf("got %q, want %q", s, prefix)
	}
	return s
}

// do sends a command and expects a reply.
func (c *client) do(command, prefix string) string {
	c.t.Helper()
	c.send(command + "\r\n")
	return c.expect(prefix)
}

// expectEnd expects the connection to be closed with nothing said.
func (c *client) expectEnd() {
	c.t.Helper()
	if s := c.line(); s != "" {
		c.t.Fatalf("got %q, want the end of the connection", s)
	}
}

// startTLS changes to TLS.
func (c *client) startTLS() {
	c.t.Helper()
	c.do("STARTTLS", "220 ")
	t := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
	if err := t.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.r = t, bufio.NewReader(t)
}

// message sends a message within a transaction.
func (c *client) message(text, reply string) string {
	c.t.Helper()
	c.do("DATA", "354 ")
	c.send(text)
	return c.do(".", reply)
}
