package smtpd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/mail"
)

// stuffed returns text as DATA sends it.
func stuffed(text string) string {
	s := strings.ReplaceAll("\r\n"+text, "\r\n.", "\r\n..")[2:]
	return s + ".\r\n"
}

// take sends text as a message, and returns what was kept of it behind our own
// header lines.
func (h *harness) take(t *testing.T, c *client, text string) string {
	t.Helper()
	c.within("alice@example.test")
	c.send(stuffed(text))
	c.expect("250 2.0.0")
	kept := h.mail.last(t).text
	front := strings.Index(kept, "+0000\r\n") + len("+0000\r\n")
	return kept[front:]
}

func TestTextIsKeptOctetForOctet(t *testing.T) {
	random := make([]byte, 300_000)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		for random[i] == 0 || random[i] == '\r' || random[i] == '\n' {
			random[i] = byte(rng.UintN(256))
		}
	}
	tests := map[string]string{
		"8-bit":            "a: b\r\n\r\n" + string(random) + "\r\n",
		"lines of 998":     "a: b\r\n\r\n" + strings.Repeat(strings.Repeat("y", 998)+"\r\n", 500),
		"a line of 1 MB":   "a: b\r\n\r\n" + strings.Repeat("z", maxBodyLine) + "\r\n",
		"dots":             "a: b\r\n\r\n.\r\n..\r\n...\r\n.x\r\n. \r\n" + strings.Repeat(".\r\n", 20000),
		"trailing blanks":  "a: b \t\r\n\r\ntext  \t\r\n \r\n\r\n\r\n",
		"no header":        "just text\r\n",
		"no text":          "",
		"an empty line":    "\r\n",
		"header alone":     "a: b\r\n",
		"4 MB":             "a: b\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 4<<20/72),
		"folded fields":    "Subject: a\r\n b\r\n\tc\r\nReceived: x\r\n\ty\r\n\r\nz\r\n",
		"a broken header":  "Subject: a\r\nno field\r\nReturn-Path: <x@y>\r\n\r\n",
		"a leading blank":  " a: b\r\nReturn-Path: x\r\n\r\n",
		"a dot at the end": "a: b\r\n\r\n.\r\n",
	}
	h := serve(t)
	c := h.open(t)
	for name, text := range tests {
		if got := h.take(t, c, text); got != text {
			t.Errorf("%s: %d octets became %d", name, len(text), len(got))
		}
	}
	files, err := os.ReadDir(h.SpoolDir)
	if err != nil || len(files) != 0 {
		t.Errorf("the spool folder holds %v, %v", files, err)
	}
}

func TestScarceMemory(t *testing.T) {
	h := serve(t)
	h.memory.held.Store(maxSpoolMemory)
	c := h.open(t)
	for name, text := range map[string]string{
		"a large message": "a: b\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 4000),
		"a large header":  strings.Repeat("A: "+strings.Repeat("x", 70)+"\r\n", 3000) + "\r\n" + strings.Repeat("x\r\n", 30000),
	} {
		if h.take(t, c, text) != text {
			t.Errorf("%s was changed", name)
		}
	}
	if held := h.memory.held.Load(); held != maxSpoolMemory {
		t.Errorf("%d octets are held", held-maxSpoolMemory)
	}
}

func TestNoSpoolFolder(t *testing.T) {
	h := serve(t, func(s *Server) { s.SpoolDir = "/nonexistent" })
	c := h.open(t)
	c.within("alice@example.test")
	c.send("a: b\r\n\r\n" + strings.Repeat("x\r\n", 200000) + ".\r\n")
	c.expect("451 4.3.0 Local error")
	h.take(t, c, "a: b\r\n\r\nsmall\r\n")
}

// TestTextArrivesInPieces sends dots and line ends so that reads cut them.
func TestTextArrivesInPieces(t *testing.T) {
	text := "a: b\r\n\r\n.\r\n..x\r\ny\r\n.z\r\n"
	want := stuffed(text)
	for size := 1; size <= 5; size++ {
		var got bytes.Buffer
		d := &dotReader{sink: &got}
		var pending []byte
		done := false
		for rest := []byte(want); len(rest) > 0; {
			n := min(size, len(rest))
			pending, rest = append(pending, rest[:n]...), rest[n:]
			var used int
			used, done = d.take(pending)
			pending = pending[used:]
		}
		if got.String() != text || !done || d.bare || len(pending) != 0 {
			t.Errorf("in pieces of %d: %q, done %v, bare %v", size, got.String(), done, d.bare)
		}
	}
}

