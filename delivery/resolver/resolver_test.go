package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A server is a DNS server that answers from a zone in master file format.
type server struct {
	address string

	mu    sync.Mutex
	asked []string // "name TYPE network"
	zone  []dns.RR
	spoil func(m, answer *dns.Msg) *dns.Msg // changes an answer; nil: none is sent
}

func start(t *testing.T, zone ...string) *server {
	t.Helper()
	s := &server{}
	for _, line := range zone {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		s.zone = append(s.zone, rr)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.53:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	p, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []*dns.Server{{Listener: l, Handler: s.on("tcp")}, {PacketConn: p, Handler: s.on("udp")}} {
		started, done := make(chan struct{}), make(chan struct{})
		one.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(done); one.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { one.Shutdown(); <-done })
	}
	return s
}

func (s *server) on(network string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, m *dns.Msg) {
		s.mu.Lock()
		defer s.mu.Unlock()
		q := m.Question[0]
		s.asked = append(s.asked, fmt.Sprint(q.Name, " ", dns.TypeToString[q.Qtype], " ", network))
		a := new(dns.Msg).SetReply(m)
		a.Rcode = dns.RcodeNameError
		for _, rr := range s.zone {
			if h := rr.Header(); strings.EqualFold(h.Name, q.Name) {
				a.Rcode = dns.RcodeSuccess
				if h.Rrtype == q.Qtype || h.Rrtype == dns.TypeCNAME {
					a.Answer = append(a.Answer, rr)
				}
			}
		}
		if len(a.Answer) == 0 {
			a.Ns = append(a.Ns, &dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60}, Ns: ".", Mbox: ".", Minttl: 60})
		}
		if s.spoil != nil {
			a = s.spoil(m, a)
		}
		if network == "udp" && a != nil && a.Len() > 512 {
			a.Truncate(512)
		}
		if a != nil {
			w.WriteMsg(a)
		}
	}
}

// spoilWith has the answers changed from now on.
func (s *server) spoilWith(f func(m, answer *dns.Msg) *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoil = f
}

func (s *server) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

func of(servers ...*server) *Resolver {
	r := &Resolver{Timeout: 200 * time.Millisecond}
	for _, s := range servers {
		r.Servers = append(r.Servers, s.address)
	}
	return r
}

func TestLookupMX(t *testing.T) {
	r := of(start(t,
		"a.test. 60 IN MX 20 mx2.a.test.", "a.test. 60 IN MX 10 MX1.a.test.",
		"none.test. 60 IN MX 0 .",
		"bare.test. 60 IN A 192.0.2.1",
		"alias.test. 60 IN CNAME next.test.", "next.test. 60 IN CNAME a.test.",
		"loop1.test. 60 IN CNAME loop2.test.", "loop2.test. 60 IN CNAME loop1.test.",
		"dangling.test. 60 IN CNAME gone.test.",
	))
	for _, test := range []struct {
		domain, want, err string
		missing           bool
	}{
		{"a.test", "10 MX1.a.test, 20 mx2.a.test", "", false},
		{"A.Test.", "10 MX1.a.test, 20 mx2.a.test", "", false},
		{"none.test", "0 .", "", false},
		{"bare.test", "", "", false},
		{"alias.test", "10 MX1.a.test, 20 mx2.a.test", "", false},
		{"loop1.test", "", "lookup loop1.test: too many aliases (CNAME)", false},
		{"dangling.test", "", "lookup dangling.test: no such domain", true},
		{"gone.test", "", "lookup gone.test: no such domain", true},
		{strings.Repeat("x", 64) + ".test", "", "lookup " + strings.Repeat("x", 64) + ".test: not a domain name", true},
	} {
		t.Run(test.domain, func(t *testing.T) {
			list, err := r.LookupMX(t.Context(), test.domain)
			var words []string
			for _, mx := range list {
				words = append(words, fmt.Sprint(mx.Pref, " ", mx.Host))
			}
			if got := strings.Join(words, ", "); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
			checkError(t, err, test.err, test.missing)
		})
	}
}

// checkError checks an error's text and kind.
func checkError(t *testing.T, err error, text string, missing bool) {
	t.Helper()
	if text == "" && err == nil {
		return
	}
	e, ok := errors.AsType[*net.DNSError](err)
	if !ok || e.Error() != text || e.IsNotFound != missing || e.IsTemporary == missing {
		t.Errorf("the error is %+v", e)
	}
}

