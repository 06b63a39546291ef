package delivery

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
	"postroom/store/sqlite"
)

// dnsTable is a Resolver of what a test writes down.
type dnsTable struct {
	mx    map[string][]*net.MX
	hosts map[string][]netip.Addr
	err   error
}

func (d *dnsTable) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	if list, ok := d.mx[domain]; ok || d.err != nil {
		return list, d.err
	}
	if _, ok := d.hosts[domain]; ok {
		return nil, nil
	}
	return nil, &net.DNSError{Err: "no such domain", Name: domain, IsNotFound: true}
}

func (d *dnsTable) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if list, ok := d.hosts[host]; ok {
		return list, nil
	}
	return nil, &net.DNSError{Err: "no such domain", Name: host, IsNotFound: true}
}

// A site is one of ours: a store with the account alice@our.test, and a
// dispatcher.
type site struct {
	t     testing.TB
	store *sqlite.Store
	alice store.Account
	dns   *dnsTable
	*Dispatcher

	mu     sync.Mutex
	offset time.Duration // how far the clock is ahead
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, dns: &dnsTable{mx: map[string][]*net.MX{}, hosts: map[string][]netip.Addr{}}}
	var err error
	s.store, err = sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir(), Now: s.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	if _, err := s.store.AddDomain(t.Context(), store.Domain{Name: "our.test", Created: s.now()}); err != nil {
		t.Fatal(err)
	}
	s.alice, err = s.store.AddAccount(t.Context(), store.Account{Address: address(t, "alice@our.test"), Created: s.now()})
	if err != nil {
		t.Fatal(err)
	}
	s.Dispatcher = &Dispatcher{
		Hostname:            "mail.our.test",
		Queue:               s.store,
		Directory:           s.store,
		Resolver:            s.dns,
		Dialer:              &net.Dialer{},
		Schedule:            Schedule{Waits: []time.Duration{time.Minute, 5 * time.Minute}},
		PrivateDestinations: true,
		ConnectTimeout:      5 * time.Second,
		CommandTimeout:      5 * time.Second,
		Grace:               time.Second,
		Now:                 s.now,
		Log:                 slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return s
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

func (s *site) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.offset)
}

func (s *site) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset += d
}

// mx points a domain to hosts, best first, each with one address; all take mail
// on the dispatcher's port.
func (s *site) mx(domain string, hosts ...netip.AddrPort) {
	for i, at := range hosts {
		name := "mx" + string(rune('1'+i)) + "." + domain
		s.dns.mx[domain] = append(s.dns.mx[domain], &net.MX{Host: name + ".", Pref: uint16(10 * (i + 1))})
		s.dns.hosts[name] = []netip.Addr{at.Addr()}
		s.Port = int(at.Port())
	}
}

func address(t testing.TB, text string) mail.Address {
	t.Helper()
	if text == "" {
		return mail.Address{}
	}
	a, err := mail.ParseAddress(text)
	if err != nil {
		t.Fatal(text, err)
	}
	return a
}

const letter = "From: alice@our.test\r\nTo: you\r\nSubject: Lunch\r\nMessage-ID: <1@our.test>\r\n\r\nAt noon?\r\n.\r\n..two\r\n"

// put queues a message from alice.
func (s *site) put(text string, to ...string) store.MessageID {
	s.t.Helper()
	a := store.Acceptance{Envelope: mail.Envelope{Sender: s.alice.Address}}
	for _, one := range to {
		a.Outbound = append(a.Outbound, store.Outbound{Recipient: mail.Recipient{Address: address(s.t, one)}})
	}
	return s.accept(a, text)
}

func (s *site) accept(a store.Acceptance, text string) store.MessageID {
	s.t.Helper()
	a.ID, a.At, a.Body, a.Size = s.store.NewMessageID(), s.now(), strings.NewReader(text), int64(len(text))
	for i := range a.Outbound {
		a.Outbound[i].Sender = a.Envelope.Sender
	}
	if err := s.store.Accept(s.t.Context(), a); err != nil {
		s.t.Fatal(err)
	}
	return a.ID
}

// run runs the dispatcher until the test ends, or stop is called.
func (s *site) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Dispatcher.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	s.t.Cleanup(stop)
	return stop
}

// events returns the trace of a message.
func (s *site) events(id store.MessageID) []store.Event {
	s.t.Helper()
	page, err := s.store.Trails(context.Background(), store.TrailQuery{ID: id})
	if err != nil || len(page.Trails) != 1 {
		s.t.Fatalf("%d trails, %v", len(page.Trails), err)
	}
	return page.Trails[0].Events
}

// await returns the n-th event of a kind as soon as it is there.
func (s *site) await(id store.MessageID, kind store.Kind, n int) store.Event {
	s.t.Helper()
	var found store.Event
	s.until(func() bool {
		seen := 0
		for _, e := range s.events(id) {
			if e.Kind == kind {
				if seen++; seen == n {
					found = e
					return true
				}
			}
		}
		return false
	})
	return found
}

// until waits for a condition, up to 10 s.
func (s *site) until(done func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatal("it doesn't happen")
		}
	}
}

// drop returns the messages in alice's maildrop.
func (s *site) drop() []string {
	s.t.Helper()
	entries, err := s.store.Entries(context.Background(), s.alice.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		body, err := s.store.OpenEntry(context.Background(), s.alice.ID, e.Message)
		if err != nil {
			s.t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if err := errors.Join(err, body.Close()); err != nil {
			s.t.Fatal(err)
		}
		list = append(list, string(text))
	}
	return list
}

func (s *site) queue() []store.QueueItem {
	s.t.Helper()
	items, err := s.store.Queue(context.Background(), store.QueueFilter{})
	if err != nil {
		s.t.Fatal(err)
	}
	return items
}
