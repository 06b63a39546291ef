package smtpd

import (
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postroom/store"
)

// These tests follow what go-smtp leaves to its users, point by point.

// within begins a message.
func (c *client) within(to ...string) {
	c.t.Helper()
	c.do("MAIL FROM:<x@far.test>", "250")
	for _, r := range to {
		c.do("RCPT TO:<"+r+">", "250")
	}
	c.do("DATA", "354")
}

func TestTimeoutInMessageRunsNoCommands(t *testing.T) {
	h := serve(t, func(s *Server) { s.Limits.Idle = time.Second })
	c := h.open(t)
	c.within("alice@example.test")
	c.send("a: b\r\n\r\nQUIT")
	c.expect("421 4.4.2 Nothing heard")
	c.send("\r\n.\r\nMAIL FROM:<y@far.test>\r\n")
	c.expectEnd()
	if n := h.mail.count(); n != 0 {
		t.Errorf("%d messages were accepted", n)
	}
}

func TestHangUpInMessage(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	c.within("alice@example.test")
	c.send("a: b\r\n\r\nhalf a mess")
	c.conn.(*net.TCPConn).CloseWrite()
	c.expectEnd()
	if n := h.mail.count(); n != 0 {
		t.Errorf("%d messages were accepted", n)
	}
}

func TestIdleSession(t *testing.T) {
	h := serve(t, func(s *Server) { s.Limits.Idle = time.Second })
	c := h.open(t)
	c.send("NOO")
	c.expect("421 4.4.2")
	c.expectEnd()
}

func TestDeadlineOfLine(t *testing.T) {
	begun := time.Unix(1000, 0)
	at := func(s int) time.Time { return begun.Add(time.Duration(s) * time.Second) }
	for _, tt := range []struct {
		it   string
		idle time.Duration
		now  time.Time
		want time.Time
	}{
		{"gives each octet its time", 4 * time.Second, at(10), at(14)},
		{"ends a line that takes too long in all", 4 * time.Second, at(58), at(60)},
		{"gives a line as long as a silence may last", 5 * time.Minute, at(200), at(300)},
	} {
		l := Limits{Idle: tt.idle}
		if got := l.lineDeadline(begun, tt.now); !got.Equal(tt.want) {
			t.Errorf("%s: got %v after the first octet, want %v", tt.it, got.Sub(begun), tt.want.Sub(begun))
		}
		if got := l.lineDeadline(time.Time{}, tt.now); !got.Equal(tt.now.Add(tt.idle)) {
			t.Errorf("%s: a silent client has %v", tt.it, got.Sub(tt.now))
		}
	}
}

// TestSlowMessage sends an octet at a time, often enough not to be idle.
func TestSlowMessage(t *testing.T) {
	for name, limits := range map[string]Limits{
		"misses the rate":        {MinRate: 1 << 20, RateGrace: 100 * time.Millisecond},
		"takes too long in all":  {Message: 100 * time.Millisecond},
		"but one that may takes": {},
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, func(s *Server) { s.Limits = limits })
			c := h.open(t)
			c.within("alice@example.test")
			stop := make(chan struct{})
			defer close(stop)
			if limits == (Limits{}) {
				c.do(".", "250")
				return
			}
			go func() {
				tick := time.NewTicker(5 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-stop:
						return
					case <-tick.C:
						_, _ = c.conn.Write([]byte("x"))
					}
				}
			}()
			c.expect("421 4.4.2 The message takes too long")
		})
	}
}

func TestDeadlineOfMessage(t *testing.T) {
	l := Limits{Idle: 5 * time.Minute, Message: time.Hour, MinRate: 100, RateGrace: time.Minute}
	begun := time.Unix(1000, 0)
	at := func(s int) time.Time { return begun.Add(time.Duration(s) * time.Second) }
	tests := []struct {
		name     string
		now      time.Time
		received int64
		want     time.Time
		slow     bool
	}{
		{"gives a silent client a minute", at(0), 0, at(60), true},
		{"gives an octet a second no more than that", at(59), 59, at(60), true},
		{"waits as long for a fast one as for any", at(100), 1 << 20, at(400), false},
		{"ends after an hour", at(3500), 1 << 30, at(3600), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, late := l.deadline(begun, tt.now, tt.received)
			if got.Truncate(time.Second) != tt.want || (late == statusSlow) != tt.slow {
				t.Errorf("got %v, %v; want %v", got, late, tt.want)
			}
		})
	}
}

