package smtpd

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/auth"
	"postroom/store/sqlite"
)

// A users harness is a server with a real store, in which alice and bob have
// accounts.
type users struct {
	*harness
	store *sqlite.Store
	now   atomic.Pointer[time.Time]
}

func (u *users) clock() time.Time { return *u.now.Load() }

func serveUsers(t *testing.T, change ...func(*Server)) *users {
	t.Helper()
	u := &users{}
	start := time.Date(2026, 11, 21, 22, 14, 4, 0, time.UTC)
	u.now.Store(&start)
	var err error
	if u.store, err = sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir(), Now: u.clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := u.store.AddDomain(t.Context(), store.Domain{Name: "example.test"}); err != nil {
		t.Fatal(err)
	}
	a := auth.New(u.store, auth.Options{})
	secret, err := sharedSecret(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, local := range []string{"alice", "bob"} {
		account := store.Account{Address: address(local + "@example.test"), Secret: secret}
		if _, err := u.store.AddAccount(t.Context(), account); err != nil {
			t.Fatal(err)
		}
	}
	real := func(s *Server) { s.Mail, s.Now, s.RequireTLS = u.store, u.clock, false }
	u.harness = serve(t, append([]func(*Server){real}, change...)...)
	u.auth = a
	return u
}

// login opens a session and logs in.
func (u *users) login(t testing.TB, name string) *client {
	t.Helper()
	c := u.open(t)
	c.do("AUTH PLAIN "+plainResponse(name+"@example.test", password), "235 ")
	return c
}

// serveSubmission is serveUsers for the submission port.
func serveSubmission(t *testing.T) *users {
	t.Helper()
	u := serveUsers(t)
	u.stop()
	<-u.done
	h := &harness{mail: u.mail, auth: u.auth, done: make(chan struct{})}
	h.Server = &Server{
		Name: "submission", Hostname: "mail.example.test", Submission: true, Mail: u.store, Auth: u.auth, SpoolDir: t.TempDir(), Now: u.clock,
	}
	listenOn(t, h, "127.0.0.1:0")
	u.harness = h
	return u
}

func (u *users) limit(t *testing.T, a store.Allowances) {
	t.Helper()
	u.store.SetAllowances(a)
}

// textFrom is a message of a user.
func textFrom(name string) string {
	return "From: " + name + "@example.test\r\nSubject: hello\r\n\r\nhello\r\n"
}

// try sends a message and returns the last reply: to a recipient, or to the
// message.
func (c *client) try(from string, to ...string) string {
	c.t.Helper()
	c.do("RSET", "250 ")
	c.do("MAIL FROM:<"+from+"@example.test>", "250 ")
	for _, r := range to {
		c.send("RCPT TO:<" + r + ">\r\n")
		if reply := c.reply(); !strings.HasPrefix(reply, "250 ") {
			return reply
		}
	}
	c.do("DATA", "354 ")
	c.send(textFrom(from) + ".\r\n")
	return c.reply()
}

func TestLimitsAreTold(t *testing.T) {
	u := serveSubmission(t)
	hour := func(messages, recipients int64) store.Allowance {
		return store.Allowance{MessagesPerHour: messages, RecipientsPerHour: recipients}
	}
	c := u.login(t, "alice")
	for _, row := range []struct {
		it     string
		limits store.Allowances
		to     []string
		want   string
	}{
		{"takes what is within the limits", store.Allowances{Account: hour(5, 5)}, []string{"a@far.test", "b@far.test"}, "250 "},
		{
			"names the account's limit and the time",
			store.Allowances{Account: hour(1, 0)},
			[]string{"a@far.test"},
			"450 4.7.1 You have reached the limit of 1 messages an hour; there is room again at 23:15 UTC",
		},
		{
			"says how much is left",
			store.Allowances{Account: hour(0, 3)},
			[]string{"a@far.test", "b@far.test"},
			"450 4.7.1 You have a limit of 3 recipients an hour, of which 1 are left; there is room for this message at 23:15 UTC",
		},
		{
			"says that a message never fits",
			store.Allowances{Account: hour(0, 3)},
			[]string{"bob@example.test", "a@far.test", "b@far.test", "c@far.test", "d@far.test"},
			"450 4.7.1 You have a limit of 3 recipients an hour, of which 1 are left",
		},
		{
			"names the domain, and the day",
			store.Allowances{Domain: store.Allowance{RecipientsPerDay: 2}},
			[]string{"a@far.test"},
			"450 4.7.1 example.test has reached the limit of 2 recipients a day; there is room again at 22:15 UTC on 22 November",
		},
		{
			"names the server",
			store.Allowances{Server: hour(1, 0)},
			[]string{"a@far.test"},
			"450 4.7.1 This server has reached the limit of 1 messages an hour",
		},
		{"doesn't count what stays here", store.Allowances{Account: hour(1, 1)}, []string{"bob@example.test", "alice@example.test"}, "250 "},
		{"counts a recipient that is named twice once", store.Allowances{Account: hour(0, 3)}, []string{"a@far.test", "a@far.test"}, "250 "},
	} {
		u.limit(t, row.limits)
		if got := c.try("alice", row.to...); !strings.HasPrefix(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.it, got, row.want)
		}
	}
	u.limit(t, store.Allowances{Account: hour(0, 2)})
	fresh := u.login(t, "bob")
	if got := fresh.try("bob", "a@far.test", "b@far.test", "c@far.test"); got !=
		"450 4.7.1 You have a limit of 2 recipients an hour, and this message has more than that; send it to fewer at a time" {
		t.Errorf("a message that is too large by itself: %q", got)
	}
}

