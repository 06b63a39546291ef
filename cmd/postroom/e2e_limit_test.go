package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postroom/store/admin"
)

// A device sends without logging in, on port 25; its account's limit comes from the
// configuration, changes at SIGHUP, and what was sent counts over kill -9. Near the
// limit the admin is told.
func TestDeviceWithinLimits(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	text := func(most int) string {
		return fmt.Sprintf("hostname = \"mail.example.org\"\ndata = %q\n[listen]\nmetrics = []\n[dns]\nservers = [\"127.0.0.1:1\"]\n"+
			"[limits]\nmessages_per_hour = %d\n", data, most)
	}
	file := writeConfig(t, text(3))
	run := func(args ...string) string {
		t.Helper()
		out, err := command(t, filepath.Dir(file), nil, append([]string{"--config", file}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("domain", "add", "example.org")
	run("account", "add", "scanner@example.org", "--generate")
	run("account", "add", "root@example.org", "--generate", "--admin")
	run("device", "add", "127.0.0.5", "scanner@example.org")
	used := func() admin.Limit {
		t.Helper()
		var l admin.Limits
		if err := json.Unmarshal([]byte(run("limit", "show", "scanner@example.org", "--json")), &l); err != nil {
			t.Fatal(err)
		}
		return l.MessagesPerHour
	}
	s := startWith(t, file)
	for i, want := range []string{"250 2.0.0 accepted", "250 2.0.0 accepted", "250 2.0.0 accepted", "450 4.7.1 scanner@example.org has reached the limit of 3 messages an hour"} {
		if got := s.scan(); !strings.HasPrefix(got, want) {
			t.Errorf("message %d: got %q, want %q", i+1, got, want)
		}
	}
	if l := used(); l.Used != 3 || *l.Left != 0 || l.Frees.IsZero() {
		t.Errorf("shown is %+v", l)
	}
	if got := run("trace", "scanner@example.org"); !strings.Contains(got, "as scanner@example.org device 127.0.0.5 by SMTP ") {
		t.Errorf("the trace is\n%s", got)
	}
	deadline := time.Now().Add(processLimit)
	for !strings.Contains(run("account", "show", "root@example.org"), "1 message") { // a look takes some time by itself
		if time.Now().After(deadline) {
			t.Fatal("the admin isn't told")
		}
	}

	if err := os.WriteFile(file, []byte(text(4)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.hangup()
	s.await("changed=[limits.messages_per_hour]")
	if got := s.scan(); !strings.HasPrefix(got, "250 ") {
		t.Errorf("after SIGHUP: %q", got)
	}
	s.end(unix.SIGKILL)
	s = startWith(t, file)
	if got := s.scan(); !strings.HasPrefix(got, "450 4.7.1 ") {
		t.Errorf("after kill -9: %q", got)
	}
	run("limit", "set", "scanner@example.org", "--messages-per-hour", "none")
	if got := s.scan(); !strings.HasPrefix(got, "250 ") {
		t.Errorf("without a limit: %q", got)
	}
	run("device", "remove", "127.0.0.5")
	if got := s.scan(); !strings.HasPrefix(got, "550 5.7.1 ") {
		t.Errorf("once it is no device: %q", got)
	}
}

// scan sends a message to another server's recipient from 127.0.0.5, and returns
// the last reply.
func (s *served) scan() string {
	s.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 5)}, Timeout: processLimit}
	conn, err := dialer.Dial("tcp", s.ports["smtp"])
	if err != nil {
		s.t.Fatal(err)
	}
	c := textproto.NewConn(conn)
	defer c.Close()
	reply := ""
	for _, line := range []string{
		"", "HELO scanner", "MAIL FROM:<scanner@example.org>", "RCPT TO:<a@far.test>", "DATA", "From: scanner@example.org\r\n\r\nscan\r\n.",
	} {
		if line != "" {
			if err := c.PrintfLine("%s", line); err != nil {
				s.t.Fatal(err)
			}
		}
		if reply, err = c.ReadLine(); err != nil {
			s.t.Fatal(err)
		}
		if reply[0] != '2' && reply[0] != '3' {
			break
		}
	}
	return reply
}
