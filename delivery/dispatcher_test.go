package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
	"postroom/store/mail"
)

func TestSendsByMX(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	remote.TLS = smtptest.Certificate(t, "mx.elsewhere.test")
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	id := s.put(letter, "bob@there.test", `"b o b"@there.test`)
	s.await(id, store.Relayed, 2)
	got := remote.Messages()
	if len(got) != 1 || got[0].Data != letter || len(got[0].Rcpt) != 2 || !got[0].TLS {
		t.Errorf("the server has %+v", got)
	}
	if want := `RCPT TO:<"b o b"@there.test>`; got[0].Rcpt[1] != want {
		t.Errorf("RCPT is %q, want %q", got[0].Rcpt[1], want)
	}
	e := s.await(id, store.Attempt, 1)
	if e.Host != "mx1.there.test" || e.IP != "127.0.0.5" || !strings.HasPrefix(e.TLS, "TLS 1.3 TLS_") || e.Reply != "250 2.0.0 taken" || e.Outcome != "sent" {
		t.Errorf("the attempt is %+v", e)
	}
	if lines := remote.Lines(); lines[0] != "EHLO mail.our.test" {
		t.Errorf("it begins with %q", lines[0])
	}
	if q := s.queue(); len(q) != 0 {
		t.Errorf("the queue still has %v", q)
	}
}

func TestEachRecipientHasItsOwnFate(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	remote.Script = func(_ int, line string) *smtptest.Step {
		switch {
		case strings.Contains(line, "TO:<gone@"):
			return smtptest.Say("550-5.1.1 The address gone\r\n550 5.1.1 is unknown here")
		case strings.Contains(line, "TO:<late@"):
			return smtptest.Say("451 4.7.1 Greylisted, come back")
		}
		return nil
	}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	id := s.put(letter, "gone@there.test", "bob@there.test", "late@there.test")
	s.await(id, store.Relayed, 1)
	bounced, postponed := s.await(id, store.Bounced, 1), s.await(id, store.Postponed, 1)
	if bounced.Recipient != "gone@there.test" || bounced.Reply != "550 5.1.1 The address gone is unknown here" || bounced.Report == nil {
		t.Errorf("bounced is %+v", bounced)
	}
	if postponed.Recipient != "late@there.test" || postponed.Next == nil {
		t.Errorf("deferred is %+v", postponed)
	}
	q := s.queue()
	if len(q) != 1 || q[0].LastReply != "451 4.7.1 Greylisted, come back" || q[0].Attempts != 1 {
		t.Errorf("the queue is %+v", q)
	}
	drop := s.drop()
	if len(drop) != 1 || !strings.Contains(drop[0], "could not be delivered to gone@there.test: this address does not exist there.") ||
		!strings.Contains(drop[0], "Return-Path: <>") || !strings.Contains(drop[0], "Status: 5.1.1") {
		t.Errorf("alice has %s", drop)
	}
}

func TestTheNextHostFollows(t *testing.T) {
	for _, test := range []struct{ name, at, say string }{
		{"a greeting of 554", smtptest.Connected, "554 5.7.1 go away"},
		{"a greeting of 421", smtptest.Connected, "421 4.3.2 too busy"},
		{"a greeting of garbage", smtptest.Connected, "HTTP/1.1 400 Bad Request"},
		{"a closed connection", smtptest.Connected, ""},
		{"4xx to EHLO", "EHLO", "451 4.3.0 not now"},
		{"4xx to MAIL", "MAIL", "451 4.3.0 not now"},
		{"421 to MAIL", "MAIL", "421 4.3.0 not now"},
		{"a connection lost at MAIL", "MAIL", ""},
	} {
		t.Run("after "+test.name, func(t *testing.T) {
			s, bad, good := newSite(t), &smtptest.Server{}, &smtptest.Server{}
			bad.Script = func(_ int, line string) *smtptest.Step {
				if strings.HasPrefix(line, test.at) {
					return &smtptest.Step{Say: test.say, Hangup: test.say == ""}
				}
				return nil
			}
			first := bad.Start(t, "127.0.0.5")
			second := good.StartAt(t, fmt.Sprintf("127.0.0.6:%d", first.Port()))
			s.mx("there.test", first, second)
			s.run()
			id := s.put(letter, "bob@there.test")
			if e := s.await(id, store.Relayed, 1); e.Host != "mx2.there.test" {
				t.Errorf("sent is %+v", e)
			}
			if e := s.await(id, store.Attempt, 1); e.Host != "mx1.there.test" || e.Outcome != "deferred" || e.Reply == "" {
				t.Errorf("the first attempt is %+v", e)
			}
			if bad.Count() != 0 {
				t.Error("the bad host took it too")
			}
		})
	}
}

