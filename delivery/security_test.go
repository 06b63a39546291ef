package delivery

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/delivery/sts"
	"postroom/store"
	"postroom/store/mail"
)

// sendWish queues a message from alice whose sender wants that of TLS.
func (s *site) sendWish(wish mail.TLSWish, to string) store.MessageID {
	s.t.Helper()
	a := store.Acceptance{Envelope: mail.Envelope{Sender: s.alice.Address, TLS: wish}}
	a.Outbound = []store.Outbound{{Recipient: mail.Recipient{Address: address(s.t, to)}}}
	return s.accept(a, letter)
}

// keyDigest is what a TLSA record 3 1 1 says of a server.
func keyDigest(config *tls.Config) string {
	return fmt.Sprintf("3 1 1 %x", sha256.Sum256(config.Certificates[0].Leaf.RawSubjectPublicKeyInfo))
}

const wrongDigest = "3 1 1 0000000000000000000000000000000000000000000000000000000000000000"

// A fated message ends with an event of one kind. What isn't empty is found in it,
// in its last attempt's Certificate, or in that one's Reason.
type fated struct {
	kind                     store.Kind
	reply, certificate, note string
}

func (s *site) check(id store.MessageID, want fated) {
	s.t.Helper()
	e := s.await(id, want.kind, 1)
	var last store.Event
	for _, e := range s.events(id) {
		if e.Kind == store.Attempt {
			last = e
		}
	}
	if !strings.Contains(e.Reply, want.reply) {
		s.t.Errorf("the reply is %q, want %q", e.Reply, want.reply)
	}
	if want.certificate != "" && !strings.Contains(last.Certificate, want.certificate) {
		s.t.Errorf("the certificate is %q, want %q", last.Certificate, want.certificate)
	}
	if want.note != "" && !strings.Contains(last.Reason, want.note) {
		s.t.Errorf("the note is %q, want %q", last.Reason, want.note)
	}
}

func TestDANE(t *testing.T) {
	config := smtptest.Certificate(t, "whatever.test")
	for _, test := range []struct {
		name  string
		clear bool   // the server has no TLS
		zone  string // PORT stands for the server's, KEY for its digest, WRONG for another one
		fails string // a name that the DNS server fails for
		wish  mail.TLSWish
		want  fated
		alone bool // the server isn't even connected to
	}{
		{
			name: "a certificate that fits",
			zone: "_PORT._tcp.mx.signed.test. TLSA KEY",
			want: fated{kind: store.Relayed, certificate: "matches TLSA 3 1 1 (DANE)"},
		},
		{
			name: "a certificate that doesn't fit",
			zone: "_PORT._tcp.mx.signed.test. TLSA WRONG",
			want: fated{kind: store.Postponed, reply: "no TLSA record matches the certificate", certificate: "not trusted"},
		},
		{
			name: "no TLS", clear: true,
			zone: "_PORT._tcp.mx.signed.test. TLSA KEY",
			want: fated{kind: store.Postponed, reply: "doesn't offer STARTTLS (required by DANE)"},
		},
		{
			name: "records that make no sense, with TLS",
			zone: "_PORT._tcp.mx.signed.test. TLSA 0 0 1 00",
			want: fated{kind: store.Relayed, certificate: "not trusted"},
		},
		{
			name: "records that make no sense, without TLS", clear: true,
			zone: "_PORT._tcp.mx.signed.test. TLSA 0 0 1 00",
			want: fated{kind: store.Postponed, reply: "doesn't offer STARTTLS"},
		},
		{
			name: "records that can't be found out", fails: "_PORT._tcp.mx.signed.test.",
			want:  fated{kind: store.Postponed, reply: "the TLSA records of mx.signed.test can't be found out"},
			alone: true,
		},
		{
			name: "no records", clear: true,
			want: fated{kind: store.Relayed},
		},
		{
			name: "a sender who doesn't mind",
			zone: "_PORT._tcp.mx.signed.test. TLSA WRONG", wish: mail.TLSOptional,
			want: fated{kind: store.Relayed, note: "TLS-Required: No"},
		},
		{
			name: "an alias, by the name it leads to",
			zone: "signed.test. MX 1 alias.signed.test.\nalias.signed.test. CNAME mx.signed.test.\n" +
				"_PORT._tcp.mx.signed.test. TLSA KEY\n_PORT._tcp.alias.signed.test. TLSA WRONG",
			want: fated{kind: store.Relayed, certificate: "matches TLSA 3 1 1"},
		},
		{
			name: "an alias, by its own name",
			zone: "signed.test. MX 1 alias.signed.test.\nalias.signed.test. CNAME mx.signed.test.\n_PORT._tcp.alias.signed.test. TLSA WRONG",
			want: fated{kind: store.Postponed, reply: "no TLSA record matches"},
		},
		{
			name: "an alias that leads out of what is signed",
			zone: "signed.test. MX 1 out.signed.test.\nout.signed.test. CNAME mx.plain.test.\nmx.plain.test. A 127.0.0.5\n" +
				"_PORT._tcp.out.signed.test. TLSA KEY\n_PORT._tcp.mx.plain.test. TLSA WRONG",
			want: fated{kind: store.Relayed, certificate: "matches TLSA 3 1 1"},
		},
		{
			name: "a host that isn't signed",
			zone: "signed.test. MX 1 mx.plain.test.\nmx.plain.test. A 127.0.0.5\n_PORT._tcp.mx.plain.test. TLSA WRONG",
			want: fated{kind: store.Relayed, certificate: "not trusted"},
		},
		{
			name: "records that aren't signed",
			zone: "_PORT._tcp.mx.signed.test. CNAME tlsa.plain.test.\ntlsa.plain.test. TLSA WRONG",
			want: fated{kind: store.Relayed, certificate: "not trusted"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, remote := newSite(t), &smtptest.Server{TLS: config}
			if test.clear {
				remote.TLS = nil
			}
			at := remote.Start(t, "127.0.0.5")
			s.Port = int(at.Port())
			fill := strings.NewReplacer("PORT", fmt.Sprint(at.Port()), "KEY", keyDigest(config), "WRONG", wrongDigest).Replace
			dns, resolver := names(t, "mx.signed.test. 0 IN A 127.0.0.5")
			if !strings.Contains(test.zone, " MX ") {
				dns.add(t, "signed.test. 0 IN MX 1 mx.signed.test.")
			}
			for line := range strings.SplitSeq(fill(test.zone), "\n") {
				if name, rest, ok := strings.Cut(line, " "); ok {
					dns.add(t, name+" 0 IN "+rest)
				}
			}
			dns.fail(fill(test.fails))
			s.Resolver = resolver
			s.run()
			s.check(s.sendWish(test.wish, "bob@signed.test"), test.want)
			if test.alone != (remote.Sessions() == 0) {
				t.Errorf("the server had %d sessions", remote.Sessions())
			}
		})
	}
}