// FuzzDotReader checks that, however the text is cut, the message ends at the
// first CRLF.CRLF, and that nothing of it is lost.
func FuzzDotReader(f *testing.F) {
	f.Add([]byte("a\r\n..b\r\n.\r\nrest"), 3)
	f.Add([]byte(".\r\n"), 1)
	f.Add([]byte("a\n.\n\r\n.\r\n"), 2)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		size = max(1, min(size, len(b)))
		whole := append([]byte("\r\n"), b...)
		end := bytes.Index(whole, []byte("\r\n.\r\n"))
		var got bytes.Buffer
		d := &dotReader{sink: &got}
		used, done := 0, false
		for to := 0; to < len(b) && !done; {
			to = min(to+size, len(b))
			var n int
			n, done = d.take(b[used:to])
			used += n
		}
		if done != (end >= 0) {
			t.Fatalf("%q: done is %v", b, done)
		}
		if !done {
			return
		}
		if used != end+3 {
			t.Fatalf("%q: ended after %d octets, not %d", b, used, end+3)
		}
		text := whole[:end+2]
		if want := strings.ReplaceAll(string(text), "\r\n.", "\r\n")[2:]; got.String() != want {
			t.Fatalf("%q: got %q, want %q", b, got.String(), want)
		}
		if bare := hasBare(string(text)); d.bare != bare {
			t.Fatalf("%q: bare is %v", b, d.bare)
		}
	})
}

func hasBare(s string) bool {
	s = strings.ReplaceAll(s, "\r\n", "")
	return strings.ContainsAny(s, "\r\n\x00")
}

func TestSize(t *testing.T) {
	h := serve(t, func(s *Server) { s.Limits.MessageBytes, s.Limits.ExcessBytes = 10_000, 4<<20 })
	c := h.open(t)
	exact := "a: b\r\n\r\n" + strings.Repeat("x", 10_000-10) + "\r\n"
	if got := h.take(t, c, exact); got != exact {
		t.Error("the largest message was changed")
	}
	c.within("alice@example.test")
	c.send(stuffed(exact + "\r\n"))
	c.expect("552 5.3.4")
	c.do("NOOP", "250") // what was too much was read all the same
	c.within("alice@example.test")
	c.send(strings.Repeat("x", 3<<20) + "\r\n.\r\n")
	c.expect("552 5.3.4")
	c.within("alice@example.test")
	c.send(strings.Repeat("x", 5<<20))
	c.expect("552 5.3.4") // up to a point
	c.expectEnd()
}

func TestLongBodyLine(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	c.within("alice@example.test")
	c.send("a: b\r\n\r\n" + strings.Repeat("z", maxBodyLine+1) + "\r\n.\r\n")
	c.expect("554 5.6.0")
}

func TestLargeHeader(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	c.within("alice@example.test")
	c.send(strings.Repeat("X-Field: "+strings.Repeat("v", 1000)+"\r\n", 20<<10) + ".\r\n")
	c.expect("554 5.6.0")
	fits := strings.Repeat("X-Field: "+strings.Repeat("v", 1000)+"\r\n", 250) + "\r\n" + strings.Repeat("x\r\n", 100000)
	if h.take(t, c, fits) != fits {
		t.Error("a header of 250 KB was changed")
	}
}

func TestLoop(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	c.within("alice@example.test")
	c.send(strings.Repeat("received: from a\r\n\tby b\r\n", 100) + "\r\ntext\r\n.\r\n")
	c.expect("554 5.4.6")
	h.take(t, c, strings.Repeat("Received: x\r\n", 99)+"\r\nReceived: not a field\r\n")
}