func TestNoFurtherHostAfterAnAnswer(t *testing.T) {
	for _, test := range []struct {
		name, at, say string
		kind          store.Kind
	}{
		{"5xx to HELO", "HELO", "550 5.7.1 blocked", store.Bounced},
		{"5xx to MAIL", "MAIL", "550 5.7.1 blocked", store.Bounced},
		{"5xx to RCPT", "RCPT", "550 5.7.1 blocked", store.Bounced},
		{"4xx to RCPT", "RCPT", "450 4.7.1 wait", store.Postponed},
		{"5xx to DATA", "DATA", "554 5.7.1 no", store.Bounced},
		{"5xx to the message", ".", "554 5.6.0 bad content", store.Bounced},
		{"4xx to the message", ".", "451 4.3.0 wait", store.Postponed},
		{"421 to the message", ".", "421 4.3.0 wait", store.Postponed},
		{"a connection lost after the message", ".", "", store.Postponed},
	} {
		t.Run("as "+test.name, func(t *testing.T) {
			s, first, second := newSite(t), &smtptest.Server{}, &smtptest.Server{}
			first.Script = func(_ int, line string) *smtptest.Step {
				switch {
				case strings.HasPrefix(line, test.at):
					return &smtptest.Step{Say: test.say, Hangup: test.say == ""}
				case test.at == "HELO" && strings.HasPrefix(line, "EHLO"):
					return smtptest.Say("550 5.7.1 not you")
				}
				return nil
			}
			at := first.Start(t, "127.0.0.5")
			s.mx("there.test", at, second.StartAt(t, fmt.Sprintf("127.0.0.6:%d", at.Port())))
			s.run()
			id := s.put(letter, "bob@there.test")
			if e := s.await(id, test.kind, 1); e.Host != "mx1.there.test" || !strings.Contains(e.Reply, test.say) {
				t.Errorf("it is %+v", e)
			}
			if second.Sessions() != 0 {
				t.Error("the second host was asked")
			}
		})
	}
}

func TestWhatFailsAtOnce(t *testing.T) {
	for _, test := range []struct {
		name   string
		set    func(s *site)
		status string
		words  string
	}{
		{"a domain that doesn't exist", func(*site) {}, "5.1.2", "the domain there.test does not exist."},
		{"a null MX", func(s *site) { s.dns.mx["there.test"] = []*net.MX{{Host: "."}} }, "5.1.10", "domain there.test takes no mail at all."},
		{"a domain without a host", func(s *site) { s.dns.hosts["there.test"] = nil }, "5.4.4", "domain there.test has no mail server."},
		{"an MX that doesn't exist", func(s *site) { s.dns.mx["there.test"] = []*net.MX{{Host: "gone.test."}} }, "5.4.4", "has no mail server."},
		{"a host that is ourselves by name", func(s *site) {
			s.dns.mx["there.test"] = []*net.MX{{Host: "Mail.Our.Test.", Pref: 10}, {Host: "mx2.there.test.", Pref: 20}}
		}, "5.4.6", "come back to ourselves"},
		{"a host that is ourselves by address", func(s *site) {
			s.Listening = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:2525")}
			s.mx("there.test", netip.MustParseAddrPort("127.0.0.9:2525"))
		}, "5.4.6", "come back to ourselves"},
		{"a private address", func(s *site) {
			s.PrivateDestinations = false
			s.mx("there.test", netip.MustParseAddrPort("10.0.0.9:2525"))
		}, "5.4.4", "no public address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			test.set(s)
			s.run()
			id := s.put(letter, "bob@there.test")
			s.await(id, store.Bounced, 1)
			drop := s.drop()
			if len(drop) != 1 || !strings.Contains(drop[0], "\r\nStatus: "+test.status+"\r\n") || !strings.Contains(drop[0], test.words) {
				t.Errorf("alice has %s", drop)
			}
		})
	}
}

