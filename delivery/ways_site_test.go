package delivery

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
	"postroom/store/mail"
)

// route adds a route to the store.
func (s *site) route(r store.Route) {
	s.t.Helper()
	r.Created = s.now()
	if _, err := s.store.AddRoute(s.t.Context(), r); err != nil {
		s.t.Fatal(err)
	}
}

// source adds an address to send from.
func (s *site) source(ip, name string, f store.For) {
	s.t.Helper()
	if err := s.store.AddSource(s.t.Context(), store.Source{IP: netip.MustParseAddr(ip), Name: name, For: f, Created: s.now()}); err != nil {
		s.t.Fatal(err)
	}
}

// relay starts a server and returns a route for a domain to it.
func relay(t testing.TB, server *smtptest.Server, ip, domain string, f store.For) store.Route {
	t.Helper()
	at := server.Start(t, ip)
	return store.Route{Domain: domain, For: f, Host: at.Addr().String(), Port: int(at.Port())}
}

func TestRoutesLeadToRelays(t *testing.T) {
	s := newSite(t)
	var byDomain, byAccount, byOrigin, forAll, smart smtptest.Server
	s.Smarthost = smart.Start(t, "127.0.0.9").String()
	s.route(relay(t, &byDomain, "127.0.0.5", "there.test", store.For{}))
	s.route(relay(t, &byAccount, "127.0.0.6", "*", store.For{Account: s.alice.ID}))
	s.route(relay(t, &byOrigin, "127.0.0.7", "*", store.For{Domain: "our.test"}))
	s.run()
	other := store.Acceptance{Envelope: mail.Envelope{Sender: address(t, "x@elsewhere.test")}}
	other.Outbound = []store.Outbound{{Recipient: mail.Recipient{Address: address(t, "bob@far.test")}}}
	ours := store.Acceptance{Envelope: mail.Envelope{Sender: address(t, "bob@our.test")}, Outbound: other.Outbound}
	alices := store.Acceptance{Envelope: mail.Envelope{Sender: s.alice.Address}, Outbound: other.Outbound, Account: s.alice.ID}
	for name, test := range map[string]struct {
		id     store.MessageID
		server *smtptest.Server
	}{
		"the domain's": {s.put(letter, "bob@there.test"), &byDomain}, "the account's": {s.accept(alices, letter), &byAccount},
		"the sender's domain's": {s.accept(ours, letter), &byOrigin}, "the smarthost": {s.accept(other, letter), &smart},
	} {
		s.await(test.id, store.Relayed, 1)
		if n := test.server.Count(); n != 1 {
			t.Errorf("%s relay has %d messages", name, n)
		}
	}
	s.route(relay(t, &forAll, "127.0.0.8", "*", store.For{}))
	s.await(s.accept(other, letter), store.Relayed, 1)
	if forAll.Count() != 1 || smart.Count() != 1 {
		t.Errorf("with a route for all, it has %d and the smarthost %d messages", forAll.Count(), smart.Count())
	}
	if err := s.store.RemoveRoute(t.Context(), "there.test", store.For{}); err != nil {
		t.Fatal(err)
	}
	s.await(s.put(letter, "bob@there.test"), store.Relayed, 1)
	if byDomain.Count() != 1 {
		t.Error("a route that was removed is taken")
	}
}

func TestRelayWithLogin(t *testing.T) {
	users := map[string]string{"shop": "sesame"}
	for _, test := range []struct {
		name   string
		server *smtptest.Server
		port   int // 0: the server's own
		route  store.Route
		want   fated
	}{
		{"over STARTTLS", &smtptest.Server{TLS: smtptest.Certificate(t, "relay.test"), Users: users}, 0, store.Route{User: "shop", Password: "sesame", TLS: store.TLSMust}, fated{kind: store.Relayed}},
		{"with a wrong password", &smtptest.Server{TLS: smtptest.Certificate(t, "relay.test"), Users: users}, 0, store.Route{User: "shop", Password: "open"}, fated{kind: store.Postponed, reply: "the login at the relay"}},
		{"where TLS must be and isn't", &smtptest.Server{Users: users}, 0, store.Route{User: "shop", Password: "sesame", TLS: store.TLSMust}, fated{kind: store.Postponed, reply: "doesn't offer STARTTLS (required by the administrator's TLS policy)"}},
		{"without the login that it wants", &smtptest.Server{Users: users}, 0, store.Route{}, fated{kind: store.Postponed, reply: "530"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			r := relay(t, test.server, "127.0.0.5", "*", store.For{})
			r.User, r.Password, r.TLS = test.route.User, test.route.Password, test.route.TLS
			s.route(r)
			s.run()
			s.check(s.put(letter, "bob@there.test"), test.want)
			for _, e := range s.queue() {
				if strings.Contains(e.LastReply, "sesame") {
					t.Errorf("the password is shown: %s", e.LastReply)
				}
			}
		})
	}
}

