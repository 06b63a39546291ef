package delivery

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postroom/delivery/resolver"
)

// A nameServer is a DNS server on loopback that validates: it vouches for the
// names under signed.test.
type nameServer struct {
	mu     sync.Mutex
	zone   []dns.RR
	broken map[string]bool // names that it fails for
}

// names starts a DNS server with a zone in master file format, and returns a
// resolver that asks it.
func names(t testing.TB, zone ...string) (*nameServer, *resolver.Resolver) {
	t.Helper()
	s := &nameServer{broken: make(map[string]bool)}
	s.add(t, zone...)
	p, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", "127.0.0.53:0")
	if err != nil {
		t.Fatal(err)
	}
	started, done := make(chan struct{}), make(chan struct{})
	server := &dns.Server{PacketConn: p, Handler: dns.HandlerFunc(s.serve), NotifyStartedFunc: func() { close(started) }}
	go func() { defer close(done); server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { server.Shutdown(); <-done })
	return s, &resolver.Resolver{Servers: []string{p.LocalAddr().String()}, Timeout: 2 * time.Second}
}

func (s *nameServer) add(t testing.TB, zone ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range zone {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(line, err)
		}
		s.zone = append(s.zone, rr)
	}
}

func (s *nameServer) fail(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[name] = true
}

func isSigned(name string) bool { return strings.HasSuffix(name, "signed.test.") }

func (s *nameServer) serve(w dns.ResponseWriter, m *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := m.Question[0]
	a := new(dns.Msg).SetReply(m)
	a.Rcode, a.AuthenticatedData = dns.RcodeNameError, isSigned(q.Name)
	if s.broken[q.Name] {
		a.Rcode = dns.RcodeServerFailure
		w.WriteMsg(a)
		return
	}
	for name, aliases := strings.ToLower(q.Name), 0; name != "" && aliases < 10; aliases++ {
		name = s.answer(a, name, q.Qtype)
	}
	if len(a.Answer) == 0 {
		a.Ns = append(a.Ns, &dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: ".", Mbox: "."})
	}
	w.WriteMsg(a)
}

// answer adds what there is of a name, and returns where its alias leads.
func (s *nameServer) answer(a *dns.Msg, name string, qtype uint16) (next string) {
	for _, rr := range s.zone {
		h := rr.Header()
		if !strings.EqualFold(h.Name, name) {
			continue
		}
		a.Rcode = dns.RcodeSuccess
		alias, isAlias := rr.(*dns.CNAME)
		if h.Rrtype != qtype && !isAlias {
			continue
		}
		a.Answer = append(a.Answer, rr)
		a.AuthenticatedData = a.AuthenticatedData && isSigned(h.Name)
		if isAlias && qtype != dns.TypeCNAME {
			next = strings.ToLower(alias.Target)
		}
	}
	return next
}

// tlsa writes a TLSA record for a port of a host.
func tlsa(port uint16, host, data string) string {
	return fmt.Sprintf("_%d._tcp.%s. 0 IN TLSA %s", port, host, data)
}