func TestWhatWaits(t *testing.T) {
	refused := netip.MustParseAddrPort("127.0.0.9:1")
	for _, test := range []struct {
		name  string
		set   func(s *site)
		reply string
	}{
		{"a DNS server that is down", func(s *site) {
			s.dns.err = &net.DNSError{Err: "server answered SERVFAIL", Name: "there.test", IsTemporary: true}
		}, "lookup there.test: server answered SERVFAIL"},
		{"a host that refuses connections", func(s *site) { s.mx("there.test", refused) }, "connect to mx1.there.test (127.0.0.9): connection refused"},
		{"what may not be looked up", func(s *site) { s.dns.err = fmt.Errorf("local mode: %w", ErrOffline) }, "local mode: nothing outside of this machine is contacted, so this waits here"},
		{"a host better than ourselves that is down", func(s *site) {
			s.mx("there.test", refused)
			s.dns.mx["there.test"] = append(s.dns.mx["there.test"], &net.MX{Host: s.Hostname, Pref: 20})
		}, "connect to mx1.there.test (127.0.0.9): connection refused"},
		{"a smarthost that doesn't exist", func(s *site) { s.Smarthost = "smart.test:25" }, "lookup smart.test: no such domain"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			test.set(s)
			s.run()
			id := s.put(letter, "bob@there.test")
			s.await(id, store.Postponed, 1)
			if q := s.queue(); len(q) != 1 || q[0].LastReply != test.reply || q[0].Attempts != 1 {
				t.Errorf("the queue is %+v", q)
			}
		})
	}
}

func TestGreetingWithOurName(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{Name: "mail.our.test"}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	if e := s.await(s.put(letter, "bob@there.test"), store.Bounced, 1); !strings.HasPrefix(e.Reply, "550 5.4.6") {
		t.Errorf("bounced is %+v", e)
	}
}

func TestNobodyIsTold(t *testing.T) {
	for _, test := range []struct {
		name      string
		recipient mail.Recipient
		sender    string
	}{
		{"of a report that fails", mail.Recipient{}, ""},
		{"who didn't want to be", mail.Recipient{Notify: mail.NotifyNever}, "alice@our.test"},
		{"who wants only delays", mail.Recipient{Notify: mail.NotifyDelay}, "alice@our.test"},
		{"who isn't there", mail.Recipient{}, "nobody@our.test"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			s.run()
			test.recipient.Address = address(t, "bob@there.test")
			a := store.Acceptance{Envelope: mail.Envelope{Sender: address(t, test.sender)}}
			a.Outbound = []store.Outbound{{Recipient: test.recipient}}
			e := s.await(s.accept(a, letter), store.Bounced, 1)
			if e.Report != nil || !strings.HasPrefix(e.Reason, "nobody is told") {
				t.Errorf("bounced is %+v", e)
			}
			if drop, q := s.drop(), s.queue(); len(drop) != 0 || len(q) != 0 {
				t.Errorf("alice has %q, the queue %v", drop, q)
			}
		})
	}
}

func TestReportsLeaveToo(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	a := store.Acceptance{Envelope: mail.Envelope{Sender: address(t, "bob@there.test")}}
	a.Outbound = []store.Outbound{{Recipient: mail.Recipient{Address: address(t, "x@gone.test")}}}
	bounced := s.await(s.accept(a, letter), store.Bounced, 1)
	s.await(*bounced.Report, store.Relayed, 1)
	got := remote.Messages()
	if len(got) != 1 || !strings.HasPrefix(got[0].Mail, "MAIL FROM:<> ") || !strings.HasPrefix(got[0].Rcpt[0], "RCPT TO:<bob@there.test> NOTIFY=NEVER") {
		t.Errorf("the server has %+v", got)
	}
}