func TestLookupNetIP(t *testing.T) {
	s := start(t, "a.test. 60 IN A 192.0.2.1", "a.test. 60 IN AAAA 2001:db8::1", "mail.test. 60 IN CNAME a.test.", "mx.test. 60 IN MX 1 a.test.")
	r := of(s)
	for name, want := range map[string]string{"a.test": "[192.0.2.1 2001:db8::1]", "mail.test": "[192.0.2.1 2001:db8::1]", "mx.test": "[]"} {
		if list, err := r.LookupNetIP(t.Context(), "ip", name); err != nil || fmt.Sprint(list) != want {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	if list, _ := r.LookupNetIP(t.Context(), "ip4", "a.test"); fmt.Sprint(list) != "[192.0.2.1]" {
		t.Errorf("IPv4 alone: %v", list)
	}
	_, err := r.LookupNetIP(t.Context(), "ip", "gone.test")
	checkError(t, err, "lookup gone.test: no such domain", true)
}

func TestLongAnswersComeOverTCP(t *testing.T) {
	var zone []string
	for i := range 60 {
		zone = append(zone, fmt.Sprintf("a.test. 60 IN MX %d mail-%d.a.test.", i, i))
	}
	s := start(t, zone...)
	list, err := of(s).LookupMX(t.Context(), "a.test")
	if err != nil || len(list) != 60 {
		t.Errorf("%d records, %v", len(list), err)
	}
	if q := s.questions(); len(q) != 2 || !strings.HasSuffix(q[1], " tcp") {
		t.Errorf("asked %q", q)
	}
}

func TestSickServers(t *testing.T) {
	for name, spoil := range map[string]func(m, a *dns.Msg) *dns.Msg{
		"one that fails":          func(_, a *dns.Msg) *dns.Msg { a.Rcode, a.Answer = dns.RcodeServerFailure, nil; return a },
		"one that refuses":        func(_, a *dns.Msg) *dns.Msg { a.Rcode, a.Answer = dns.RcodeRefused, nil; return a },
		"a silent one":            func(*dns.Msg, *dns.Msg) *dns.Msg { return nil },
		"one that answers others": func(_, a *dns.Msg) *dns.Msg { a.Question[0].Name = "other.test."; return a },
		"one with another type":   func(_, a *dns.Msg) *dns.Msg { a.Question[0].Qtype = dns.TypeTXT; return a },
		"one that guesses the ID": func(_, a *dns.Msg) *dns.Msg { a.Id++; return a },
		"one that asks back":      func(_, a *dns.Msg) *dns.Msg { a.Response = false; return a },
		"one that asks nothing":   func(_, a *dns.Msg) *dns.Msg { a.Question = nil; return a },
		"one in another class":    func(_, a *dns.Msg) *dns.Msg { a.Question[0].Qclass = dns.ClassCHAOS; return a },
		"one that knows no type":  func(_, a *dns.Msg) *dns.Msg { a.Rcode, a.Answer = dns.RcodeNotImplemented, nil; return a },
	} {
		t.Run(name+" is passed over", func(t *testing.T) {
			bad, good := start(t, "a.test. 60 IN A 192.0.2.66"), start(t, "a.test. 60 IN A 192.0.2.1")
			bad.spoilWith(spoil)
			if list, err := of(bad, good).LookupNetIP(t.Context(), "ip4", "a.test"); fmt.Sprint(list) != "[192.0.2.1]" {
				t.Errorf("found %v, %v", list, err)
			}
			_, err := of(bad).LookupNetIP(t.Context(), "ip", "a.test")
			e, ok := errors.AsType[*net.DNSError](err)
			if !ok || !e.IsTemporary || e.IsNotFound {
				t.Errorf("alone: %+v", err)
			}
		})
	}
}

func TestGuessBeforeTheAnswer(t *testing.T) {
	p, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.53:0")
	if err != nil {
		t.Fatal(err)
	}
	guess := func(w dns.ResponseWriter, m *dns.Msg) {
		wrong := new(dns.Msg).SetRcode(m, dns.RcodeNameError)
		wrong.Question[0].Name = "other.test."
		w.WriteMsg(wrong)
		right := new(dns.Msg).SetReply(m)
		right.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "a.test.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
		w.WriteMsg(right)
	}
	s, done := &dns.Server{PacketConn: p, Handler: dns.HandlerFunc(guess)}, make(chan struct{})
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	go func() { defer close(done); s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { s.Shutdown(); <-done })
	r := &Resolver{Servers: []string{p.LocalAddr().String()}}
	if list, err := r.LookupNetIP(t.Context(), "ip4", "a.test"); fmt.Sprint(list) != "[192.0.2.1]" {
		t.Errorf("found %v, %v", list, err)
	}
}

func TestServerWithoutEDNS(t *testing.T) {
	s := start(t, "a.test. 60 IN A 192.0.2.1")
	s.spoilWith(func(m, a *dns.Msg) *dns.Msg {
		if m.IsEdns0() != nil {
			a.Rcode, a.Answer = dns.RcodeFormatError, nil
		}
		return a
	})
	if list, err := of(s).LookupNetIP(t.Context(), "ip4", "a.test"); fmt.Sprint(list) != "[192.0.2.1]" {
		t.Errorf("found %v, %v", list, err)
	}
}

func TestAnswersAreKept(t *testing.T) {
	s := start(t, "a.test. 60 IN A 192.0.2.1", "short.test. 0 IN A 192.0.2.1")
	r, now := of(s), time.Now()
	r.Now = func() time.Time { return now }
	ask := func(names ...string) int {
		before := len(s.questions())
		for _, name := range names {
			r.LookupNetIP(t.Context(), "ip4", name)
		}
		return len(s.questions()) - before
	}
	if n := ask("a.test", "A.test", "gone.test", "gone.test", "short.test", "short.test"); n != 4 {
		t.Errorf("%d questions, want 4", n)
	}
	now = now.Add(time.Minute)
	if n := ask("a.test", "gone.test"); n != 2 {
		t.Errorf("%d questions a minute later, want 2", n)
	}
}

func TestNoServer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&Resolver{Servers: []string{"127.0.0.53:1"}}).LookupMX(ctx, "a.test")
	if e, ok := errors.AsType[*net.DNSError](err); !ok || !e.IsTemporary {
		t.Errorf("the error is %+v", err)
	}
}