// What can't be protected by one host is sent to the next.
func TestDANEGoesToTheNextHost(t *testing.T) {
	config := smtptest.Certificate(t, "whatever.test")
	s, bad, good := newSite(t), &smtptest.Server{TLS: smtptest.Certificate(t, "other.test")}, &smtptest.Server{TLS: config}
	at := bad.Start(t, "127.0.0.5")
	good.StartAt(t, fmt.Sprintf("127.0.0.6:%d", at.Port()))
	s.Port = int(at.Port())
	_, s.Resolver = names(t, "signed.test. 0 IN MX 1 a.signed.test.", "signed.test. 0 IN MX 2 b.signed.test.",
		"a.signed.test. 0 IN A 127.0.0.5", "b.signed.test. 0 IN A 127.0.0.6",
		tlsa(at.Port(), "a.signed.test", keyDigest(config)), tlsa(at.Port(), "b.signed.test", keyDigest(config)))
	s.run()
	s.check(s.put(letter, "bob@signed.test"), fated{kind: store.Relayed, certificate: "matches TLSA"})
	if bad.Count() != 0 || good.Count() != 1 {
		t.Errorf("they took %d and %d messages", bad.Count(), good.Count())
	}
}

// policyOf serves a domain's MTA-STS policy over HTTPS, and returns who asks for it.
func (s *site) policyOf(t testing.TB, known *smtptest.Authority, resolver sts.Resolver, domain, policy string) *sts.Policies {
	t.Helper()
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, strings.ReplaceAll(policy, "\n", "\r\n"))
	}))
	web.TLS = known.Issue(t, smtptest.Leaf{Names: []string{"mta-sts." + domain}})
	web.StartTLS()
	t.Cleanup(web.Close)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: known.Pool()},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, web.Listener.Addr().String())
		},
	}}
	t.Cleanup(client.CloseIdleConnections)
	return &sts.Policies{Store: s.store, Resolver: resolver, HTTP: client, Now: s.now}
}

