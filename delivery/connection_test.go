package delivery

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
)

func TestOneConnectionServesManyMessages(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	s.PerDestination = 2
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	var last store.MessageID
	for range 50 {
		last = s.put(letter, "bob@there.test")
	}
	s.await(last, store.Relayed, 1)
	s.until(func() bool { return remote.Count() == 50 && len(s.queue()) == 0 })
	if n := remote.Sessions(); n > 4 {
		t.Errorf("%d connections for 50 messages", n)
	}
}

func TestOneMessageToVeryMany(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	var to []string
	for i := range 1000 {
		to = append(to, fmt.Sprintf("bob%d@there.test", i))
	}
	s.run()
	s.put(letter, to...)
	s.until(func() bool { return len(s.queue()) == 0 })
	recipients := 0
	for _, m := range remote.Messages() {
		recipients += len(m.Rcpt)
	}
	if n := remote.Count(); n > 10 || recipients != 1000 {
		t.Errorf("the message was sent %d times, to %d recipients", n, recipients)
	}
}

func TestHealthOutlivesARestart(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	remote.Script = func(int, string) *smtptest.Step { return smtptest.Say("421 4.3.2 too busy") }
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	stop := s.run()
	s.await(s.put(letter, "bob@there.test"), store.Postponed, 1)
	s.until(func() bool { list, err := s.store.Health(t.Context()); return err == nil && len(list) == 1 })
	stop()
	list, _ := s.store.Health(t.Context())
	if h := list[0]; h.Destination != "there.test" || h.Failures != 1 || h.Reply != "421 4.3.2 too busy" || h.Host != "mx1.there.test" || h.NextTry.Sub(s.now()) < 50*time.Second {
		t.Errorf("its health is %+v", h)
	}
	s.run()
	s.put(letter, "bob@there.test")
	s.await(s.put(letter, "bob@nowhere.test"), store.Bounced, 1) // the dispatcher has seen both
	if n := remote.Sessions(); n != 1 {
		t.Errorf("there were %d connections", n)
	}
}

func TestEqualsShareTheLoad(t *testing.T) {
	s, one, two := newSite(t), &smtptest.Server{}, &smtptest.Server{}
	first := one.Start(t, "127.0.0.5")
	s.mx("there.test", first, two.StartAt(t, fmt.Sprintf("127.0.0.6:%d", first.Port())))
	for _, mx := range s.dns.mx["there.test"] {
		mx.Pref = 10
	}
	s.run()
	// One after the other, as people write: 2^-29 is the chance that all go one way.
	for range 30 {
		s.await(s.put(letter, "bob@there.test"), store.Relayed, 1)
	}
	if one.Count() == 0 || two.Count() == 0 || one.Count()+two.Count() != 30 {
		t.Errorf("they have %d and %d", one.Count(), two.Count())
	}
}

func TestRecipientsOfAMessageStayTogether(t *testing.T) {
	s := newSite(t)
	s.mx("there.test", netip.MustParseAddrPort("127.0.0.9:1"))
	s.run()
	id := s.put(letter, "bob@there.test", "eve@there.test", "joe@there.test")
	s.await(id, store.Postponed, 3)
	q := s.queue()
	if len(q) != 3 || !q[0].Due.Equal(q[1].Due) || !q[0].Due.Equal(q[2].Due) {
		t.Errorf("the queue is %+v", q)
	}
}

func TestMailForTheDeadWaitsTogether(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	remote.Script = func(int, string) *smtptest.Step { return smtptest.Say("421 4.3.2 too busy") }
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	for range 50 {
		s.put(letter, "bob@there.test")
	}
	s.run()
	s.until(func() bool {
		tried := 0
		for _, item := range s.queue() {
			tried += item.Attempts
			if item.Sending {
				return false
			}
		}
		return tried > 0
	})
	if n := remote.Sessions(); n != 1 {
		t.Errorf("%d connections to a server that is too busy", n)
	}
}

func TestServerThatWantsOneConnection(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	remote.Script = func(session int, line string) *smtptest.Step {
		if line == smtptest.Connected && session > 1 {
			return &smtptest.Step{Say: "421 4.7.0 one connection is enough", Hangup: true}
		}
		return nil
	}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	s.await(s.put(letter, "bob@there.test"), store.Relayed, 1)
	for range 40 {
		s.put(letter, "bob@there.test")
	}
	s.until(func() bool { return remote.Count() == 41 })
}