func TestRelayThatRefusesUsIsNoRefusal(t *testing.T) {
	s, server := newSite(t), &smtptest.Server{}
	server.Script = func(_ int, line string) *smtptest.Step {
		if strings.HasPrefix(line, "EHLO") || strings.HasPrefix(line, "HELO") {
			return smtptest.Say("550 5.7.1 who are you?")
		}
		return nil
	}
	s.route(relay(t, server, "127.0.0.5", "*", store.For{}))
	s.run()
	s.check(s.put(letter, "bob@there.test"), fated{kind: store.Postponed, reply: "550 5.7.1 who are you?"})
}

// backup makes there.test a domain whose mail we hold.
func (s *site) backup() {
	s.t.Helper()
	if _, err := s.store.AddDomain(s.t.Context(), store.Domain{Name: "there.test", Backup: true, Created: s.now()}); err != nil {
		s.t.Fatal(err)
	}
}

func TestBackupServer(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(t *testing.T, s *site, better *smtptest.Server) // better listens at 127.0.0.5 on s.Port
		want fated
	}{
		{"a better server", func(_ *testing.T, s *site, _ *smtptest.Server) {
			s.addMX("there.test", "mx.there.test", 10, "127.0.0.5")
			s.addMX("there.test", s.Hostname, 20, "127.0.0.77")
			s.addMX("there.test", "worse.there.test", 30, "127.0.0.5")
		}, fated{kind: store.Relayed}},
		{"only a worse server", func(_ *testing.T, s *site, _ *smtptest.Server) {
			s.addMX("there.test", s.Hostname, 10, "127.0.0.77")
			s.addMX("there.test", "mx.there.test", 20, "127.0.0.5")
		}, fated{kind: store.Postponed, reply: "DNS names no better mail server for there.test than ourselves, so its mail waits here"}},
		{"one as good as ourselves", func(_ *testing.T, s *site, _ *smtptest.Server) {
			s.addMX("there.test", s.Hostname, 10, "127.0.0.77")
			s.addMX("there.test", "mx.there.test", 10, "127.0.0.5")
		}, fated{kind: store.Postponed, reply: "DNS names no better mail server"}},
		{"ourselves by a source's name", func(_ *testing.T, s *site, _ *smtptest.Server) {
			s.source("127.0.0.66", "out.our.test", store.For{})
			s.addMX("there.test", "out.our.test", 10, "127.0.0.77")
			s.addMX("there.test", "mx.there.test", 20, "127.0.0.5")
		}, fated{kind: store.Postponed, reply: "DNS names no better mail server"}},
		{"ourselves by an address that we listen on", func(_ *testing.T, s *site, _ *smtptest.Server) {
			s.Listening = []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.88"), uint16(s.Port))}
			s.addMX("there.test", "other.name.test", 10, "127.0.0.88")
			s.addMX("there.test", "mx.there.test", 20, "127.0.0.5")
		}, fated{kind: store.Postponed, reply: "DNS names no better mail server"}},
		{"a better server that is down, and a fallback relay", func(t *testing.T, s *site, _ *smtptest.Server) {
			s.FallbackRelay = (&smtptest.Server{}).Start(t, "127.0.0.6").String()
			s.addMX("there.test", "mx.there.test", 10, "127.0.0.4")
			s.addMX("there.test", s.Hostname, 20, "127.0.0.77")
		}, fated{kind: store.Postponed, reply: "connection refused"}},
		{"a smarthost", func(t *testing.T, s *site, _ *smtptest.Server) {
			s.Smarthost = "127.0.0.4:1"
			s.addMX("there.test", "mx.there.test", 10, "127.0.0.5")
		}, fated{kind: store.Relayed}},
		{"a route", func(_ *testing.T, s *site, _ *smtptest.Server) {
			s.addMX("there.test", s.Hostname, 10, "127.0.0.77")
			s.route(store.Route{Domain: "there.test", Host: "127.0.0.5", Port: s.Port})
		}, fated{kind: store.Relayed}},
		{
			"a domain that is gone", func(*testing.T, *site, *smtptest.Server) {},
			fated{kind: store.Postponed, reply: "the domain does not exist, so its mail waits here"},
		},
		{"a server that is gone", func(_ *testing.T, s *site, _ *smtptest.Server) {
			s.dns.mx["there.test"] = []*net.MX{{Host: "gone.there.test.", Pref: 10}}
		}, fated{kind: store.Postponed, reply: "no mail server"}},
		{"a server that greets with our name", func(t *testing.T, s *site, _ *smtptest.Server) {
			at := (&smtptest.Server{Name: s.Hostname}).StartAt(t, fmt.Sprintf("127.0.0.7:%d", s.Port))
			s.addMX("there.test", "mx.there.test", 10, at.Addr().String())
		}, fated{kind: store.Postponed, reply: "mx.there.test is ourselves"}},
		{"a server that greets with a source's name", func(t *testing.T, s *site, _ *smtptest.Server) {
			s.source("127.0.0.66", "out.our.test", store.For{Domain: "others.test"})
			at := (&smtptest.Server{Name: "out.our.test"}).StartAt(t, fmt.Sprintf("127.0.0.7:%d", s.Port))
			s.addMX("there.test", "mx.there.test", 10, at.Addr().String())
		}, fated{kind: store.Postponed, reply: "mx.there.test is ourselves"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, better := newSite(t), &smtptest.Server{}
			s.Port = int(better.Start(t, "127.0.0.5").Port())
			s.backup()
			test.set(t, s, better)
			s.run()
			s.check(s.put(letter, "bob@there.test"), test.want)
			if want := test.want.kind == store.Relayed; want != (better.Count() == 1) {
				t.Errorf("the better server has %d messages", better.Count())
			}
		})
	}
}