func TestMTASTS(t *testing.T) {
	known := smtptest.NewAuthority(t, "Known CA")
	good := known.Issue(t, smtptest.Leaf{Names: []string{"mx.there.test"}})
	for _, test := range []struct {
		name, mode, mx string
		config         *tls.Config
		wish           mail.TLSWish
		want           fated
		alone          bool
	}{
		{name: "a server that fits", mode: "enforce", mx: "mx.there.test", config: good, want: fated{kind: store.Relayed, certificate: "trusted (MTA-STS policy of there.test)"}},
		{name: "a server that fits a pattern", mode: "enforce", mx: "*.there.test", config: good, want: fated{kind: store.Relayed, certificate: "trusted (MTA-STS"}},
		{name: "a server that isn't named", mode: "enforce", mx: "other.test", config: good, want: fated{kind: store.Postponed, reply: "the MTA-STS policy of there.test doesn't name mx.there.test"}, alone: true},
		{name: "a certificate that nobody knows", mode: "enforce", mx: "mx.there.test", config: smtptest.Certificate(t, "mx.there.test"), want: fated{kind: store.Postponed, reply: "self-signed certificate"}},
		{name: "no TLS", mode: "enforce", mx: "mx.there.test", want: fated{kind: store.Postponed, reply: "doesn't offer STARTTLS (required by MTA-STS policy of there.test)"}},
		{name: "a server that isn't named, while testing", mode: "testing", mx: "other.test", config: good, want: fated{kind: store.Relayed, note: "not enforced yet, doesn't name mx.there.test"}},
		{name: "a certificate that nobody knows, while testing", mode: "testing", mx: "mx.there.test", config: smtptest.Certificate(t, "x.test"), want: fated{kind: store.Relayed, note: "not enforced yet, demands another certificate"}},
		{name: "no TLS, while testing", mode: "testing", mx: "mx.there.test", want: fated{kind: store.Relayed, note: "not enforced yet, demands TLS"}},
		{name: "a policy of none", mode: "none", mx: "other.test", want: fated{kind: store.Relayed}},
		{name: "a sender who doesn't mind", mode: "enforce", mx: "other.test", wish: mail.TLSOptional, want: fated{kind: store.Relayed, note: "TLS-Required: No"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, remote := newSite(t), &smtptest.Server{TLS: test.config}
			at := remote.Start(t, "127.0.0.5")
			s.Port = int(at.Port())
			s.TLS = &tls.Config{RootCAs: known.Pool()}
			_, resolver := names(t, "there.test. 0 IN MX 1 mx.there.test.", "mx.there.test. 0 IN A 127.0.0.5", `_mta-sts.there.test. 0 IN TXT "v=STSv1; id=1;"`)
			s.Resolver = resolver
			s.STS = s.policyOf(t, known, resolver, "there.test", "version: STSv1\nmode: "+test.mode+"\nmx: "+test.mx+"\nmax_age: 86400\n")
			s.run()
			s.check(s.sendWish(test.wish, "bob@there.test"), test.want)
			if test.alone != (remote.Sessions() == 0) {
				t.Errorf("the server had %d sessions", remote.Sessions())
			}
		})
	}
}

// DANE decides where it applies (RFC 8461 section 2), and the admin before all.
func TestWhoDecides(t *testing.T) {
	known := smtptest.NewAuthority(t, "Known CA")
	config := smtptest.Certificate(t, "x.test")
	for _, test := range []struct {
		name  string
		tlsa  string
		route *store.Route
		want  fated
	}{
		{"DANE, over MTA-STS", keyDigest(config), nil, fated{kind: store.Relayed, certificate: "(DANE)"}},
		{"MTA-STS, without DANE", "", nil, fated{kind: store.Postponed, reply: "doesn't name"}},
		{"the admin, who doesn't mind", wrongDigest, &store.Route{Domain: "signed.test"}, fated{kind: store.Relayed}},
		{"the admin, who wants none", wrongDigest, &store.Route{Domain: "*", TLS: store.TLSNone}, fated{kind: store.Relayed}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, remote := newSite(t), &smtptest.Server{TLS: config}
			at := remote.Start(t, "127.0.0.5")
			s.Port = int(at.Port())
			dns, resolver := names(t, "signed.test. 0 IN MX 1 mx.signed.test.", "mx.signed.test. 0 IN A 127.0.0.5", `_mta-sts.signed.test. 0 IN TXT "v=STSv1; id=1;"`)
			if test.tlsa != "" {
				dns.add(t, tlsa(at.Port(), "mx.signed.test", test.tlsa))
			}
			s.Resolver = resolver
			s.STS = s.policyOf(t, known, resolver, "signed.test", "version: STSv1\nmode: enforce\nmx: other.test\nmax_age: 86400\n")
			if test.route != nil {
				s.route(*test.route)
			}
			s.run()
			s.check(s.put(letter, "bob@signed.test"), test.want)
			if test.route != nil && test.route.TLS == store.TLSNone && remote.Messages()[0].TLS {
				t.Error("it was sent over TLS")
			}
		})
	}
}

