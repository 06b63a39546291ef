package resolver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// slow returns a server that knows an address for every name and tells it after a
// while.
func slow(t *testing.T, latency time.Duration) string {
	t.Helper()
	p, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.53:0")
	if err != nil {
		t.Fatal(err)
	}
	answer := func(w dns.ResponseWriter, m *dns.Msg) {
		<-time.After(latency)
		a := new(dns.Msg).SetReply(m)
		a.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
		w.WriteMsg(a)
	}
	s, started, done := &dns.Server{PacketConn: p, Handler: dns.HandlerFunc(answer)}, make(chan struct{}), make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	go func() { defer close(done); s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { s.Shutdown(); <-done })
	return p.LocalAddr().String()
}

// A server that takes two thirds of the time that it has, as one with two seconds
// does of three, is waited for, and questions don't wait for each other.
func TestLatency(t *testing.T) {
	const timeout = 600 * time.Millisecond
	r := &Resolver{Servers: []string{slow(t, timeout*2/3)}, Timeout: timeout}
	began := time.Now()
	var asking sync.WaitGroup
	for i := range 100 {
		asking.Go(func() {
			name := fmt.Sprintf("a%d.test", i)
			if list, err := r.LookupNetIP(t.Context(), "ip4", name); fmt.Sprint(list) != "[192.0.2.1]" {
				t.Errorf("%s: %v, %v", name, list, err)
			}
		})
	}
	asking.Wait()
	if took := time.Since(began); took > 10*timeout {
		t.Errorf("100 questions took %v", took)
	}
}

// Whoever doesn't want to wait any longer doesn't, whatever the server does and
// whoever else waits.
func TestHangingServer(t *testing.T) {
	s := start(t)
	s.spoilWith(func(_, _ *dns.Msg) *dns.Msg { return nil })
	r := &Resolver{Servers: []string{s.address}, Timeout: time.Minute}
	for range 2 { // the second one would join the first one's question
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		for what, ask := range map[string]func() error{
			"PTR":   func() error { _, err := r.LookupAddr(ctx, "192.0.2.1"); return err },
			"SRV":   func() error { _, err := r.LookupSRV(ctx, "_pop3s._tcp.a.test"); return err },
			"CNAME": func() error { _, err := r.LookupCNAME(ctx, "a.test"); return err },
			"TXT":   func() error { _, err := r.LookupTXT(ctx, "a.test"); return err },
		} {
			e, ok := errors.AsType[*net.DNSError](ask())
			if !ok || !e.IsTimeout || !e.IsTemporary || e.IsNotFound {
				t.Errorf("%s: %+v", what, e)
			}
		}
	}
}

// What isn't a DNS message is an answer to nothing.
func TestGarbage(t *testing.T) {
	p, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.53:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		packet, dice := make([]byte, 1500), rand.New(rand.NewPCG(1, 2))
		for {
			n, from, err := p.ReadFrom(packet)
			if err != nil {
				return
			}
			answer := append([]byte(nil), packet[:n]...)
			answer[2] |= 0x80 // a response to that question, with its ID
			answer[7] = byte(dice.IntN(256))
			for range dice.IntN(400) {
				answer = append(answer, byte(dice.IntN(256)))
			}
			p.WriteTo(answer, from)
		}
	}()
	t.Cleanup(func() { p.Close(); <-done })
	r := &Resolver{Servers: []string{p.LocalAddr().String()}, Timeout: 100 * time.Millisecond}
	for i := range 200 {
		name := fmt.Sprintf("a%d.test", i)
		for what, ask := range map[string]func() (int, error){
			"MX":    func() (int, error) { list, err := r.LookupMX(t.Context(), name); return len(list), err },
			"TXT":   func() (int, error) { list, err := r.LookupTXT(t.Context(), name); return len(list), err },
			"SRV":   func() (int, error) { list, err := r.LookupSRV(t.Context(), name); return len(list), err },
			"CNAME": func() (int, error) { target, err := r.LookupCNAME(t.Context(), name); return len(target), err },
			"PTR": func() (int, error) {
				list, err := r.LookupAddr(t.Context(), fmt.Sprintf("192.0.2.%d", i))
				return len(list), err
			},
		} {
			n, err := ask()
			if n > 0 || isMissing(err) {
				t.Errorf("%s %s: found %d, %v", what, name, n, err)
			}
		}
	}
}

// A long list of long texts isn't kept for ever: the cache is bounded in octets.
func TestCacheIsBoundedInOctets(t *testing.T) {
	now := time.Now()
	r := &Resolver{Now: func() time.Time { return now }}
	text := &dns.TXT{Hdr: dns.RR_Header{Name: "a.test.", Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: []string{strings.Repeat("x", 250), strings.Repeat("x", 250)}}
	var records []dns.RR
	for range 7 {
		records = append(records, text)
	}
	for i := range maxOctets/size(records) + 100 {
		r.mu.Lock()
		r.remember(question{fmt.Sprintf("a%d.test.", i), dns.TypeTXT}, answer{records: records, until: now.Add(time.Minute)})
		if r.octets > maxOctets {
			t.Fatalf("%d octets are kept after %d answers", r.octets, i)
		}
		r.mu.Unlock()
	}
	kept := 0
	for _, a := range r.cache {
		kept += size(a.records)
	}
	if kept != r.octets || len(r.cache) < 1000 {
		t.Errorf("%d answers of %d octets are kept, which are counted as %d", len(r.cache), kept, r.octets)
	}
}