// addMX adds one MX record and its host.
func (s *site) addMX(domain, host string, preference uint16, ip string) {
	s.dns.mx[domain] = append(s.dns.mx[domain], &net.MX{Host: host + ".", Pref: preference})
	s.dns.hosts[host] = []netip.Addr{netip.MustParseAddr(ip)}
}

func TestSourceAddresses(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	s.source("127.0.0.31", "out1.our.test", store.For{})
	s.source("127.0.0.41", "alice.our.test", store.For{Account: s.alice.ID})
	s.source("127.0.0.42", "", store.For{Account: s.alice.ID})
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	stop := s.run()
	s.await(s.put(letter, "bob@there.test"), store.Relayed, 1)
	m := remote.Messages()[0]
	if m.From.String() != "127.0.0.31" || m.Hello != "EHLO out1.our.test" {
		t.Errorf("everybody's comes from %s with %q", m.From, m.Hello)
	}
	seen := make(map[string]string)
	for range 2 {
		a := store.Acceptance{Envelope: mail.Envelope{Sender: s.alice.Address}, Account: s.alice.ID}
		a.Outbound = []store.Outbound{{Recipient: mail.Recipient{Address: address(t, "bob@there.test")}}}
		id := s.accept(a, letter)
		s.await(id, store.Relayed, 1)
		e := s.await(id, store.Attempt, 1)
		list := remote.Messages()
		m := list[len(list)-1]
		seen[m.From.String()] = m.Hello
		if !strings.HasPrefix(e.Source, m.From.String()) {
			t.Errorf("the trace has the source %q, the server %s", e.Source, m.From)
		}
		stop()
		stop = s.run() // a connection serves on, and so does its address
	}
	for from, hello := range seen {
		if want := map[string]string{"127.0.0.41": "EHLO alice.our.test", "127.0.0.42": "EHLO mail.our.test"}[from]; hello != want {
			t.Errorf("alice's comes from %s with %q", from, hello)
		}
	}
}

func TestSourceThatIsNotOurs(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	s.source("192.0.2.77", "", store.For{})
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	s.check(s.put(letter, "bob@there.test"), fated{kind: store.Postponed, reply: "the source address 192.0.2.77 is not an address of this machine"})
	if remote.Sessions() != 0 {
		t.Error("it came from another address")
	}
}

func TestSourceOfAnotherFamily(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	s.source("::1", "", store.For{})
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	s.check(s.put(letter, "bob@there.test"), fated{kind: store.Postponed, reply: "no source address can reach mx1.there.test (127.0.0.5)"})
}