func TestRequireTLS(t *testing.T) {
	known := smtptest.NewAuthority(t, "Known CA")
	good := known.Issue(t, smtptest.Leaf{Names: []string{"mx1.there.test", "mx2.there.test"}})
	offer := []string{"PIPELINING", "REQUIRETLS"}
	for _, test := range []struct {
		name          string
		first, second *smtptest.Server // the second may be nil
		want          fated
	}{
		{"a server that assures it", &smtptest.Server{TLS: good, Extensions: offer}, nil, fated{kind: store.Relayed}},
		{"a server that doesn't offer it", &smtptest.Server{TLS: good}, nil, fated{kind: store.Bounced, reply: "550 5.7.30"}},
		{"a server without TLS", &smtptest.Server{Extensions: offer}, nil, fated{kind: store.Bounced, reply: "550 5.7.30"}},
		{"a certificate that nobody knows", &smtptest.Server{TLS: smtptest.Certificate(t, "mx1.there.test"), Extensions: offer}, nil, fated{kind: store.Bounced, reply: "550 5.7.30"}},
		{"a second server that assures it", &smtptest.Server{TLS: good}, &smtptest.Server{TLS: good, Extensions: offer}, fated{kind: store.Relayed}},
		{"two servers that don't", &smtptest.Server{TLS: good}, &smtptest.Server{}, fated{kind: store.Bounced, reply: "550 5.7.30"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			s.TLS = &tls.Config{RootCAs: known.Pool()}
			hosts := []netip.AddrPort{test.first.Start(t, "127.0.0.5")}
			if test.second != nil {
				hosts = append(hosts, test.second.StartAt(t, fmt.Sprintf("127.0.0.6:%d", hosts[0].Port())))
			}
			s.mx("there.test", hosts...)
			s.run()
			s.check(s.sendWish(mail.TLSRequired, "bob@there.test"), test.want)
			took := append(test.first.Messages(), messagesOf(test.second)...)
			if test.want.kind == store.Relayed && !strings.HasSuffix(took[0].Mail, " REQUIRETLS") {
				t.Errorf("MAIL is %q", took[0].Mail)
			}
			if test.want.kind == store.Bounced && len(took) != 0 {
				t.Errorf("it was sent: %+v", took)
			}
		})
	}
}

func messagesOf(s *smtptest.Server) []smtptest.Message {
	if s == nil {
		return nil
	}
	return s.Messages()
}

// It may be taken elsewhere, so it waits while somebody can't be reached.
func TestRequireTLSWaitsForWhoMayAssureIt(t *testing.T) {
	s, weak := newSite(t), &smtptest.Server{}
	at := weak.Start(t, "127.0.0.6")
	s.mx("there.test", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.5"), at.Port()), at)
	s.run()
	s.check(s.sendWish(mail.TLSRequired, "bob@there.test"), fated{kind: store.Postponed})
}

// A connection that was made for mail whose sender doesn't mind isn't good enough
// for other mail.
func TestLaxConnectionIsForLaxMail(t *testing.T) {
	config := smtptest.Certificate(t, "x.test")
	s, remote := newSite(t), &smtptest.Server{TLS: config}
	s.PerDestination = 1
	at := remote.Start(t, "127.0.0.5")
	s.Port = int(at.Port())
	_, s.Resolver = names(t, "signed.test. 0 IN MX 1 mx.signed.test.", "mx.signed.test. 0 IN A 127.0.0.5", tlsa(at.Port(), "mx.signed.test", wrongDigest))
	lax1, strict := s.sendWish(mail.TLSOptional, "bob@signed.test"), s.sendWish(mail.TLSAsUsual, "bob@signed.test")
	lax2 := s.sendWish(mail.TLSOptional, "bob@signed.test")
	s.run()
	s.check(lax1, fated{kind: store.Relayed})
	s.check(strict, fated{kind: store.Postponed, reply: "no TLSA record matches"})
	s.check(lax2, fated{kind: store.Relayed})
}