func TestSmuggling(t *testing.T) {
	dir := os.Getenv("POSTROOM_TESTDATA")
	if dir == "" {
		t.Skip("needs POSTROOM_TESTDATA, the folder of test data from elsewhere")
	}
	b, err := os.ReadFile(filepath.Join(dir, "smuggling", "false-end-of-data.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Hex string `json:"bytes_hex"`
	}
	if err := json.Unmarshal(b, &rows); err != nil || len(rows) < 16 {
		t.Fatal(err, len(rows))
	}
	h := serve(t)
	const next = "MAIL FROM:<evil@far.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nsmuggled\r\n.\r\n"
	for _, row := range rows {
		ending, err := hex.DecodeString(row.Hex)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(row.Hex, func(t *testing.T) {
			c := h.open(t)
			c.within("alice@example.test")
			c.send("a: b\r\n\r\ntext" + string(ending) + next)
			if strings.HasPrefix(string(ending), "\r\n.\r\n") {
				// What stands before it is a message; what follows is a bad command.
				c.expect("250 ")
				c.expect("500 5.5.2")
				return
			}
			c.expect("550 5.6.11")
			if strings.HasSuffix(string(ending), "\r\n.\r\n") {
				for _, answer := range []string{"250 2.", "250 2.", "354 ", "250 2."} { // what follows is commands
					c.expect(answer)
				}
				return
			}
			c.do("NOOP", "250 2.0.0") // and nothing was answered in between
		})
	}
	for _, k := range h.mail.accepted {
		if k.Envelope.Sender.Local == "evil" && !strings.Contains(k.text, "smuggled") {
			t.Errorf("smuggled: %q", k.text)
		}
		if strings.Contains(k.text, "text") && strings.Contains(k.text, "MAIL FROM") {
			t.Errorf("accepted %q", k.text)
		}
	}
}

func TestBareControlInMessage(t *testing.T) {
	for name, text := range map[string]string{
		"bare LF":         "a\nb\r\n",
		"bare CR":         "a\rb\r\n",
		"NUL":             "a\x00b\r\n",
		"dot and CR":      ".\rx\r\n",
		"CR at the end":   "a\r\r\n",
		"LF in front":     "\na\r\n",
		"LF before a dot": "a\n.\r\nb\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t)
			c := h.open(t)
			c.within("alice@example.test")
			c.send("h: x\r\n\r\n" + text + ".\r\n")
			c.expect("550 5.6.11")
			c.do("NOOP", "250 2.0.0")
		})
	}
}

func TestErrorsOfTheStore(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"a full disk":        {fmt.Errorf("commit: %w", store.ErrDiskFull), "452 4.3.1"},
		"a full spool":       {fmt.Errorf("spool: %w", syscall.ENOSPC), "452 4.3.1"},
		"a disabled account": {fmt.Errorf("accept: %w", store.ErrDisabled), "550 5.7.1"},
		"a status":           {fmt.Errorf("x: %w", statusLoop), "554 5.4.6"},
		"anything else":      {errors.New("secret detail"), "451 4.3.0 Local error, please try again later"},
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t)
			h.mail.fail.Store(&tt.err)
			c := h.open(t)
			c.within("alice@example.test")
			c.do(".", tt.want)
			if r := h.mail.refusals(); len(r) != 1 || r[0].From != "x@far.test" || r[0].To[0] != "alice@example.test" {
				t.Errorf("refusals: %+v", r)
			}
		})
	}
}

func TestFullDiskAtMail(t *testing.T) {
	h := serve(t)
	h.mail.full.Store(true)
	c := h.open(t)
	c.do("MAIL FROM:<x@far.test>", "452 4.3.1")
	h.mail.full.Store(false)
	c.do("MAIL FROM:<x@far.test>", "250")
}

