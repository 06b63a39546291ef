package smtpd

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/mail"
)

// finding is a check that finds something out, and objects to eve.
func finding(name string) policy.Check[policy.Recipient] {
	return policy.Check[policy.Recipient]{Name: name, Judge: func(_ context.Context, _ policy.Client, r policy.Recipient) (policy.Verdict, error) {
		v := policy.Verdict{Checks: []store.CheckResult{{Check: name, Result: "pass", Detail: r.Sender.String()}}}
		if r.Address.Local == "bob" {
			v.Answer, v.Reason = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "Not bob"}, "it is bob"
		}
		return v, nil
	}}
}

func TestTraceHasWhatChecksFoundAtRecipients(t *testing.T) {
	h := serve(t, func(s *Server) {
		s.Rules.Recipient = policy.Chain[policy.Recipient]{finding("list")}
		s.Rules.Message = policy.Chain[*policy.Message]{{Name: "spf", Judge: func(_ context.Context, _ policy.Client, m *policy.Message) (policy.Verdict, error) {
			v := policy.Verdict{Checks: []store.CheckResult{{Check: "spf", Result: "none"}}}
			if m.Envelope.Sender.Local == "eve" {
				v.Answer, v.Reason = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "Not eve"}, "it is eve"
			}
			return v, nil
		}}}
	})
	for _, tt := range []struct{ sender, reply string }{{"x@far.test", "250"}, {"eve@far.test", "550"}} {
		c := h.open(t)
		c.do("MAIL FROM:<"+tt.sender+">", "250")
		c.do("RCPT TO:<alice@example.test>", "250")
		c.do("RCPT TO:<team@example.test>", "250")
		c.do("RCPT TO:<bob@example.test>", "550 5.7.1 Not bob")
		c.message("Subject: x\r\n\r\nx\r\n", tt.reply)
		want := []store.CheckResult{{Check: "list", Result: "pass", Detail: tt.sender}, {Check: "spf", Result: "none"}}
		var got []store.CheckResult
		if tt.reply == "250" {
			got = h.mail.last(t).Accepted.Checks
		} else {
			r := h.mail.refusals()
			events := r[len(r)-1].Events
			got = events[len(events)-1].Checks
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", tt.sender, diff)
		}
	}
}

func TestQuietRefusalsAreNotTraced(t *testing.T) {
	rate := &policy.Rate{}
	h := serve(t, trustLoopback, func(s *Server) {
		s.Rules.Connection = policy.Chain[struct{}]{policy.Connections(rate, 1)}
		s.Rules.Sender = policy.Chain[mail.Address]{policy.Messages(&policy.Rate{}, 2)}
	})
	c := h.behindProxy(t, "198.51.100.7")
	c.expect("220")
	for range 5 {
		refused := h.behindProxy(t, "198.51.100.7")
		refused.expect("421 4.7.0 Too many connections a minute")
		refused.expectEnd()
	}
	h.behindProxy(t, "198.51.100.8").expect("220")
	c.do("EHLO client.test", "250")
	for _, reply := range []string{"250", "250", "450 4.7.1", "450 4.7.1", "450 4.7.1"} {
		c.do("MAIL FROM:<x@far.test>", reply)
		c.do("RSET", "250")
	}
	var got []string
	for _, r := range h.mail.refusals() {
		got = append(got, r.From+" "+r.Events[0].Reason)
	}
	want := []string{" rate: too many connections a minute", "x@far.test rate: too many messages a minute"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAllowedClientsAreGreetedAtOnce(t *testing.T) {
	allowed := policy.Check[struct{}]{Name: "list", Judge: func(_ context.Context, c policy.Client, _ struct{}) (policy.Verdict, error) {
		return policy.Verdict{Allowed: c.Addr.String() == "198.51.100.7"}, nil
	}}
	h := serve(t, trustLoopback, func(s *Server) {
		s.Rules.Connection = policy.Chain[struct{}]{allowed, policy.Delay(time.Minute)}
	})
	h.behindProxy(t, "198.51.100.7").expect("220")
	c := h.behindProxy(t, "198.51.100.8")
	c.send("EHLO early.test\r\n")
	c.expect("554 5.5.1 You spoke before the greeting")
}

// Many programs pass over a line of the header that is no field, and show the author
// who stands behind it: it is the one to be judged.
func TestAuthorsBehindABrokenLine(t *testing.T) {
	for _, tt := range []struct {
		text   string
		fields int
		from   []mail.Address
	}{
		{"no field\r\nFrom: <eve@far.test>\r\n\r\nFrom: <text@far.test>\r\n", 1, []mail.Address{{Local: "eve", Domain: "far.test"}}},
		{" no field\r\nTo: x\r\nfrom :\r\n <eve@far.test>\r\n", 1, []mail.Address{{Local: "eve", Domain: "far.test"}}},
		{
			"From: <a@far.test>\r\nno field\r\nFrom: <eve@far.test>\r\n\r\nx\r\n", 2,
			[]mail.Address{{Local: "a", Domain: "far.test"}, {Local: "eve", Domain: "far.test"}},
		},
		{"no field\r\nFrom: @\r\n\r\nx\r\n", 1, nil},
		{"just text\r\n", 0, nil},
	} {
		m := MessageOf([]byte(tt.text))
		if diff := cmp.Diff(tt.from, m.From); diff != "" || m.FromFields != tt.fields {
			t.Errorf("%q: %d fields From\n%s", tt.text, m.FromFields, diff)
		}
		if !strings.HasPrefix(tt.text, string(m.Shown)) || len(m.Shown) < len(m.Header) || strings.Contains(string(m.Shown), "\r\n\r\n") {
			t.Errorf("%q: %q is shown as its header", tt.text, m.Shown)
		}
	}
}