func TestRetriesUntilTheTimeIsUp(t *testing.T) {
	s := newSite(t)
	s.Schedule.DelayNotice = 4 * time.Hour
	s.mx("there.test", netip.MustParseAddrPort("127.0.0.9:1"))
	stop := s.run()
	id := s.put(letter, "bob@there.test")
	s.await(id, store.Postponed, 1)
	stop()
	if len(s.drop()) != 0 {
		t.Error("alice was told too early")
	}
	s.advance(5 * time.Hour)
	stop = s.run()
	s.await(id, store.Delayed, 1)
	stop()
	s.advance(time.Hour)
	stop = s.run()
	s.await(id, store.Postponed, 3)
	stop()
	drop := s.drop()
	if len(drop) != 1 || !strings.Contains(drop[0], "has not been delivered yet: its mail server could not be reached for 5 hours.") ||
		!strings.Contains(drop[0], "Will-Retry-Until: ") || !strings.Contains(drop[0], "Action: delayed") {
		t.Errorf("alice has %s", drop)
	}
	s.advance(5 * 24 * time.Hour)
	s.run()
	s.await(id, store.Bounced, 1)
	drop = s.drop()
	if len(drop) != 2 || !strings.Contains(drop[1], "could not be reached for 5 days") || !strings.Contains(drop[1], "Status: 5.4.7") ||
		!strings.Contains(drop[1], "connect to mx1.there.test (127.0.0.9): connection refused") {
		t.Errorf("alice has %s", drop)
	}
}

func TestDelayNoticeIsNotLateItself(t *testing.T) {
	s := newSite(t)
	s.Schedule = Schedule{Waits: []time.Duration{24 * time.Hour}, DelayNotice: 4 * time.Hour}
	s.mx("there.test", netip.MustParseAddrPort("127.0.0.9:1"))
	stop := s.run()
	id := s.put(letter, "bob@there.test")
	s.await(id, store.Postponed, 1)
	stop()
	if q := s.queue(); len(q) != 1 || q[0].Due.Sub(q[0].Created) != 4*time.Hour {
		t.Errorf("the queue is %+v", q)
	}
	s.advance(4*time.Hour + time.Second)
	s.run()
	s.await(id, store.Delayed, 1)
	if q := s.queue(); len(q) != 1 || q[0].Due.Sub(q[0].Created) < 24*time.Hour {
		t.Errorf("after the notice the queue is %+v", q)
	}
}