// TestNothingFollowsQUIT also sees that go-smtp has nothing to complain about.
func TestNothingFollowsQUIT(t *testing.T) {
	var log strings.Builder
	h := serve(t, func(s *Server) { s.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	c := h.open(t)
	c.send("QUIT\r\nMAIL FROM:<x@far.test>\r\nRCPT TO:<nobody@example.test>\r\nEHLO again.test\r\nNOOP\r\n")
	c.expect("221")
	c.expectEnd()
	h.stop()
	<-h.done
	if log.Len() > 0 || len(h.mail.refusals()) > 0 {
		t.Errorf("log: %s\nrefusals: %+v", log.String(), h.mail.refusals())
	}
}

func TestNoChunking(t *testing.T) {
	h := serve(t, func(s *Server) { s.Limits.MessageBytes = 1234567 })
	c := h.dial(t)
	c.expect("220")
	c.send("EHLO client.test\r\n")
	var offers []string
	for {
		line := c.line()
		offers = append(offers, line[4:])
		if line[3] == ' ' {
			break
		}
	}
	want := "mail.example.test|PIPELINING|SIZE 1234567|STARTTLS|ENHANCEDSTATUSCODES|8BITMIME|DSN|SMTPUTF8|LIMITS RCPTMAX=1000"
	if got := strings.Join(offers, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c.do("MAIL FROM:<x@far.test>", "250")
	c.do("RCPT TO:<alice@example.test>", "250")
	c.do("BDAT 0 LAST", "502")
}

func TestBadLoginsEndASession(t *testing.T) {
	h := serve(t, submission, func(s *Server) { s.RequireTLS = false })
	c := h.open(t)
	for range maxBadLogins {
		c.do("AUTH PLAIN "+plainResponse("nobody@example.test", "x"), "535 5.7.8")
	}
	c.expect("421 4.7.0")
	c.expectEnd()
	r := h.mail.refusals()
	if len(r) != maxBadLogins || r[0].From != "nobody@example.test" || r[0].Events[0].Reason != "login failed" {
		t.Errorf("refusals: %+v", r)
	}
}

func TestPipelinedAfterRefusedMailCostsNothing(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	c.send("MAIL FROM:<bad>\r\n" + strings.Repeat("RCPT TO:<alice@example.test>\r\n", 50) + "NOOP\r\n")
	c.expect("501")
	for range 50 {
		c.expect("503")
	}
	c.expect("250 2.0.0")
}

func TestHTTP(t *testing.T) {
	for _, first := range []string{"GET / HTTP/1.1", "POST /x HTTP/1.0", "FOO /x HTTP/2.0", "CONNECT a:25 HTTP/1.1"} {
		h := serve(t)
		c := h.dial(t)
		c.expect("220")
		c.send(first + "\r\nHost: x\r\n\r\nMAIL FROM:<x@far.test>\r\n")
		c.expect("554 5.5.1")
		c.expectEnd()
	}
}

// A client that is still sending when it is hung up on hears why: a reset would
// take our last words with it.
func TestLastWordsAreHeard(t *testing.T) {
	for name, front := range map[string]string{"directly": "", "through a proxy": "PROXY TCP4 198.51.100.7 192.0.2.25 999 25\r\n"} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, func(s *Server) {
				if front != "" {
					trustLoopback(s)
				}
			})
			c := h.dial(t)
			c.send(front + "POST / HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("x", 256<<10))
			heard, err := io.ReadAll(c.r)
			if err != nil || !strings.Contains(string(heard), "\r\n554 5.5.1 ") {
				t.Errorf("heard %q, %v", heard, err)
			}
		})
	}
}

func TestTLSWithoutSTARTTLS(t *testing.T) {
	h := serve(t)
	c := h.dial(t)
	c.expect("220")
	c.send("\x16\x03\x01\x02\x00\x01\x00")
	c.expect("554 5.5.1")
	c.expectEnd()
}

