package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"postroom/cmd/postroom/bench"
)

// defaultChecks turns on what is on by default, with a DNS server to ask.
func defaultChecks(names string) []string {
	return []string{
		"POSTROOM_DNS_SERVERS=" + names, "POSTROOM_INBOUND_SPF=mark", "POSTROOM_INBOUND_DKIM=mark",
		"POSTROOM_INBOUND_DMARC=enforce", "POSTROOM_INBOUND_OWN_DOMAINS=enforce",
	}
}

// startNames starts a name server.
func startNames(t *testing.T, records ...string) string {
	t.Helper()
	names, err := bench.StartDNS(records...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(names.Close)
	return names.Addr
}

// deliver has another server send a message to alice, and returns our answer.
func (s *site) deliver(from, message string) string {
	s.t.Helper()
	reply, err := sendVia(s.t.Context(), s.SMTP, "", from, "alice@judge.test", []byte(message))
	if refusal, ok := err.(*bench.SMTPError); ok {
		return refusal.Text
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return reply
}

// signFor signs a message for a domain, and returns the record of the key.
func signFor(t *testing.T, domain, message string) (signed, record string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	options := &dkim.SignOptions{Domain: domain, Selector: "k", Signer: private, HeaderCanonicalization: "relaxed", BodyCanonicalization: "relaxed"}
	if err := dkim.Sign(&b, strings.NewReader(message), options); err != nil {
		t.Fatal(err)
	}
	return b.String(), fmt.Sprintf(`k._domainkey.%s. 60 IN TXT "v=DKIM1; k=ed25519; p=%s"`, domain, base64.StdEncoding.EncodeToString(public))
}

func TestWhomMailIsFrom(t *testing.T) {
	signed, key := signFor(t, "signed.test", "From: s@signed.test\r\nSubject: hello\r\n\r\nHello\r\n")
	s := startSite(t, defaultChecks(startNames(t, key,
		`sent.test. 60 IN TXT "v=spf1 ip4:127.0.0.0/8 -all"`, `_dmarc.sent.test. 60 IN TXT "v=DMARC1; p=reject"`,
		`_dmarc.signed.test. 60 IN TXT "v=DMARC1; p=reject"`, `_dmarc.suspect.test. 60 IN TXT "v=DMARC1; p=quarantine"`,
		`judge.test. 60 IN TXT "v=spf1 -all"`,
	))...)
	for _, tt := range []struct{ it, from, message, answer, front string }{
		{
			"takes what SPF proves", "s@sent.test", "Authentication-Results: mx.judge.test; dmarc=pass header.from=bank.test\r\nFrom: s@sent.test\r\n\r\nHello\r\n",
			"250 ", "spf=pass smtp.mailfrom=sent.test;\r\n\tdkim=none;\r\n\tdmarc=pass (p=reject) header.from=sent.test\r\nReceived: ",
		},
		{"takes what DKIM proves", "s@elsewhere.test", signed, "250 ", "dmarc=pass (p=reject) header.from=signed.test\r\nReceived: "},
		{"marks what is to be quarantined", "s@sent.test", "From: s@suspect.test\r\n\r\nHello\r\n", "250 ", "header.from=suspect.test\r\nX-Spam: yes\r\nReceived: "},
		{"refuses what nothing proves", "s@sent.test", "From: s@signed.test\r\n\r\nHello\r\n", "550 5.7.1 DMARC: this isn't proven to be from signed.test, whose policy (p=reject) is to refuse it", ""},
		{"refuses what was changed", "s@elsewhere.test", signed + "PS\r\n", "550 5.7.1 DMARC: ", ""},
		{"refuses two authors", "s@sent.test", "From: s@sent.test, x@signed.test\r\n\r\nHello\r\n", "550 5.7.1 DMARC: a message from ", ""},
		{"refuses our own users who haven't logged in", "bob@judge.test", "From: bob@judge.test\r\n\r\nHello\r\n", "550 5.7.1 The sender is of a domain of this server, and you haven't logged in: to send from it, log in on port 587", ""},
	} {
		t.Run(tt.it, func(t *testing.T) {
			answer := s.deliver(tt.from, tt.message)
			if !strings.HasPrefix(answer, tt.answer) {
				t.Fatalf("answered %q, want %q", answer, tt.answer)
			}
			if tt.front == "" {
				return
			}
			got := string(s.take("alice@judge.test"))
			if !strings.Contains(got, tt.front) || strings.Contains(got, "bank.test") {
				t.Errorf("what came is\n%s\nwant\n%s", got, tt.front)
			}
		})
	}
	var traced []struct {
		Events []struct {
			Kind, Reply string
			Checks      []struct{ Check, Result, Detail string }
		}
	}
	s.list(&traced, "trace", "bob@judge.test")
	if text := fmt.Sprint(traced); !strings.Contains(text, "{spf fail -all in the record of judge.test}") || !strings.Contains(text, "{own_domains fail judge.test is a domain of ours") {
		t.Errorf("the trace of the refusal: %s", text)
	}
	s.do("allow", "add", "127.0.0.1", "--note", "our old server")
	if answer := s.deliver("bob@judge.test", "From: s@signed.test\r\n\r\nHello\r\n"); !strings.HasPrefix(answer, "250 ") {
		t.Errorf("what is allowed is answered %q", answer)
	}
	if got := string(s.take("alice@judge.test")); !strings.Contains(got, "dmarc=fail") {
		t.Errorf("what is allowed isn't looked at: %s", got)
	}
}

// TestNoDNSNeverFailsOpen: DNS that hangs, fails, lies or isn't there. What would
// have to be checked waits, and within 20 s.
func TestNoDNSNeverFailsOpen(t *testing.T) {
	for trouble, addr := range map[string]string{
		"hangs":           brokenNames(t, func([]byte) []byte { return nil }),
		"fails":           brokenNames(t, func(b []byte) []byte { b[2], b[3] = b[2]|0x80, 2; return b }),
		"answers garbage": brokenNames(t, func(b []byte) []byte { return append(b[:4], "\xff\xff\xff\xff\xff\xff\xff\xff garbage"...) }),
		"lies":            brokenNames(t, func(b []byte) []byte { b[0]++; b[2] |= 0x80; return b }),
	} {
		t.Run(trouble, func(t *testing.T) {
			t.Parallel()
			s := startSite(t, defaultChecks(addr)...)
			began := time.Now()
			answer := s.deliver("s@sent.test", "From: s@sent.test\r\n\r\nHello\r\n")
			if took := time.Since(began); !strings.HasPrefix(answer, "451 4.") || took > 20*time.Second {
				t.Errorf("%q after %v", answer, took)
			}
		})
	}
}

// TestSlowDNSDelaysNobodyElse: while much mail waits for the DNS, that of others
// goes through.
func TestSlowDNSDelaysNobodyElse(t *testing.T) {
	s := startSite(t, defaultChecks(brokenNames(t, func([]byte) []byte { return nil }))...)
	var waiting sync.WaitGroup
	var answered atomic.Int32
	for i := range 20 {
		waiting.Go(func() {
			from := fmt.Sprintf("s@host%d.test", i)
			_, err := sendVia(t.Context(), s.SMTP, "", from, "alice@judge.test", []byte("From: "+from+"\r\n\r\nHello\r\n"))
			if refusal, ok := err.(*bench.SMTPError); !ok || refusal.Code != 451 {
				t.Errorf("mail of which nothing is known: %v", err)
			}
			answered.Add(1)
		})
	}
	for range 20 {
		if _, err := sendVia(t.Context(), s.Submission, "bob@judge.test", "bob@judge.test", "alice@judge.test", plainLetter("bob@judge.test", "alice@judge.test")); err != nil {
			t.Error(err)
		}
	}
	if n := answered.Load(); n > 0 {
		t.Errorf("%d of the others had waited long enough by then", n)
	}
	waiting.Wait()
}

// brokenNames is a name server that answers with what answer makes of a question.
func brokenNames(t *testing.T, answer func([]byte) []byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if reply := answer(bytes.Clone(b[:n])); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

// TestBombs: what is made to cost is refused, or costs little. The bounds are wide
// where a busy machine would miss them: what isn't bounded misses them by far.
func TestBombs(t *testing.T) {
	large := `large.test. 60 IN TXT "v=spf1"` + strings.Repeat(` " ip4:198.51.100.1 ip4:198.51.100.2 ip4:198.51.100.3 ip4:198.51.100.4 ip4:198.51.100.5 ip4:198.51.100.6"`, 500) + ` " -all"`
	s := startSite(t, defaultChecks(startNames(t, large,
		`circle.test. 60 IN TXT "v=spf1 include:circle.test include:circle.test -all"`,
		`_dmarc.large.test. 60 IN TXT "v=DMARC1; p=none"`, `_dmarc.circle.test. 60 IN TXT "v=DMARC1; p=none"`,
	))...)
	if answer := s.deliver("s@calm.test", "From: s@calm.test\r\n\r\nHello\r\n"); !strings.HasPrefix(answer, "250 ") {
		t.Fatal(answer)
	}
	const signature = "DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=k; h=from; bh=AA==; b=AA==\r\n"
	const part = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
	for _, tt := range []struct{ it, from, message, answer string }{
		{"100 MB of header", "s@calm.test", "From: s@calm.test\r\n" + strings.Repeat("X: "+strings.Repeat("x", 995)+"\r\n", 100_000) + "\r\nHello\r\n", "552 5.3.4 "},
		{"40 MB of header", "s@calm.test", "From: s@calm.test\r\n" + strings.Repeat("X: "+strings.Repeat("x", 995)+"\r\n", 40_000) + "\r\nHello\r\n", "554 5.6.0 "},
		{"10,000 signatures", "s@calm.test", strings.Repeat(signature, 10_000) + "From: s@calm.test\r\n\r\nHello\r\n", "554 5.6.0 "},
		{"as many signatures as fit", "s@calm.test", strings.Repeat(signature, 3000) + "From: s@calm.test\r\n\r\nHello\r\n", "250 "},
		{"100,000 parts", "s@calm.test", "From: s@calm.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat(part, 100_000) + "--b--\r\n", "250 "},
		{"a From of 1 MB", "s@calm.test", "From: s@calm.test" + strings.Repeat(",\r\n s@calm.test", 70_000) + "\r\n\r\nHello\r\n", "554 5.6.0 "},
		{"a From as long as fits", "s@calm.test", "From: s@calm.test" + strings.Repeat(",\r\n s@calm.test", 15_000) + "\r\n\r\nHello\r\n", "250 "},
		{"an SPF record that includes itself", "s@circle.test", "From: s@circle.test\r\n\r\nHello\r\n", "250 "},
		{"a record of 60 KB", "s@large.test", "From: s@large.test\r\n\r\nHello\r\n", "250 "},
	} {
		t.Run(tt.it, func(t *testing.T) {
			message := bench.DotStuff([]byte(tt.message))
			c, err := bench.DialSMTP(t.Context(), s.SMTP)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			before := s.memory()
			if _, err := c.Begin(tt.from, "alice@judge.test"); err != nil {
				t.Fatal(err)
			}
			answer, took, err := c.Data(message)
			if refusal, ok := err.(*bench.SMTPError); ok {
				answer = refusal.Text
			} else if err != nil {
				t.Fatal(err)
			}
			grown := s.memory() - before
			t.Logf("%q after %v, memory grown by %d MB", answer, took, grown>>20)
			if !strings.HasPrefix(answer, tt.answer) || took > 5*time.Second || grown > 64<<20 {
				t.Errorf("%q after %v, memory grown by %d MB; want %q", answer, took, grown>>20, tt.answer)
			}
		})
	}
}

// memory returns the most memory that the server has ever had, in octets.
func (s *site) memory() int {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		s.t.Skip("needs /proc")
	}
	_, after, _ := strings.Cut(string(b), "VmHWM:")
	fields := strings.Fields(after)
	kb, err := strconv.Atoi(fields[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return kb << 10
}