// Fifty sessions of one account at once get exactly as much through as it may
// send; what the early look lets pass is refused after the message.
func TestLimitIsExactOverFiftyConnections(t *testing.T) {
	u := serveSubmission(t)
	u.limit(t, store.Allowances{Account: store.Allowance{MessagesPerHour: 120}})
	var taken, refused atomic.Int64
	var sessions sync.WaitGroup
	for range 50 {
		c := u.login(t, "alice")
		sessions.Go(func() {
			for range 4 {
				switch reply := c.try("alice", "a@far.test"); {
				case strings.HasPrefix(reply, "250 "):
					taken.Add(1)
				case strings.HasPrefix(reply, "450 4.7.1 You have reached the limit of 120 messages an hour"):
					refused.Add(1)
				default:
					t.Errorf("got %q", reply)
				}
			}
		})
	}
	sessions.Wait()
	if taken.Load() != 120 || refused.Load() != 80 {
		t.Errorf("took %d and refused %d, want 120 and 80", taken.Load(), refused.Load())
	}
	n, err := u.store.CountQueue(t.Context(), store.QueueFilter{})
	if err != nil || n != 120 {
		t.Errorf("%d in the queue, %v", n, err)
	}
	later := u.clock().Add(61 * time.Minute)
	u.now.Store(&later)
	if reply := u.login(t, "alice").try("alice", "a@far.test"); !strings.HasPrefix(reply, "250 ") {
		t.Errorf("an hour later: %q", reply)
	}
}

// dialFrom connects from an address of the loopback network.
func (h *harness) dialFrom(t *testing.T, ip string) *client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := d.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn)
	c.expect("220 ")
	return c
}

func (u *users) device(t *testing.T, network string, id store.AccountID) {
	t.Helper()
	if err := u.store.AddDevice(t.Context(), store.Device{Network: netip.MustParsePrefix(network), Account: id}); err != nil {
		t.Fatal(err)
	}
}

// acceptedEvent returns the first event of a message that was taken.
func (u *users) acceptedEvent(t *testing.T, reply string) store.Event {
	t.Helper()
	id, ok := strings.CutPrefix(reply, "250 2.0.0 accepted as ")
	if !ok {
		t.Fatalf("not accepted: %q", reply)
	}
	page, err := u.store.Trails(t.Context(), store.TrailQuery{Text: id})
	if err != nil || len(page.Trails) != 1 {
		t.Fatal(page, err)
	}
	return page.Trails[0].Events[0]
}

func TestDevices(t *testing.T) {
	ports := map[string]func(*testing.T) *users{
		"port 25":    func(t *testing.T) *users { return serveUsers(t) },
		"submission": serveSubmission,
	}
	for name, serve := range ports {
		t.Run(name, func(t *testing.T) {
			u := serve(t)
			u.device(t, "127.0.0.0/24", 2)
			u.device(t, "127.0.0.5/32", 1)
			c := u.dialFrom(t, "127.0.0.5")
			c.do("EHLO scanner", "250 ")
			reply := c.try("alice", "a@far.test", "bob@example.test")
			if e := u.acceptedEvent(t, reply); e.Account != "alice@example.test" || e.Device != "127.0.0.5" || e.Protocol != "ESMTP" {
				t.Errorf("the trace has %+v", e)
			}
			c.do("MAIL FROM:<bob@example.test>", "550 5.7.1 This device sends as <alice@example.test>, and may not send as <bob@example.test>")
			c.do("MAIL FROM:<x@far.test>", "550 5.7.1 ")
			c.do("MAIL FROM:<alice@example.test>", "250 ")
			c.do("RCPT TO:<a@far.test>", "250 ")
			c.message("From: bob@example.test\r\n\r\nhello\r\n", "550 5.7.1 This device")
			if e := u.acceptedEvent(t, u.greeted(t, "127.0.0.9").try("bob", "a@far.test")); e.Account != "bob@example.test" || e.Device != "127.0.0.0/24" {
				t.Errorf("the trace of the wider network's has %+v", e)
			}
			u.limit(t, store.Allowances{Account: store.Allowance{MessagesPerHour: 1}})
			if got := c.try("alice", "a@far.test"); !strings.HasPrefix(got, "450 4.7.1 alice@example.test has reached the limit of 1 messages an hour") {
				t.Errorf("over the limit: %q", got)
			}
		})
	}
}

