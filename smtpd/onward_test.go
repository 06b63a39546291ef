package smtpd

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroom/store"
	"postroom/store/mail"
)

func TestBackupExpiry(t *testing.T) {
	for name, given := range map[string]time.Duration{"the default": 0, "what was set": 3 * 24 * time.Hour} {
		h := serve(t, func(s *Server) { s.BackupExpire = given })
		c := h.open(t)
		k := h.send(t, c, "<s@other.test>", "<X@backup.test> NOTIFY=SUCCESS", "<away@example.test>")
		want := h.Now().Add(given)
		if given == 0 {
			want = h.Now().AddDate(0, 0, 21)
		}
		if diff := cmp.Diff([]store.Outbound{
			{
				Sender: address("s@other.test"), Expires: want,
				Recipient: mail.Recipient{Address: address("X@backup.test"), Notify: mail.NotifySuccess},
			},
			{
				Sender: h.rewritten(t, "s@other.test"), Via: address("away@example.test"),
				Recipient: mail.Recipient{Address: address("x@far.test"), Original: "rfc822;away@example.test"},
			},
		}, k.Outbound); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestReportsOfSuccess shows who reports what (RFC 3461 5.2.7): each row is a
// transaction of one message.
func TestReportsOfSuccess(t *testing.T) {
	owed := func(to, original string, notify mail.Notify, kind store.Owed) []store.OwedReport {
		return []store.OwedReport{{Recipient: mail.Recipient{Address: address(to), Notify: notify, Original: original}, Kind: kind}}
	}
	const success, failure, delay = mail.NotifySuccess, mail.NotifyFailure, mail.NotifyDelay
	far := func(a, original string, n mail.Notify) mail.Recipient {
		return mail.Recipient{Address: address(a), Notify: n, Original: original}
	}
	tests := []struct {
		name string
		from string
		to   []string
		owed []store.OwedReport
		sent []mail.Recipient
	}{
		{
			"owes a report of what is in a maildrop", "<s@other.test>",
			[]string{"<Alice+x@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;was+40there.test"},
			owed("Alice+x@example.test", "rfc822;was@there.test", success|failure, store.OwedDelivered), nil,
		},
		{"owes nothing that nobody asked for", "<s@other.test>", []string{"<alice@example.test>", "<bob@example.test> NOTIFY=FAILURE,DELAY"}, nil, nil},
		{"owes nothing to who wants to hear nothing", "<s@other.test>", []string{"<alice@example.test> NOTIFY=NEVER"}, nil, nil},
		{"owes nothing to the null sender", "<>", []string{"<alice@example.test> NOTIFY=SUCCESS", "<team@example.test> NOTIFY=SUCCESS"}, nil, []mail.Recipient{far("x@far.test", "rfc822;team@example.test", mail.NotifyNever)}},
		{
			"owes one report for one address", "<s@other.test>",
			[]string{"<alice@example.test> NOTIFY=SUCCESS", "<alice@example.test> NOTIFY=SUCCESS"},
			owed("alice@example.test", "", success, store.OwedDelivered), nil,
		},
		{
			"leaves the report to the one server that an alias leads to", "<s@other.test>",
			[]string{"<away@example.test> NOTIFY=SUCCESS,DELAY"},
			nil,
			[]mail.Recipient{far("x@far.test", "rfc822;away@example.test", success|delay)},
		},
		{
			"keeps the original recipient that was given", "<s@other.test>",
			[]string{"<away@example.test> NOTIFY=SUCCESS ORCPT=rfc822;a+40b.test"},
			nil,
			[]mail.Recipient{far("x@far.test", "rfc822;a@b.test", success)},
		},
		{
			"reports that an alias leads to several", "<s@other.test>",
			[]string{"<all@example.test> NOTIFY=SUCCESS,FAILURE"},
			owed("all@example.test", "", success|failure, store.OwedExpanded),
			[]mail.Recipient{far("x@far.test", "rfc822;all@example.test", failure), far("y@far.test", "rfc822;all@example.test", failure)},
		},
		{
			"asks those for no report of failure that nobody asked for", "<s@other.test>",
			[]string{"<all@example.test> NOTIFY=SUCCESS"},
			owed("all@example.test", "", success, store.OwedExpanded),
			[]mail.Recipient{far("x@far.test", "rfc822;all@example.test", mail.NotifyNever), far("y@far.test", "rfc822;all@example.test", mail.NotifyNever)},
		},
		{
			"reports that an alias leads to maildrops and others", "<s@other.test>",
			[]string{"<team@example.test> NOTIFY=SUCCESS"},
			owed("team@example.test", "", success, store.OwedExpanded),
			[]mail.Recipient{far("x@far.test", "rfc822;team@example.test", mail.NotifyNever)},
		},
		{
			"sends once where two aliases lead, with what is wished for either", "<s@other.test>",
			[]string{"<away@example.test> NOTIFY=NEVER", "<gone@example.test> NOTIFY=DELAY", "<all@example.test> NOTIFY=FAILURE"},
			nil,
			[]mail.Recipient{far("x@far.test", "rfc822;away@example.test", delay|failure), far("y@far.test", "rfc822;all@example.test", failure)},
		},
		{
			"makes a UTF-8 original of an address that isn't ASCII", "<s@other.test> SMTPUTF8",
			[]string{`<away+grå@example.test>`},
			nil,
			[]mail.Recipient{far("x@far.test", "utf-8;away+grå@example.test", 0)},
		},
		{
			"keeps a UTF-8 original as it is", "<s@other.test> SMTPUTF8",
			[]string{`<alice@example.test> NOTIFY=SUCCESS ORCPT=utf-8;gr\x{E5}@other.test`},
			owed("alice@example.test", "utf-8;grå@other.test", success, store.OwedDelivered), nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := serve(t)
			k := h.send(t, h.open(t), tt.from, tt.to...)
			var sent []mail.Recipient
			for _, o := range k.Outbound {
				sent = append(sent, o.Recipient)
			}
			if diff := cmp.Diff(tt.owed, k.Owed); diff != "" {
				t.Errorf("owed: %s", diff)
			}
			if diff := cmp.Diff(tt.sent, sent); diff != "" {
				t.Errorf("sent: %s", diff)
			}
		})
	}
}

func TestJointNotify(t *testing.T) {
	const never, success, failure, delay = mail.NotifyNever, mail.NotifySuccess, mail.NotifyFailure, mail.NotifyDelay
	for _, tt := range []struct{ a, b, want mail.Notify }{
		{0, 0, 0},
		{never, never, never},
		{never, 0, 0},
		{0, never, 0},
		{success, never, success},
		{0, success, success | failure | delay},
		{failure, 0, failure | delay},
		{failure, success, failure | success},
	} {
		if got := joint(tt.a, tt.b); got != tt.want {
			t.Errorf("joint(%b, %b) = %b, want %b", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestOriginalOfALongAddress(t *testing.T) {
	a := mail.Address{Local: "SRS0=" + strings.Repeat("=", 200), Domain: "example.test"}
	if got := originalOf(a); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestRequireTLS(t *testing.T) {
	h := serve(t)
	c := h.dial(t)
	c.expect("220")
	if offers := c.offers(t); offers["REQUIRETLS"] || !offers["DSN"] {
		t.Errorf("without TLS it offers %v", offers)
	}
	c.do("MAIL FROM:<s@other.test> REQUIRETLS", "530 5.7.0")
	c.do("MAIL FROM:<s@other.test> REQUIRETLS=yes", "501 5.5.4")
	c.startTLS()
	if offers := c.offers(t); !offers["REQUIRETLS"] {
		t.Errorf("with TLS it offers %v", offers)
	}
	for _, tt := range []struct {
		name, params, header string
		want                 mail.TLSWish
	}{
		{"requires TLS", " REQUIRETLS", "", mail.TLSRequired},
		{"requires it in any case", " requiretls BODY=8BITMIME", "", mail.TLSRequired},
		{"leaves it to the servers", "", "", mail.TLSAsUsual},
		{"does without", "", "TLS-Required: No\r\n", mail.TLSOptional},
		{"does without in any case", "", "tls-required:\r\n\tnO \r\n", mail.TLSOptional},
		{"knows no other word", "", "TLS-Required: Yes\r\n", mail.TLSAsUsual},
		{"requires it whatever the header says", " REQUIRETLS", "TLS-Required: No\r\n", mail.TLSRequired},
		{"doesn't look into the text", "", "\r\nTLS-Required: No\r\n", mail.TLSAsUsual},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.do("MAIL FROM:<s@other.test>"+tt.params, "250")
			c.do("RCPT TO:<alice@example.test>", "250")
			c.do("RCPT TO:<away@example.test>", "250")
			c.do("DATA", "354")
			c.send("From: s@other.test\r\n" + tt.header + "\r\ntext\r\n.\r\n")
			c.expect("250")
			if k := h.mail.last(t); k.Envelope.TLS != tt.want || !strings.Contains(k.text, tt.header) {
				t.Errorf("TLS is %v, want %v; the message is %q", k.Envelope.TLS, tt.want, k.text)
			}
		})
	}
}

// offers says EHLO and returns the words of the reply's lines.
func (c *client) offers(t *testing.T) map[string]bool {
	t.Helper()
	c.send("EHLO client.test\r\n")
	found := make(map[string]bool)
	for {
		s := c.line()
		if len(s) < 4 || s[:3] != "250" {
			t.Fatalf("got %q", s)
		}
		found[s[4:]] = true
		if s[3] == ' ' {
			return found
		}
	}
}