// What was cancelled while it was under way isn't returned to its sender.
func TestCancelledOnTheWay(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	reached, open := make(chan struct{}), make(chan struct{})
	remote.Script = func(_ int, line string) *smtptest.Step {
		if strings.HasPrefix(line, "RCPT") {
			close(reached)
			<-open
			return smtptest.Say("550 5.1.1 unknown")
		}
		return nil
	}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	id := s.put(letter, "bob@there.test")
	<-reached
	if n, err := s.store.CancelQueue(t.Context(), store.QueueFilter{Message: id}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	close(open)
	s.until(func() bool { return len(s.queue()) == 0 })
	for _, e := range s.events(id) {
		if e.Kind == store.Bounced {
			t.Errorf("it is bounced: %+v", e)
		}
	}
	if len(s.drop()) != 0 {
		t.Error("alice was told")
	}
}

// What was cancelled is gone before the server has answered: nothing went wrong,
// and nothing is put off.
func TestCancelledBeforeItsBodyIsRead(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	reached, open := make(chan struct{}), make(chan struct{})
	remote.Script = func(session int, line string) *smtptest.Step {
		if session == 1 && strings.HasPrefix(line, "RCPT") {
			close(reached)
			<-open
		}
		return nil
	}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.run()
	id := s.put(letter, "bob@there.test")
	<-reached
	if n, err := s.store.CancelQueue(t.Context(), store.QueueFilter{Message: id}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	s.until(func() bool {
		body, err := s.store.OpenMessage(t.Context(), id)
		if err == nil {
			body.Close()
		}
		return errors.Is(err, store.ErrNotFound)
	})
	close(open)
	s.await(s.put(letter, "bob@there.test"), store.Relayed, 1)
	for _, e := range s.events(id) {
		if e.Kind == store.Attempt || e.Kind == store.Postponed {
			t.Errorf("its trace has %+v", e)
		}
	}
	if remote.Count() != 1 {
		t.Errorf("the server has %d messages", remote.Count())
	}
}

// DNS can't lead us to a private address, whatever it makes of it.
func TestPrivateAddressesAreNotContacted(t *testing.T) {
	for _, test := range []struct{ name, to, zone string }{
		{"by MX", "there.test", "there.test. 0 IN MX 1 mx.there.test.\nmx.there.test. 0 IN A 127.0.0.5"},
		{"by an alias", "there.test", "there.test. 0 IN MX 1 mx.there.test.\nmx.there.test. 0 IN CNAME x.test.\nx.test. 0 IN A 127.0.0.5"},
		{"without MX", "there.test", "there.test. 0 IN A 127.0.0.5"},
		{"in IPv6's words", "there.test", "there.test. 0 IN AAAA ::ffff:127.0.0.5"},
		{"through NAT64", "there.test", "there.test. 0 IN AAAA 64:ff9b::127.0.0.5"},
		{"through 6to4", "there.test", "there.test. 0 IN AAAA 2002:7f00:5::"},
		{"as a literal", "[127.0.0.5]", ""},
		{"as a literal of IPv6", "[IPv6:::ffff:127.0.0.5]", ""},
		{"as localhost", "[IPv6:::1]", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, remote := newSite(t), &smtptest.Server{}
			at := remote.Start(t, "127.0.0.5")
			s.Port, s.PrivateDestinations = int(at.Port()), false
			dns, resolver := names(t)
			for line := range strings.SplitSeq(test.zone, "\n") {
				if line != "" {
					dns.add(t, line)
				}
			}
			s.Resolver = resolver
			s.run()
			s.check(s.put(letter, "bob@"+test.to), fated{kind: store.Bounced, reply: "550 5.4.4 the domain's mail server has no public address"})
			if remote.Sessions() != 0 {
				t.Error("it was contacted")
			}
		})
	}
}

// What keeps the mail from one host is said once, however many addresses it has.
func TestBarredHostIsSaidOnce(t *testing.T) {
	s := newSite(t)
	dns, resolver := names(t, "signed.test. 0 IN MX 1 mx.signed.test.", "mx.signed.test. 0 IN A 127.0.0.5", "mx.signed.test. 0 IN A 127.0.0.6")
	dns.fail(fmt.Sprintf("_%d._tcp.mx.signed.test.", 2525))
	s.Port, s.Resolver = 2525, resolver
	s.run()
	id := s.put(letter, "bob@signed.test")
	s.await(id, store.Postponed, 1)
	n := 0
	for _, e := range s.events(id) {
		if e.Kind == store.Attempt {
			n++
		}
	}
	if n != 1 {
		t.Errorf("there are %d attempts", n)
	}
}
