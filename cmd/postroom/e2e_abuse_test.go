package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/cmd/postroom/bench"
)

// dial connects and reads the greeting.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	greeting := make([]byte, 4)
	if _, err := io.ReadFull(conn, greeting); err != nil {
		t.Fatal(err)
	}
	return conn
}

// works fails unless mail still goes in and out. It leaves the maildrop empty.
func (s *site) works() {
	s.t.Helper()
	want := withAttachment("alice@judge.test", "bob@judge.test")
	s.submit("alice@judge.test", "bob@judge.test", want)
	c := s.open("bob@judge.test")
	got, err := c.Retrieve(1)
	if err != nil {
		s.t.Fatal(err)
	}
	endsWith(s.t, got, want)
	if err := errors.Join(c.Delete(1), c.Quit()); err != nil {
		s.t.Fatal(err)
	}
}

// talkBadly writes text and returns all that the server says until it hangs up
// or done is in it.
func talkBadly(t *testing.T, addr, text, done string) string {
	t.Helper()
	conn := dial(t, addr)
	go func() { _, _ = io.WriteString(conn, text) }()
	var said bytes.Buffer
	b := make([]byte, 4096)
	for !strings.Contains(said.String(), done) {
		n, err := conn.Read(b)
		said.Write(b[:n])
		if err != nil {
			break
		}
	}
	return said.String()
}

func TestBadInputGetsAnAnswerAndHarmsNobody(t *testing.T) {
	s := startSite(t)
	bystander, err := bench.DialSMTP(t.Context(), s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer bystander.Close()
	half := "EHLO x\r\nMAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<bob@judge.test>\r\nDATA\r\n"
	for _, tt := range []struct{ name, addr, text, want string }{
		{"unknown SMTP commands", s.SMTP, strings.Repeat("FROBNICATE\r\n", 40), "421 "},
		{"unknown POP3 commands", s.POP3, strings.Repeat("FROBNICATE\r\n", 40), "-ERR"},
		{"an SMTP line of 1 MB", s.SMTP, "EHLO " + strings.Repeat("x", 1<<20) + "\r\n", "500 "},
		{"a POP3 line of 1 MB", s.POP3, "USER " + strings.Repeat("x", 1<<20) + "\r\n", "-ERR"},
		{"a bare LF in a command", s.SMTP, "EHLO x\nNOOP\r\n", "500 "},
		{"a bare CR in a command", s.SMTP, "EHLO x\rNOOP\r\n", "500 "},
		{"an HTTP request", s.SMTP, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "5"},
		{"a bare LF in a message", s.SMTP, half + head + "a\nb\r\n.\r\n", "550 5.6.11"},
		{"a bare CR in a message", s.SMTP, half + head + "a\rb\r\n.\r\n", "550 5.6.11"},
		{"a smuggled end of a message", s.SMTP, half + head + "a\n.\nMAIL FROM:<b@elsewhere.test>\r\n.\r\n", "550 5.6.11"},
		{"a NUL in a message", s.SMTP, half + head + "a\x00b\r\n.\r\n", "550 5.6.11"},
		{"noise", s.Submission, strings.Repeat("\x00\xff\x16\x03\x01", 1000) + "\r\n", "500 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if said := talkBadly(t, tt.addr, tt.text, tt.want); !strings.Contains(said, tt.want) {
				t.Errorf("the server said %.500q, no %q", said, tt.want)
			}
		})
	}
	if _, err := bystander.Command("NOOP"); err != nil {
		t.Errorf("another session: %v", err)
	}
	s.works()
}

func TestHalfAMessageIsNoMessage(t *testing.T) {
	s := startSite(t)
	for range 5 {
		conn := dial(t, s.SMTP)
		_, err := io.WriteString(conn, "EHLO x\r\nMAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<bob@judge.test>\r\nDATA\r\n"+head+"half of it")
		if err != nil {
			t.Fatal(err)
		}
		awaitText(t, conn, "354 ")
		conn.Close()
	}
	s.works() // bob's maildrop holds the one that this sends, and no other
	s.emptied("bob@judge.test")
}