func TestFieldsTakenAway(t *testing.T) {
	tests := []struct {
		name, text, want string
		submit           bool
	}{
		{
			"takes Return-Path and results in our name on arrival",
			"A: 1\r\nReturn-Path: <x@y>\r\nAuthentication-Results: other.test; spf=pass\r\n" +
				"Authentication-Results: MAIL.example.test;\r\n spf=pass;\r\n dkim=pass\r\nBcc: kept@y\r\nreturn-path:\r\n\tz\r\n" +
				"Authentication-Results: (" + strings.Repeat("x", 5000) + ") mail.example.test; dkim=pass\r\n" +
				"Authentication-Results : (a (comment)) \"mail.example.test\" 1; none\r\nauthentication-results:\r\n mail.example.test;none\r\nB: 2\r\n\r\nReturn-Path: text\r\n",
			"A: 1\r\nAuthentication-Results: other.test; spf=pass\r\nBcc: kept@y\r\nB: 2\r\n\r\nReturn-Path: text\r\n",
			false,
		},
		{
			"takes Bcc and Resent-Bcc on submission",
			"From: alice@example.test\r\nDate: x\r\nBcc: a@b,\r\n c@d\r\nMessage-ID: <i@j>\r\nRESENT-BCC: e@f\r\nReturn-Path: <x@y>\r\n\r\nBcc: text\r\n",
			"From: alice@example.test\r\nDate: x\r\nMessage-ID: <i@j>\r\nReturn-Path: <x@y>\r\n\r\nBcc: text\r\n",
			true,
		},
		{
			"adds Date and Message-ID to a submission that has none",
			"From: alice@example.test\r\n\r\n",
			"Date: Sat, 21 Nov 2026 22:14:04 +0000\r\nMessage-ID: <%s@mail.example.test>\r\nFrom: alice@example.test\r\n\r\n",
			true,
		},
		{"adds neither to mail from others", "From: x@y\r\n\r\n", "From: x@y\r\n\r\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := serve(t, func(s *Server) {
				if tt.submit {
					submission(s)
					s.RequireTLS = false
				}
			})
			c := h.open(t)
			if tt.submit {
				c.do("AUTH PLAIN "+plainResponse("alice", password), "235")
			}
			c.do("MAIL FROM:<>", "250")
			c.do("RCPT TO:<bob@example.test>", "250")
			c.do("DATA", "354")
			c.send(stuffed(tt.text))
			id := strings.TrimPrefix(c.expect("250"), "250 2.0.0 accepted as ")
			k := h.mail.last(t)
			text := k.text[strings.Index(k.text, "+0000\r\n")+len("+0000\r\n"):]
			want := tt.want
			if strings.Contains(want, "%s") {
				want = fmt.Sprintf(want, id)
				if k.HeaderID != id+"@mail.example.test" {
					t.Errorf("HeaderID is %q", k.HeaderID)
				}
			}
			if diff := cmp.Diff(want, text); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAcceptance(t *testing.T) {
	h := serve(t, submission)
	c := h.open(t)
	c.startTLS()
	c.do("EHLO client.test", "250")
	c.do("AUTH PLAIN "+plainResponse("alice", password), "235")
	c.do("MAIL FROM:<info@example.test> BODY=8BITMIME RET=HDRS ENVID=a+2Bb SMTPUTF8", "250")
	c.do("RCPT TO:<team@example.test> NOTIFY=FAILURE", "250")
	c.do("RCPT TO:<alice+x@example.test>", "250")
	c.do("RCPT TO:<nobody@example.test>", "550")
	c.do("RCPT TO:<x@far.test>", "250")
	c.do("RCPT TO:<y@far.test> NOTIFY=NEVER ORCPT=rfc822;z+40far.test", "250")
	c.do("DATA", "354")
	c.send("From: alice@example.test\r\nDate: now\r\nMessage-ID:\r\n <some@id>\r\n\r\n.\r\n")
	c.expect("250")

	k := h.mail.last(t)
	far := func(a string, r mail.Recipient) store.Outbound {
		r.Address = address(a)
		return store.Outbound{Sender: address("info@example.test"), Recipient: r}
	}
	team := far("x@far.test", mail.Recipient{Notify: mail.NotifyFailure | mail.NotifyDelay, Original: "rfc822;team@example.test"})
	team.Via = address("team@example.test")
	want := store.Acceptance{
		ID: k.ID, At: h.Now(),
		Envelope: mail.Envelope{Sender: address("info@example.test"), EightBit: true, UTF8: true, Return: mail.ReturnHeaders, ID: "a+b"},
		HeaderID: "some@id", Origin: store.FromAccount, Account: alice,
		Body: k.Body, Size: k.Size,
		Local: []store.LocalDelivery{
			{Account: alice, Recipient: address("team@example.test")},
			{Account: bob, Recipient: address("team@example.test")},
		},
		Outbound: []store.Outbound{
			team,
			far("y@far.test", mail.Recipient{Notify: mail.NotifyNever, Original: "rfc822;z@far.test"}),
		},
		Accepted: store.Event{
			Time: h.Now(), Kind: store.Accepted, Client: "127.0.0.1", Helo: "client.test", Protocol: "UTF8SMTPSA",
			Account: "alice@example.test", TLS: k.Accepted.TLS,
		},
		Events: []store.Event{{
			Time: h.Now(), Kind: store.Rejected, Recipient: "nobody@example.test", Client: "127.0.0.1", Helo: "client.test",
			Protocol: "UTF8SMTPSA", Account: "alice@example.test", TLS: k.Accepted.TLS, Reply: "550 5.1.1 No such address here",
		}},
	}
	if diff := cmp.Diff(want, k.Acceptance, cmp.Comparer(func(a, b io.Reader) bool { return true }), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	if r := h.mail.refusals(); len(r) != 0 {
		t.Errorf("refusals: %+v", r)
	}
}

func TestRefusedRecipientsWithoutAMessage(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	c.do("MAIL FROM:<x@far.test>", "250")
	c.do("RCPT TO:<nobody@example.test>", "550")
	c.do("RCPT TO:<y@far.test>", "550")
	c.do("QUIT", "221")
	c.expectEnd()
	r := h.mail.refusals()
	if len(r) != 1 || r[0].From != "x@far.test" || strings.Join(r[0].To, ",") != "nobody@example.test,y@far.test" || len(r[0].Events) != 2 {
		t.Fatalf("refusals: %+v", r)
	}
	if e := r[0].Events[1]; e.Reply != "550 5.7.1 Relaying denied" || e.Kind != store.Rejected || e.Protocol != "ESMTP" {
		t.Errorf("event: %+v", e)
	}
}

func TestQuotaOfAMessageWhoseSizeWasNotSaid(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	c.within("small@example.test")
	c.send("a: b\r\n\r\n" + strings.Repeat("x", 100) + "\r\n.\r\n")
	c.expect("452 4.2.2")
}

func TestMessageChecks(t *testing.T) {
	var seen policy.Message
	var text string
	h := serve(t, func(s *Server) {
		s.Rules.Message = policy.Chain[*policy.Message]{
			{Name: "spf", Judge: func(_ context.Context, c policy.Client, m *policy.Message) (policy.Verdict, error) {
				seen = *m
				b, err := io.ReadAll(m.Open())
				text = string(b)
				return policy.Verdict{Results: []string{"spf=pass smtp.mailfrom=far.test"}, Checks: []store.CheckResult{{Check: "spf", Result: "pass"}}}, err
			}},
			{Name: "spam", Judge: func(_ context.Context, c policy.Client, m *policy.Message) (policy.Verdict, error) {
				v := policy.Verdict{Results: []string{"x-spam=no"}, Fields: []string{"X-Spam: no\r\n"}}
				if strings.Contains(string(m.Header), "cheap") {
					v.Answer, v.Reason = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "Spam"}, "too cheap"
				}
				return v, nil
			}},
		}
	})
	c := h.open(t)
	c.within("alice@example.test")
	c.send("From: Bücher <a@b.test>, c@d.test\r\n\r\ntext\r\n.\r\n")
	c.expect("250")
	k := h.mail.last(t)
	want := "Authentication-Results: mail.example.test;\r\n\tspf=pass smtp.mailfrom=far.test;\r\n\tx-spam=no\r\nX-Spam: no\r\nReceived: "
	if !strings.HasPrefix(k.text, want) {
		t.Errorf("got %q", k.text)
	}
	if got := k.Accepted.Checks; len(got) != 1 || got[0].Result != "pass" {
		t.Errorf("accepted with checks %+v", got)
	}
	if text != "From: Bücher <a@b.test>, c@d.test\r\n\r\ntext\r\n" || len(seen.From) != 2 || seen.Size != int64(len(text)) {
		t.Errorf("the check saw %+v and %q", seen, text)
	}

	c.within("alice@example.test")
	c.send("Subject: cheap\r\n\r\n.\r\n")
	c.expect("550 5.7.1 Spam")
	if r := h.mail.refusals(); len(r) != 1 || r[0].Events[0].Reason != "spam: too cheap" || len(r[0].Events[0].Checks) != 1 {
		t.Errorf("refusals: %+v", r)
	}
}

func TestSenderAndRecipientChecks(t *testing.T) {
	h := serve(t, func(s *Server) {
		s.Rules.Sender = policy.Chain[mail.Address]{{Name: "s", Judge: func(_ context.Context, c policy.Client, a mail.Address) (policy.Verdict, error) {
			if a.Local == "trouble" {
				return policy.Verdict{}, io.ErrUnexpectedEOF
			}
			return policy.Verdict{}, nil
		}}}
		s.Rules.Recipient = policy.Chain[policy.Recipient]{{Name: "r", Judge: func(_ context.Context, c policy.Client, r policy.Recipient) (policy.Verdict, error) {
			if c.Helo == "client.test" && r.Ours && r.Address.Local == "bob" && r.Sender.Domain == "far.test" {
				return policy.Object(mail.Status{Code: 450, Enhanced: [3]int{4, 7, 1}, Text: "Come back later"}, "greylisted"), nil
			}
			return policy.Verdict{}, nil
		}}}
	})
	c := h.open(t)
	c.do("MAIL FROM:<trouble@far.test>", "451 4.3.0 Local error")
	c.do("MAIL FROM:<x@far.test>", "250")
	c.do("RCPT TO:<bob@example.test>", "450 4.7.1 Come back later")
	c.do("RCPT TO:<alice@example.test>", "250")
}
