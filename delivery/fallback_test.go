package delivery

import (
	"crypto/tls"
	"strings"
	"testing"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
)

// answering answers every line that begins with a word.
func answering(word, reply string, hangup bool) func(int, string) *smtptest.Step {
	return func(_ int, line string) *smtptest.Step {
		if strings.HasPrefix(line, word) {
			return &smtptest.Step{Say: reply, Hangup: hangup}
		}
		return nil
	}
}

func TestWhatGoesToTheFallbackRelay(t *testing.T) {
	const later = "451 4.7.1 come back later"
	must := &store.Route{Domain: "there.test", TLS: store.TLSMust}
	for _, test := range []struct {
		it     string
		script func(int, string) *smtptest.Step // nil: nobody answers
		route  *store.Route
		relay  *tls.Config
		want   store.Kind
		reply  string
	}{
		{"takes over from a server that is down", nil, nil, nil, store.Relayed, ""},
		{"takes over from a server that greets with 421", answering(smtptest.Connected, "421 4.3.2 closing", true), nil, nil, store.Relayed, ""},
		{"takes over from a server that puts EHLO off", answering("EHLO", later, false), nil, nil, store.Relayed, ""},
		{"takes over from a server that breaks off", answering("MAIL", "", true), nil, nil, store.Relayed, ""},
		{"waits for a server that puts MAIL off", answering("MAIL", later, false), nil, nil, store.Postponed, later},
		{"waits for a server that can't protect what must be", answering("NOTHING", "", false), must, nil, store.Postponed, "doesn't offer STARTTLS"},
		{"goes to a relay that protects what must be", nil, must, smtptest.Certificate(t, "relay.test"), store.Relayed, ""},
		{"waits where the relay can't protect it either", nil, must, nil, store.Postponed, "doesn't offer STARTTLS"},
	} {
		t.Run(test.it, func(t *testing.T) {
			s, remote, relay := newSite(t), &smtptest.Server{Script: test.script}, &smtptest.Server{TLS: test.relay}
			s.mx("there.test", remote.Start(t, "127.0.0.5"))
			if test.script == nil {
				s.addMX("down.test", "down.test", 10, "127.0.0.4")
				s.dns.hosts["mx1.there.test"] = s.dns.hosts["down.test"]
			}
			s.FallbackRelay = relay.Start(t, "127.0.0.6").String()
			if test.route != nil {
				s.route(*test.route)
			}
			s.run()
			s.check(s.put(letter, "bob@there.test"), fated{kind: test.want, reply: test.reply})
			if sent := relay.Count() == 1; sent != (test.want == store.Relayed) {
				t.Errorf("the relay has %d messages", relay.Count())
			}
		})
	}
}