func (u *users) greeted(t *testing.T, ip string) *client {
	t.Helper()
	c := u.dialFrom(t, ip)
	c.do("EHLO scanner", "250 ")
	return c
}

// What the admin changes counts in sessions that are open, at the next message and
// in the middle of one.
func TestDevicesEnd(t *testing.T) {
	u := serveSubmission(t)
	network := netip.MustParsePrefix("127.0.0.5/32")
	u.device(t, network.String(), 1)
	begin := func() *client {
		t.Helper()
		c := u.greeted(t, "127.0.0.5")
		c.do("MAIL FROM:<alice@example.test>", "250 ")
		c.do("RCPT TO:<a@far.test>", "250 ")
		return c
	}
	idle, middle := u.greeted(t, "127.0.0.5"), begin()
	stand := func(s store.Standing) {
		t.Helper()
		if err := u.store.SetStanding(t.Context(), 1, s); err != nil {
			t.Fatal(err)
		}
	}
	stand(store.Disabled)
	idle.do("MAIL FROM:<alice@example.test>", "550 5.7.1 This device sends with an account that is disabled")
	u.greeted(t, "127.0.0.5").do("MAIL FROM:<alice@example.test>", "550 5.7.1 This device sends with an account that is disabled")
	middle.message(textFrom("alice"), "550 5.7.1 This account may not send")
	stand(store.Enabled)
	if got := idle.try("alice", "a@far.test"); !strings.HasPrefix(got, "250 ") {
		t.Errorf("once it is enabled again: %q", got)
	}
	middle = begin()
	if err := u.store.RemoveDevice(t.Context(), network); err != nil {
		t.Fatal(err)
	}
	middle.message(textFrom("alice"), "550 5.7.1 Your address may not send without logging in any more")
	middle.do("MAIL FROM:<alice@example.test>", "530 5.7.0 ")
	idle.do("MAIL FROM:<alice@example.test>", "530 5.7.0 ")
	u.device(t, network.String(), 2)
	if got := idle.try("bob", "a@far.test"); !strings.HasPrefix(got, "250 ") {
		t.Errorf("once it is another account's: %q", got)
	}
}

// A nested MAIL doesn't make another of whom the transaction belongs to.
func TestDeviceStaysWithinTransaction(t *testing.T) {
	u := serveUsers(t)
	network := netip.MustParsePrefix("127.0.0.5/32")
	u.device(t, network.String(), 1)
	c := u.greeted(t, "127.0.0.5")
	c.do("MAIL FROM:<alice@example.test>", "250 ")
	c.do("RCPT TO:<a@far.test>", "250 ")
	if err := u.store.RemoveDevice(t.Context(), network); err != nil {
		t.Fatal(err)
	}
	c.do("MAIL FROM:<alice@example.test>", "503 ")
	c.message(textFrom("alice"), "550 5.7.1 ")
	c.do("MAIL FROM:<x@far.test>", "250 ")
	c.do("RCPT TO:<a@far.test>", "550 5.7.1 Relaying denied")
}

// Who logs in isn't a device any more, with another account's device too.
func TestLoginOverridesDevice(t *testing.T) {
	u := serveSubmission(t)
	u.device(t, "127.0.0.5/32", 1)
	c := u.greeted(t, "127.0.0.5")
	c.do("AUTH PLAIN "+plainResponse("bob@example.test", password), "235 ")
	c.do("AUTH PLAIN "+plainResponse("bob@example.test", password), "503 ")
	c.do("MAIL FROM:<alice@example.test>", "550 5.7.1 You may not send as <alice@example.test>")
	if e := u.acceptedEvent(t, c.try("bob", "a@far.test")); e.Account != "bob@example.test" || e.Device != "" || e.Protocol != "ESMTPA" {
		t.Errorf("the trace has %+v", e)
	}
}

// Trouble of our own is never a stranger's permission, or refusal.
func TestDeviceTrouble(t *testing.T) {
	h := serve(t, func(s *Server) { s.Mail = &troubledMail{fakeMail: s.Mail.(*fakeMail)} })
	c := h.open(t)
	c.do("MAIL FROM:<x@far.test>", "451 4.3.0 ")
}

type troubledMail struct{ *fakeMail }

func (*troubledMail) DeviceOf(context.Context, netip.Addr) (store.Device, error) {
	return store.Device{}, errors.New("no database")
}
