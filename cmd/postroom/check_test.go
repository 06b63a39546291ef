package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"postroom/cmd/postroom/bench"
	"postroom/store"
	"postroom/store/admin"
	"postroom/store/mail"
)

// checkedNames is what the DNS of these tests knows.
func checkedNames(t *testing.T) string {
	t.Helper()
	d, err := bench.StartDNS(
		`far.test. 60 IN TXT "v=spf1 ip4:127.0.0.8 -all"`,
		`helo.far.test. 60 IN TXT "v=spf1 ip4:127.0.0.8 -all"`,
		`strict.test. 60 IN TXT "v=spf1 -all"`,
		`_dmarc.strict.test. 60 IN TXT "v=DMARC1; p=reject"`,
		`wary.test. 60 IN TXT "v=spf1 ~all"`,
		`_dmarc.wary.test. 60 IN TXT "v=DMARC1; p=quarantine"`,
		`broken.test. 60 IN TXT "v=spf1 nonsense"`,
		`9.0.0.127.bl.test. 60 IN A 127.0.0.2`,
		`9.0.0.127.bl.test. 60 IN TXT "seen sending junk"`,
		`listed.test.dbl.test. 60 IN A 127.0.1.2`,
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d.Addr
}

// checkSite is a server with every check on.
func checkSite(t *testing.T) *site {
	t.Helper()
	s := startSite(t, "POSTROOM_DNS_SERVERS="+checkedNames(t), "POSTROOM_INBOUND_SPF=mark", "POSTROOM_INBOUND_DKIM=mark",
		"POSTROOM_INBOUND_DMARC=enforce", "POSTROOM_INBOUND_OWN_DOMAINS=enforce", "POSTROOM_INBOUND_BLOCKLISTS=bl.test",
		"POSTROOM_INBOUND_DOMAIN_BLOCKLISTS=dbl.test", "POSTROOM_SMTP_MAX_MESSAGE_SIZE=100kB")
	for _, args := range [][]string{
		{"block", "add", "evil.test", "--note", "junk"},
		{"block", "add", "127.0.0.66"},
		{"allow", "add", "friend@strict.test"},
		{"device", "add", "127.0.0.50", "alice@judge.test"},
	} {
		if _, err := s.Command(t.Context(), "", args...); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

const plainMail = "From: Somebody <%s>\r\nSubject: hello\r\n\r\n.a line that begins with a dot\r\n.\r\nlast\r\n"

// checkedMails are sent, and asked about.
func checkedMails() map[string]admin.CheckRequest {
	from := func(ip, sender, author string) admin.CheckRequest {
		return admin.CheckRequest{IP: ip, Helo: "helo.far.test", From: sender, Message: fmt.Appendf(nil, plainMail, author)}
	}
	with := func(sender, text string) admin.CheckRequest {
		return admin.CheckRequest{IP: "127.0.0.8", Helo: "helo.far.test", From: sender, Message: []byte(text)}
	}
	return map[string]admin.CheckRequest{
		"passes SPF":                  from("127.0.0.8", "pass@far.test", "pass@far.test"),
		"fails SPF, which is marked":  from("127.0.0.7", "fail@far.test", "fail@far.test"),
		"has a broken SPF record":     from("127.0.0.8", "perm@broken.test", "perm@broken.test"),
		"is a bounce":                 from("127.0.0.8", "", "postmaster@far.test"),
		"is refused by DMARC":         from("127.0.0.8", "forged@far.test", "forged@strict.test"),
		"is marked by DMARC":          from("127.0.0.8", "forged@wary.test", "forged@wary.test"),
		"says to be one of ours":      from("127.0.0.8", "ours@judge.test", "alice@judge.test"),
		"comes from a listed address": from("127.0.0.9", "listed@far.test", "listed@far.test"),
		"comes from a listed domain":  from("127.0.0.8", "eve@listed.test", "eve@listed.test"),
		"is by a listed author":       from("127.0.0.8", "author@far.test", "author@listed.test"),
		"is from a blocked domain":    from("127.0.0.8", "eve@evil.test", "eve@evil.test"),
		"is from a blocked network":   from("127.0.0.66", "blocked@far.test", "blocked@far.test"),
		"is allowed":                  from("127.0.0.9", "friend@strict.test", "friend@strict.test"),
		"is a device's":               from("127.0.0.50", "alice@judge.test", "alice@judge.test"),
		"is a device's in vain":       from("127.0.0.50", "device@far.test", "device@far.test"),
		"has two authors":             with("two@far.test", "From: two@far.test\r\nFrom: ceo@strict.test\r\n\r\nx\r\n"),
		"has no author":               with("none@far.test", "Subject: x\r\n\r\nx\r\n"),
		"isn't ASCII":                 with("eight@far.test", "From: Bücher <eight@far.test>\r\n\r\nGrüße\r\n"),
		"has a bare CR":               with("bare@far.test", "From: bare@far.test\r\n\r\na\rb\r\n"),
		"is too large":                with("large@far.test", "From: large@far.test\r\n\r\n"+strings.Repeat("0123456789\r\n", 10000)),
		"is signed in vain":           with("signed@far.test", "DKIM-Signature: v=1; a=rsa-sha256; d=far.test; s=x; h=from; bh=aa; b=aa\r\nFrom: signed@far.test\r\n\r\nx\r\n"),
	}
}

// What “check message” says is what SMTP says, and what stands in the message and
// in its trace.
func TestCheckMessageIsWhatHappens(t *testing.T) {
	s := checkSite(t)
	alice := mail.Address{Local: "alice", Domain: "judge.test"}
	taken := 0
	for name, r := range checkedMails() {
		t.Run(name, func(t *testing.T) {
			said, status := s.checkMessage(t, r)
			reply := s.bring(t, r, alice)
			short, id, accepted := strings.Cut(reply, " accepted as ")
			if accepted {
				short += " accepted"
			}
			if said.Reply != short || said.Taken != accepted || (status == 0) != accepted {
				t.Errorf("check says %q, %t, exit status %d; SMTP says %q", said.Reply, said.Taken, status, reply)
			}
			of := id
			if !accepted {
				of = r.From
			}
			if checks := s.tracedChecks(t, of); !reflect.DeepEqual(said.Checks, checks) {
				t.Errorf("check says %+v\nthe trace says %+v", said.Checks, checks)
			}
			if !accepted {
				return
			}
			taken++
			if got := s.frontOfLast(t); got.results != said.Results || got.spam != said.Spam {
				t.Errorf("check says %t, %q\nthe message has %t, %q", said.Spam, said.Results, got.spam, got.results)
			}
		})
	}
	if n := len(s.await(alice.String(), taken)); taken < 5 || n != taken {
		t.Errorf("%d messages are in the maildrop, %d were taken", n, taken)
	}
	// Nothing else is: what was only asked about has left no trace.
	if m := s.open(alice.String()); m != nil {
		if n, err := m.Count(); err != nil || n != taken {
			t.Errorf("%d messages, %v", n, err)
		}
	}
}

// checkMessage asks on the command line.
func (s *site) checkMessage(t *testing.T, r admin.CheckRequest) (report admin.CheckReport, status int) {
	t.Helper()
	from := r.From
	if from == "" {
		from = "<>"
	}
	out, err := s.Command(t.Context(), string(r.Message), "check", "message", "-", "--ip", r.IP, "--helo", r.Helo, "--from", from, "--json")
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		status = failed.ExitCode()
	} else if err != nil {
		status = 1
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return report, status
}

// bring sends the mail for real.
func (s *site) bring(t *testing.T, r admin.CheckRequest, to mail.Address) string {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(r.IP), 0))}
	nc, err := d.DialContext(t.Context(), "tcp", s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	reply, _, err := speak(nc, dialogue(r, to))
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// tracedChecks returns what the trace has of the checks of a message.
func (s *site) tracedChecks(t *testing.T, of string) []store.CheckResult {
	t.Helper()
	checks := []store.CheckResult{}
	s.until("there is a trace of "+of, func() bool {
		var trails []store.Trail
		s.list(&trails, "trace", of)
		for _, trail := range trails {
			for _, e := range trail.Events {
				checks = append(checks, e.Checks...)
			}
		}
		return len(trails) > 0
	})
	return checks
}

type checkedFront struct {
	results string
	spam    bool
}

// frontOfLast returns the fields in front of alice's newest message.
func (s *site) frontOfLast(t *testing.T) checkedFront {
	t.Helper()
	c := s.open("alice@judge.test")
	defer func() { _ = c.Quit() }()
	n, err := c.Count()
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Retrieve(n)
	if err != nil {
		t.Fatal(err)
	}
	front, _, _ := strings.Cut(string(text), "\r\nReceived: ")
	f := checkedFront{spam: strings.Contains(front, "\r\nX-Spam: yes")}
	if i := strings.Index(front, "Authentication-Results: "); i >= 0 {
		f.results = firstField(front[i:] + "\r\n")
	}
	return f
}

func TestCheckCommands(t *testing.T) {
	s := checkSite(t)
	message := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(message, []byte("From: a@far.test\n\nbare line ends\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		it     string
		args   []string
		status int
		says   string
	}{
		{"lets SPF pass", []string{"spf", "--ip", "127.0.0.8", "--helo", "x.test", "--from", "a@far.test"}, 0, "spf  pass"},
		{"tells what SPF fails", []string{"spf", "--ip", "127.0.0.7", "--helo", "x.test", "--from", "a@far.test"}, 1, "spf  fail"},
		{"asks for the name at EHLO", []string{"spf", "--ip", "127.0.0.8", "--helo", "helo.far.test", "--from", "<>"}, 0, "spf  pass"},
		{"bears a domain without SPF", []string{"spf", "--ip", "127.0.0.8", "--from", "a@nothing.test"}, 0, "spf  none"},
		{"wants an IP address", []string{"spf", "--from", "a@far.test"}, 2, ""},
		{"wants a good IP address", []string{"spf", "--ip", "far.test", "--from", "a@far.test"}, 1, ""},
		{"finds a policy", []string{"dmarc", "strict.test"}, 0, "dmarc  reject"},
		{"finds a policy above", []string{"dmarc", "a.b.strict.test"}, 0, "dmarc  reject"},
		{"bears a domain without a policy", []string{"dmarc", "far.test"}, 0, "dmarc  absent"},
		{"bears a message without a signature", []string{"dkim", message}, 0, "dkim  none"},
		{"ends lines as mail does", []string{"message", message, "--ip", "127.0.0.8", "--from", "a@far.test"}, 0, "The client would hear: 250 2.0.0 accepted\n"},
		{"wants a file that is there", []string{"dkim", message + "x"}, 1, ""},
		{"quotes the refusal", []string{"message", message, "--ip", "127.0.0.9", "--from", "a@far.test"}, 1, "The client would hear: 550 "},
	}
	for _, running := range []bool{true, false} {
		if !running {
			s.stop()
		}
		for _, tt := range tests {
			t.Run(fmt.Sprintf("it %s, running %t", tt.it, running), func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), s.Program, append([]string{"check"}, tt.args...)...)
				cmd.Env = slices.Concat(os.Environ(), []string{"POSTROOM_CONFIG=" + s.Config()}, s.Env)
				out, err := cmd.Output()
				if status := exitStatus(t, err); status != tt.status || !strings.Contains(string(out), tt.says) {
					t.Errorf("exit status %d, want %d:\n%s", status, tt.status, out)
				}
			})
		}
	}
}
