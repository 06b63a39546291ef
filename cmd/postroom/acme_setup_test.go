package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// An authority is a real certificate authority inside this process. Until it is
// opened it answers nothing but errors.
type authority struct {
	t         *testing.T
	directory string // its URL
	rootsFile string // what to trust when speaking to it
	answers   atomic.Pointer[http.Handler]
	manage    http.Handler
	trusted   *x509.CertPool // what to trust of what it gives
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	a := &authority{t: t}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := a.answers.Load(); h != nil {
			(*h).ServeHTTP(w, r)
			return
		}
		http.Error(w, "we are closed", http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	a.directory = server.URL + "/dir"
	a.rootsFile = write(t, "roots.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return a
}

// open has it work. It looks for challenges at these ports, and asks names for
// everything.
func (a *authority) open(names *nameServer, httpPort, tlsPort int) {
	a.t.Helper()
	quiet, memory := log.New(io.Discard, "", 0), db.NewMemoryStore()
	signer := ca.New(quiet, memory, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: 90 * 24 * 3600}})
	validator := va.New(quiet, httpPort, tlsPort, true, names.addr, memory)
	front := wfe.New(quiet, memory, validator, signer, []string{"ca.example"}, true, false, 1, 1)
	a.trusted = x509.NewCertPool()
	a.trusted.AddCert(signer.GetRootCert(0).Cert)
	a.manage = front.ManagementHandler()
	handler := front.Handler()
	a.answers.Store(&handler)
}

// verify fails unless certs shows a certificate for name that a has given, with
// its chain.
func (a *authority) verify(certs *certificates, name string) error {
	cert, err := certs.config().GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, der := range cert.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		between.AddCert(c)
	}
	_, err = cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: a.trusted, Intermediates: between})
	return err
}

// A nameServer answers DNS questions on loopback, and takes updates that carry
// the right signature.
type nameServer struct {
	addr string // ip:port, UDP and TCP

	mu      sync.Mutex
	hosts   map[string]string   // name to address
	txt     map[string][]string // what updates have put there
	updates int                 // that were taken
}

// The key that a nameServer takes updates with, and its zone.
const (
	updateZone   = "example.org."
	updateKey    = "postroom.example.org."
	updateSecret = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="
)

func startNameServer(t *testing.T, hosts map[string]string) *nameServer {
	t.Helper()
	s := &nameServer{hosts: hosts, txt: make(map[string][]string)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	p, err := net.ListenPacket("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []*dns.Server{{Listener: l}, {PacketConn: p}} {
		started := make(chan struct{})
		server.Handler = dns.HandlerFunc(s.serve)
		server.TsigSecret = map[string]string{updateKey: updateSecret}
		server.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept } // updates too
		server.NotifyStartedFunc = func() { close(started) }
		go func() { _ = server.ActivateAndServe() }() // ends with an error when it is shut down
		<-started
		t.Cleanup(func() {
			if err := server.Shutdown(); err != nil {
				t.Error(err)
			}
		})
	}
	return s
}

func (s *nameServer) serve(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	switch {
	case q.Opcode == dns.OpcodeUpdate && (q.IsTsig() == nil || w.TsigStatus() != nil || q.Question[0].Name != updateZone):
		m.Rcode = dns.RcodeRefused
	case q.Opcode == dns.OpcodeUpdate:
		s.update(q.Ns)
		m.SetTsig(updateKey, dns.HmacSHA256, 300, int64(q.IsTsig().TimeSigned))
	default:
		s.answer(m, q.Question[0])
	}
	_ = w.WriteMsg(m) // whoever asked has gone
}

func (s *nameServer) update(records []dns.RR) {
	s.updates++
	for _, rr := range records {
		txt, ok := rr.(*dns.TXT)
		if !ok {
			continue
		}
		name := strings.ToLower(txt.Hdr.Name)
		if txt.Hdr.Class == dns.ClassINET {
			s.txt[name] = append(s.txt[name], strings.Join(txt.Txt, ""))
		} else {
			delete(s.txt, name)
		}
	}
}

func (s *nameServer) answer(m *dns.Msg, q dns.Question) {
	name := strings.ToLower(q.Name)
	add := func(kind uint16, fill func(dns.RR_Header) dns.RR) {
		m.Answer = append(m.Answer, fill(dns.RR_Header{Name: q.Name, Rrtype: kind, Class: dns.ClassINET}))
	}
	addr := s.hosts[strings.TrimSuffix(name, ".")]
	switch {
	case q.Qtype == dns.TypeA && addr != "":
		add(dns.TypeA, func(h dns.RR_Header) dns.RR { return &dns.A{Hdr: h, A: net.ParseIP(addr)} })
	case q.Qtype == dns.TypeTXT && len(s.txt[name]) > 0:
		for _, text := range s.txt[name] {
			add(dns.TypeTXT, func(h dns.RR_Header) dns.RR { return &dns.TXT{Hdr: h, Txt: []string{text}} })
		}
	case q.Qtype == dns.TypeSOA && name == updateZone:
		add(dns.TypeSOA, func(h dns.RR_Header) dns.RR {
			return &dns.SOA{Hdr: h, Ns: "ns." + updateZone, Mbox: "ns." + updateZone}
		})
	case addr == "" && len(s.txt[name]) == 0 && name != updateZone:
		m.Rcode = dns.RcodeNameError
	}
}