func awaitText(t *testing.T, r io.Reader, text string) {
	t.Helper()
	var said bytes.Buffer
	b := make([]byte, 4096)
	for !strings.Contains(said.String(), text) {
		n, err := r.Read(b)
		said.Write(b[:n])
		if err != nil {
			t.Fatalf("%v after %q", err, said.String())
		}
	}
}

// TestAClientThatReadsNothing asks for far more than buffers hold and doesn't
// read it. Everybody else is served meanwhile.
func TestAClientThatReadsNothing(t *testing.T) {
	s := startSite(t)
	s.send("someone@elsewhere.test", "alice@judge.test", large(20_000_000))
	for range 5 {
		smtp := dial(t, s.SMTP)
		go func() { _, _ = io.WriteString(smtp, strings.Repeat("EHLO client.test\r\n", 1<<18)) }()
	}
	pop := dial(t, s.POP3)
	if _, err := io.WriteString(pop, "USER alice@judge.test\r\nPASS "+password+"\r\nRETR 1\r\nRETR 1\r\n"); err != nil {
		t.Fatal(err)
	}
	// The maildrop is in use once it has logged in, and stays so.
	s.until("the maildrop is held", func() bool {
		c := dial(t, s.POP3)
		defer c.Close()
		if _, err := io.WriteString(c, "USER alice@judge.test\r\nPASS "+password+"\r\nQUIT\r\n"); err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(said), "[IN-USE]")
	})
	s.works()
	if got := peak(t, s.PID()); got > maxMemory {
		t.Errorf("%d MB were resident", got/1000)
	}
}

func TestTwoThousandIdleConnectionsOverTLS(t *testing.T) {
	const half = 1000
	s := startSite(t)
	conns := make([]net.Conn, 2*half)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	var all sync.WaitGroup
	places := make(chan struct{}, 50) // handshakes at once
	for i := range conns {
		addr := s.Submissions
		if i >= half {
			addr = s.POP3S
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			var err error
			if conns[i], err = dialTLS(addr); err != nil {
				t.Errorf("connection %d: %v", i+1, err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	s.works()
	for i, verb := range map[int]string{0: "NOOP", half: "CAPA"} {
		if _, err := io.WriteString(conns[i], verb+"\r\n"); err != nil {
			t.Fatal(err)
		}
		awaitText(t, conns[i], "\r\n")
	}
	t.Logf("%d MB were resident", peak(t, s.PID())/1000)
}

// dialTLS connects, shakes hands and reads the greeting.
func dialTLS(addr string) (net.Conn, error) {
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return conn, err
	}
	b := make([]byte, 512)
	n, err := conn.Read(b)
	if err == nil && !bytes.HasPrefix(b[:n], []byte("220 ")) && !bytes.HasPrefix(b[:n], []byte("+OK")) {
		err = fmt.Errorf("greeting %q", b[:n])
	}
	return conn, err
}

// TestASecondServeIsRefused starts one with other ports on the same data.
func TestASecondServeIsRefused(t *testing.T) {
	s := startSite(t)
	other := prepareSite(t)
	out, err := other.serveWith("POSTROOM_DATA=" + s.Data())
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 1 {
		t.Fatalf("the second serve ended with %v: %s", err, out)
	}
	if !strings.Contains(out, "postroom: ") || !strings.Contains(out, s.Data()) || strings.Count(out, "\n") != 1 {
		t.Errorf("it said %q", out)
	}
	s.works()
}

// serveWith runs serve with a further variable until it ends by itself.
func (s *site) serveWith(env ...string) (string, error) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.Program, "serve", "--config", s.Config())
	cmd.Env, cmd.Dir = append(cmd.Environ(), env...), s.Dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