func TestAdminReturnsMail(t *testing.T) {
	s := newSite(t)
	s.mx("there.test", netip.MustParseAddrPort("127.0.0.9:1"))
	s.run()
	id := s.put(letter, "bob@there.test")
	s.await(id, store.Postponed, 1)
	s.until(func() bool { return !s.queue()[0].Sending })
	if n, err := s.store.ReturnQueue(t.Context(), store.QueueFilter{Message: id}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	s.await(id, store.Bounced, 1)
	if drop := s.drop(); len(drop) != 1 || !strings.Contains(drop[0], "administrator of this mail system returned it") {
		t.Errorf("alice has %s", drop)
	}
	if e := s.events(id); e[len(e)-1].Kind != store.Bounced || e[len(e)-1].Outcome != "" {
		t.Errorf("it ends with %+v", e[len(e)-1])
	}
}

// A message may be claimed and wait for a connection for minutes.
func TestWithdrawnWhileItWaits(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	s.PerDestination = 1
	reached, open := make(chan struct{}, 10), make(chan struct{})
	remote.Script = func(_ int, line string) *smtptest.Step {
		if line == smtptest.Connected {
			reached <- struct{}{}
			<-open
		}
		return nil
	}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	first, held, cancelled, returned := s.put(letter, "1@there.test"), s.put(letter, "2@there.test"), s.put(letter, "3@there.test"), s.put(letter, "4@there.test")
	s.run()
	<-reached
	s.until(func() bool {
		q := s.queue()
		return q[0].Sending && q[1].Sending && q[2].Sending && q[3].Sending
	})
	for message, do := range map[store.MessageID]func(context.Context, store.QueueFilter) (int64, error){
		held: s.store.HoldQueue, cancelled: s.store.CancelQueue, returned: s.store.ReturnQueue,
	} {
		if n, err := do(t.Context(), store.QueueFilter{Message: message}); n != 1 || err != nil {
			t.Errorf("%d items changed, %v", n, err)
		}
	}
	close(open)
	s.await(first, store.Relayed, 1)
	s.await(returned, store.Bounced, 1)
	s.until(func() bool { q := s.queue(); return len(q) == 1 && !q[0].Sending })
	if q := s.queue(); q[0].Message != held || q[0].Hold == 0 || q[0].Attempts != 0 {
		t.Errorf("the queue is %+v", q)
	}
	if n := remote.Count(); n != 1 {
		t.Errorf("the server has %d messages, want the first alone", n)
	}
}

func TestStopIsNoAttempt(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	remote.Script = func(_ int, line string) *smtptest.Step {
		if line == "DATA" {
			return &smtptest.Step{} // says nothing
		}
		return nil
	}
	s.Grace = 50 * time.Millisecond
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	stop := s.run()
	id := s.put(letter, "bob@there.test")
	s.until(func() bool { l := remote.Lines(); return len(l) > 0 && l[len(l)-1] == "DATA" })
	stop()
	if q := s.queue(); len(q) != 1 || q[0].Attempts != 0 || q[0].Sending {
		t.Errorf("the queue is %+v", q)
	}
	for _, e := range s.events(id) {
		if e.Kind == store.Attempt {
			t.Errorf("the trace has %+v", e)
		}
	}
}

func TestFallbackRelay(t *testing.T) {
	s, relay := newSite(t), &smtptest.Server{Name: "relay.our.test"}
	at := relay.Start(t, "127.0.0.6")
	s.FallbackRelay = at.String()
	s.mx("there.test", netip.MustParseAddrPort("127.0.0.9:1"))
	s.run()
	id := s.put(letter, "bob@there.test")
	if e := s.await(id, store.Relayed, 1); e.Host != "127.0.0.6" {
		t.Errorf("sent is %+v", e)
	}
	if e := s.await(id, store.Attempt, 1); e.Host != "mx1.there.test" || e.Outcome != "deferred" {
		t.Errorf("the first attempt is %+v", e)
	}
}

func TestSmarthostTakesAll(t *testing.T) {
	s, smart := newSite(t), &smtptest.Server{}
	s.Smarthost = fmt.Sprintf("smart.our.test:%d", smart.Start(t, "127.0.0.6").Port())
	s.dns.hosts["smart.our.test"] = []netip.Addr{netip.MustParseAddr("127.0.0.6")}
	s.PrivateDestinations = false // doesn't concern hosts that the admin named
	s.run()
	id := s.put(letter, "bob@there.test", "eve@elsewhere.test")
	s.await(id, store.Relayed, 2)
	if got := smart.Messages(); len(got) != 1 || len(got[0].Rcpt) != 2 {
		t.Errorf("the smarthost has %+v", got)
	}
}

func TestFailedTLSIsInTheTrace(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{TLS: &tls.Config{}} // it has no certificate
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	e := s.await(s.put(letter, "bob@there.test"), store.Attempt, 1)
	if e.TLS != "none" || e.Outcome != "sent" || !strings.HasPrefix(e.Reason, "STARTTLS failed (") {
		t.Errorf("the attempt is %+v", e)
	}
}

// What the admin returns, while its report can't be written, waits like anything
// else that can't be done.
func TestReturnThatCannotBeWrittenWaits(t *testing.T) {
	s := newSite(t)
	s.Directory = unsureDirectory{}
	id := s.put(letter, "bob@there.test")
	if n, err := s.store.ReturnQueue(t.Context(), store.QueueFilter{}); n != 1 || err != nil {
		t.Fatalf("%d returned, %v", n, err)
	}
	s.run()
	s.await(id, store.Postponed, 1)
	items := s.queue()
	if len(items) != 1 || items[0].Attempts != 1 || time.Until(items[0].Due) < 30*time.Second {
		t.Errorf("the queue is %+v", items)
	}
}

// An unsureDirectory can't be read.
type unsureDirectory struct{}

func (unsureDirectory) Resolve(context.Context, mail.Address) (store.Resolution, error) {
	return store.Resolution{}, errors.New("disk gone")
}
