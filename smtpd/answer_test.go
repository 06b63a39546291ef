package smtpd

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/mail"
)

// TestWhoIsAnswered goes through what RFC 3834 says of whom an automatic answer may
// be sent to.
func TestWhoIsAnswered(t *testing.T) {
	const to = "To: alice@example.test\r\n"
	tests := []struct{ it, from, header, why string }{
		{"answers a person", "s@far.test", to, ""},
		{"answers who wrote to an alias", "s@far.test", "To: x@far.test\r\nCc: Info <INFO@example.test>\r\n", ""},
		{"answers who wrote to the address with a tag", "s@far.test", "To: alice+x@example.test\r\n", ""},
		{"answers a hidden copy that is shown", "s@far.test", "Bcc: alice@example.test\r\n", ""},
		{"answers who has sent it anew", "s@far.test", "To: x@far.test\r\nResent-To: alice@example.test\r\n", ""},
		{"answers what says that it isn't automatic", "s@far.test", to + "Auto-Submitted: No (typed)\r\nPrecedence: first-class\r\n", ""},
		{"answers a name that only begins like a role", "postmasters@far.test", to, ""},
		{"doesn't answer the null sender", "", to, "it is a report, or wants no answer"},
		{"doesn't answer the mail system", "MAILER-DAEMON@far.test", to, "its sender is no person"},
		{"doesn't answer a postmaster", "postmaster@far.test", to, "its sender is no person"},
		{"doesn't answer a list's owner", "owner-list@far.test", to, "its sender is no person"},
		{"doesn't answer a list's office", "list-request@far.test", to, "its sender is no person"},
		{"doesn't answer a list's other owner", "list-owner@far.test", to, "its sender is no person"},
		{"doesn't answer a list's bounces", "list-bounces+alice=example.test@far.test", to, "its sender is no person"},
		{"doesn't answer bounces with a number", "bounce-123@far.test", to, "its sender is no person"},
		{"doesn't answer who says so", "No-Reply@far.test", to, "its sender is no person"},
		{"doesn't answer an automatic mail", "s@far.test", to + "Auto-Submitted: auto-generated\r\n", "it was sent automatically (Auto-Submitted)"},
		{"doesn't answer an answer", "s@far.test", to + "auto-submitted: (x) AUTO-REPLIED; owner-email=x\r\n", "it was sent automatically (Auto-Submitted)"},
		{"doesn't answer what may be automatic", "s@far.test", to + "Auto-Submitted:\r\n", "it was sent automatically (Auto-Submitted)"},
		{"doesn't answer one of two words", "s@far.test", to + "Auto-Submitted: no\r\nAuto-Submitted: auto-notified\r\n", "it was sent automatically (Auto-Submitted)"},
		{"doesn't answer a list", "s@far.test", to + "List-Id: <list.far.test>\r\n", "it is from a mailing list"},
		{"doesn't answer a list that can be left", "s@far.test", to + "LIST-Unsubscribe: <https://far.test>\r\n", "it is from a mailing list"},
		{"doesn't answer bulk mail", "s@far.test", to + "Precedence: bulk\r\n", "it is sent to many (Precedence: bulk)"},
		{"doesn't answer an old list", "s@far.test", to + "Precedence: List\r\n", "it is sent to many (Precedence: list)"},
		{"doesn't answer junk", "s@far.test", to + "Precedence:\r\n junk\r\n", "it is sent to many (Precedence: junk)"},
		{"doesn't answer what others call spam", "s@far.test", to + "X-Spam-Flag: YES\r\n", "it is marked as spam"},
		{"doesn't answer a report", "s@far.test", to + "Content-Type: multipart/report; report-type=x\r\n", "it is a report"},
		{"doesn't answer what asks for none", "s@far.test", to + "X-Auto-Response-Suppress: OOF, AutoReply\r\n", "it was sent automatically (x-auto-response-suppress)"},
		{"doesn't answer a header that hides something", "s@far.test", to + "no field\r\nList-Id: x\r\n", "its header is broken"},
		{"doesn't answer a hidden copy", "s@far.test", "To: x@far.test\r\n", "no address of the account is among To, Cc and Bcc"},
		{"doesn't answer what names others of the domain", "s@far.test", "To: bob@example.test\r\n", "no address of the account is among To, Cc and Bcc"},
		{"doesn't answer what can't be read", "s@far.test", "To: <<alice@example.test\r\n", "no address of the account is among To, Cc and Bcc"},
		{"doesn't answer itself", "info@example.test", to, "the account itself has sent it"},
	}
	h := serve(t)
	h.mail.away.Store(int64(alice))
	c := h.open(t)
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			c.do("MAIL FROM:<"+tt.from+">", "250")
			c.do("RCPT TO:<alice@example.test>", "250")
			c.do("DATA", "354")
			c.send("From: x@far.test\r\n" + tt.header + "\r\ntext\r\n.\r\n")
			c.expect("250")
			k := h.mail.last(t)
			want := store.CheckResult{Check: "vacation", Result: "none", Detail: "alice@example.test: " + tt.why}
			var answers []store.OwedAnswer
			if tt.why == "" {
				want.Result, want.Detail = "owed", "alice@example.test"
				answers = []store.OwedAnswer{{Account: alice, Recipient: address("alice@example.test")}}
			}
			if diff := cmp.Diff([]store.CheckResult{want}, k.Accepted.Checks); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(answers, k.Answers); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnswerIsForWhoIsAway(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	send := func(to ...string) kept {
		t.Helper()
		return h.send(t, c, "<s@far.test>", to...)
	}
	if k := send("<alice@example.test>"); len(k.Answers)+len(k.Accepted.Checks) != 0 {
		t.Errorf("nobody is away: %+v, %+v", k.Answers, k.Accepted.Checks)
	}
	h.mail.away.Store(int64(bob))
	if k := send("<alice@example.test>"); len(k.Accepted.Checks) != 0 {
		t.Errorf("somebody else is away: %+v", k.Accepted.Checks)
	}
	h.mail.away.Store(int64(alice))
	if k := send("<team@example.test>", "<alice@example.test>"); len(k.Accepted.Checks) != 1 || !strings.HasPrefix(k.Accepted.Checks[0].Detail, "team@example.test: ") {
		t.Errorf("by two ways: %+v", k.Accepted.Checks)
	}
	h.mail.away.Store(int64(carol))
	if k := send("<forwarded@example.test>"); len(k.Accepted.Checks) != 1 || len(k.Local) != 0 {
		t.Errorf("away, and forwarded: %+v", k)
	}
}

func TestAnswerDistrusts(t *testing.T) {
	for _, tt := range []struct {
		why     string
		verdict policy.Verdict
	}{
		{"", policy.Verdict{Checks: []store.CheckResult{{Check: "dmarc", Result: "pass"}, {Check: "spf", Result: "fail", Detail: "of EHLO: x"}}}},
		{"its sender may be forged (dmarc fails)", policy.Verdict{Checks: []store.CheckResult{{Check: "dmarc", Result: "fail"}}}},
		{"its sender may be forged (spf fails)", policy.Verdict{Checks: []store.CheckResult{{Check: "spf", Result: "fail"}}}},
		{"it is marked as spam", policy.Verdict{Fields: []string{"X-Spam: yes\r\n"}}},
	} {
		h := serve(t, func(s *Server) {
			s.Rules.Message = policy.Chain[*policy.Message]{{Name: "x", Judge: func(context.Context, policy.Client, *policy.Message) (policy.Verdict, error) {
				return tt.verdict, nil
			}}}
		})
		h.mail.away.Store(int64(alice))
		c := h.open(t)
		c.do("MAIL FROM:<s@far.test>", "250")
		c.do("RCPT TO:<alice@example.test>", "250")
		c.do("DATA", "354")
		c.send("From: s@far.test\r\nTo: alice@example.test\r\n\r\ntext\r\n.\r\n")
		c.expect("250")
		k := h.mail.last(t)
		last := k.Accepted.Checks[len(k.Accepted.Checks)-1]
		if owed := len(k.Answers) == 1; owed != (tt.why == "") || !strings.HasSuffix(last.Detail, tt.why) {
			t.Errorf("want %q, got %+v", tt.why, last)
		}
	}
}

// correspondenceOf reads a header alone.
func correspondenceOf(text string) correspondence {
	b := []byte(text)
	return readCorrespondence(b, parseHeader(b, headerRule{}))
}

func TestCorrespondence(t *testing.T) {
	many := strings.Repeat("<a@b> ", 30)
	for _, tt := range []struct{ it, header, subject, history string }{
		{"decodes the subject", "Subject: =?iso-8859-1?Q?Gr=FC=DFe?= =?utf-8?B?IOKCrA==?=\r\n", "Grüße €", ""},
		{"decodes other alphabets", "Subject: =?koi8-r?B?8NLJ18XU?=\r\n", "Привет", ""},
		{"takes an unknown alphabet for none", "Subject: =?x-none?Q?a?=\r\n", "", ""},
		{"puts it into one line", "Subject: a\r\n\tb\r\n  c\r\n", "a b c", ""},
		{"lets no line end through", "Subject: =?utf-8?Q?a=0D=0ABcc:_x?=\r\n", "a Bcc: x", ""},
		{"shortens it", "Subject: " + strings.Repeat("ä", 300) + "\r\n", strings.Repeat("ä", 199) + "…", ""},
		{"takes the references", "References: <1@x>\r\n <2@x>\r\nIn-Reply-To: <3@x>\r\n", "", "<1@x> <2@x>"},
		{"takes what it answers", "In-Reply-To: <3@x>\r\n", "", "<3@x>"},
		{"leaves out what it answers if that is several", "In-Reply-To: <3@x> <4@x>\r\n", "", ""},
		{"leaves out what is no ID", "References: <a b> <> <c> x <d@e\r\n", "", "<c>"},
		{"keeps the first and the last of many", "References: <0@x> " + many + "\r\n", "", "<0@x> " + strings.TrimSpace(strings.Repeat("<a@b> ", 19))},
	} {
		t.Run(tt.it, func(t *testing.T) {
			c := correspondenceOf(tt.header + "\r\n")
			if c.subject != tt.subject || c.history != tt.history {
				t.Errorf("got %q, %q", c.subject, c.history)
			}
		})
	}
}

// FuzzCorrespondence reads any header. What is repeated of it is one line of text;
// and whatever stands in it, no list is answered.
func FuzzCorrespondence(f *testing.F) {
	for _, s := range []string{
		"Subject: =?utf-8?Q?a=0D=0Ab?=\r\nTo: a@b.test, \"x\" <c@d.test>\r\n\r\n", "References: <a@b>\r\n\t<c\r\n>\r\n\r\nList-Id: x\r\n",
		"no field\r\nAuto-Submitted: (no) auto\r\n", "Auto-Submitted : \"no\"\r\n", "\r\n", "x", "Subject:\r\n =?koi8-r?B?8NLJ18XU", "In-Reply-To: <<<>>>\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r"), nil), []byte("\n"), []byte("\r\n"))
		c := readCorrespondence(b, parseHeader(b, headerRule{}))
		if !utf8.ValidString(c.subject) || strings.ContainsFunc(c.subject, isControl) || utf8.RuneCountInString(c.subject) > maxSubject {
			t.Errorf("the subject is %q", c.subject)
		}
		for _, id := range strings.Fields(c.history) {
			inner, begun := strings.CutPrefix(id, "<")
			inner, ended := strings.CutSuffix(inner, ">")
			if !begun || !ended || !isMessageID(inner) {
				t.Errorf("a reference is %q", id)
			}
		}
		for _, a := range c.addressed {
			if again, err := mail.ParseAddress(a.String()); err != nil || again != a {
				t.Errorf("an address is %q: %v", a, err)
			}
		}
		list := append([]byte("List-Id: <x.test>\r\n"), b...)
		if readCorrespondence(list, parseHeader(list, headerRule{})).automatic == "" {
			t.Error("a list would be answered")
		}
	})
}