func TestLongCommandLine(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	c.do("NOOP "+strings.Repeat("x", 1<<20), "500 5.5.6")
	c.do("NOOP "+strings.Repeat("x", maxLine-5), "250")
	c.do("NOOP "+strings.Repeat("x", maxLine-4), "500 5.5.6")
	c.do("MAIL FROM:<x@far.test> "+strings.Repeat("\r", 5000), "500")
	c.do("NOOP", "250")
}

// A countingListener counts what its connections write.
type countingListener struct {
	net.Listener
	writes *atomic.Int64
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, l.writes}, err
}

func (c countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestRepliesAreBatched(t *testing.T) {
	var writes atomic.Int64
	h := serve(t, func(s *Server) { s.Name = "counted" })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = h.Serve(t.Context(), countingListener{l, &writes}) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn)
	c.expect("220")
	c.do("EHLO client.test", "250")
	if n := writes.Load(); n != 2 {
		t.Errorf("greeting and EHLO took %d writes", n)
	}
	c.send("MAIL FROM:<x@far.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n")
	for _, want := range []string{"250", "250", "250", "354"} {
		c.expect(want)
	}
	if n := writes.Load(); n != 3 {
		t.Errorf("four pipelined commands took %d writes", n-2)
	}
}

// TestClientThatReadsNothing is ended when our replies fit nowhere any more.
func TestClientThatReadsNothing(t *testing.T) {
	h := serve(t, func(s *Server) { s.Limits.Write = 100 * time.Millisecond })
	c := h.open(t)
	c.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	flood := []byte(strings.Repeat("NOOP\r\n", 10000))
	for {
		if _, err := c.conn.Write(flood); err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				t.Fatal("the server still reads")
			}
			return
		}
	}
}

func TestSTARTTLSDropsWhatWasPipelined(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	c.send("STARTTLS\r\nEHLO injected.test\r\nMAIL FROM:<x@far.test>\r\n")
	c.expect("220 2.0.0")
	secure := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"smtp"}})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	c = newClient(t, secure)
	c.do("RCPT TO:<alice@example.test>", "503")
	c.do("MAIL FROM:<x@far.test>", "503 5.5.1 Say EHLO")
	c.send("EHLO client.test\r\n")
	for {
		line := c.line()
		if strings.Contains(line, "STARTTLS") {
			t.Error("offers STARTTLS again")
		}
		if line[3] == ' ' {
			break
		}
	}
	c.within("alice@example.test")
	c.do("x: y\r\n.", "250")
	k := h.mail.last(t)
	if !strings.Contains(k.text, "with ESMTPS\r\n\tid ") || !strings.Contains(k.text, "(TLS 1.3 TLS_") {
		t.Errorf("Received is %q", k.text)
	}
	if k.Accepted.Protocol != "ESMTPS" || !strings.HasPrefix(k.Accepted.TLS, "TLS 1.3 ") {
		t.Errorf("the trace has %+v", k.Accepted)
	}
}

func TestTLSVersionsAndALPN(t *testing.T) {
	h := serve(t, submission, func(s *Server) { s.ImplicitTLS = true })
	dial := func(c *tls.Config) error {
		c.InsecureSkipVerify = true
		conn, err := tls.Dial("tcp", h.addr, c)
		if err == nil {
			newClient(t, conn).expect("220 ")
		}
		return err
	}
	for name, tt := range map[string]struct {
		config *tls.Config
		ok     bool
	}{
		"without ALPN":      {&tls.Config{}, true},
		"with ours":         {&tls.Config{NextProtos: []string{"h2", "smtp"}}, true},
		"with another's":    {&tls.Config{NextProtos: []string{"http/1.1"}}, false},
		"with TLS 1.2":      {&tls.Config{MaxVersion: tls.VersionTLS12}, true},
		"with TLS 1.1 only": {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
	} {
		if err := dial(tt.config); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPanicEndsOneSession(t *testing.T) {
	h := serve(t)
	other := h.open(t)
	c := h.open(t)
	c.do("MAIL FROM:<x@far.test>", "250")
	c.do("RCPT TO:<panic@example.test>", "421 4.3.0 Local error")
	c.expectEnd()
	other.within("alice@example.test")
	other.do("x: y\r\n.", "250")
}