// What an answer says about other names counts for nothing.
func TestStrangersInAnswers(t *testing.T) {
	s := start(t, "a.test. 60 IN A 192.0.2.1", "b.test. 60 IN A 192.0.2.2")
	s.spoilWith(func(m, a *dns.Msg) *dns.Msg {
		if m.Question[0].Name == "a.test." {
			other, _ := dns.NewRR("b.test. 60 IN A 192.0.2.66")
			a.Answer = append(a.Answer, other)
		}
		return a
	})
	r := of(s)
	for name, want := range map[string]string{"a.test": "[192.0.2.1]", "b.test": "[192.0.2.2]"} {
		if list, err := r.LookupNetIP(t.Context(), "ip4", name); fmt.Sprint(list) != want {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

// An answer that is cut off counts only in full.
func TestCutOffAnswers(t *testing.T) {
	bad, good := start(t, "a.test. 60 IN A 192.0.2.66"), start(t, "a.test. 60 IN A 192.0.2.1")
	bad.spoilWith(func(_, a *dns.Msg) *dns.Msg {
		if len(bad.asked)%2 == 0 {
			return nil // over TCP it says nothing
		}
		a.Truncated = true
		return a
	})
	if list, err := of(bad, good).LookupNetIP(t.Context(), "ip4", "a.test"); fmt.Sprint(list) != "[192.0.2.1]" {
		t.Errorf("found %v, %v", list, err)
	}
	if q := bad.questions(); len(q) != 2 || !strings.HasSuffix(q[1], " tcp") {
		t.Errorf("asked %q", q)
	}
}

// An answer that says nothing of how long it holds is good for a burst of mail,
// but no name is held for missing by it.
func TestNothingWithoutSOA(t *testing.T) {
	s := start(t, "a.test. 60 IN A 192.0.2.1")
	s.spoilWith(func(_, a *dns.Msg) *dns.Msg {
		a.Ns = nil
		return a
	})
	now := time.Now()
	r := of(s)
	r.Now = func() time.Time { return now }
	for _, step := range []struct {
		it    string
		name  string
		later time.Duration
		asked int
	}{
		{"asks", "a.test", 0, 1},
		{"remembers for moments", "a.test", 4 * time.Second, 1},
		{"asks again after that", "a.test", 2 * time.Second, 2},
		{"asks for a missing name", "b.test", 0, 3},
		{"asks for it each time", "b.test", time.Millisecond, 4},
	} {
		now = now.Add(step.later)
		if _, err := r.LookupMX(t.Context(), step.name); err != nil && !isMissing(err) {
			t.Fatal(err)
		}
		if n := len(s.questions()); n != step.asked {
			t.Errorf("it %s: %d questions, want %d", step.it, n, step.asked)
		}
	}
}
