package delivery

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
)

// shareHost points domains to one mail server of the same name.
func (s *site) shareHost(at netip.AddrPort, domains ...string) {
	s.Port = int(at.Port())
	s.dns.hosts["mx.shared.test"] = []netip.Addr{at.Addr()}
	for _, domain := range domains {
		s.dns.mx[domain] = []*net.MX{{Host: "mx.shared.test.", Pref: 10}}
	}
}

func TestDomainsOfOneHostShareConnections(t *testing.T) {
	inClear := func(s *site) {
		if _, err := s.store.AddRoute(t.Context(), store.Route{Domain: "c.test", TLS: store.TLSNone}); err != nil {
			t.Fatal(err)
		}
	}
	hangUp := func(_ int, line string) *smtptest.Step {
		if line == smtptest.EndOfData {
			return &smtptest.Step{Say: "250 2.0.0 ok", Hangup: true}
		}
		return nil
	}
	for _, test := range []struct {
		it       string
		from     string // who writes to the last domain
		script   func(int, string) *smtptest.Step
		change   func(*site)
		sessions int
	}{
		{"sends for one after the other", "alice@our.test", nil, nil, 1},
		{"connects anew where the server has closed", "alice@our.test", hangUp, nil, 3},
		{"keeps apart what is protected in another way", "alice@our.test", nil, inClear, 2},
		{"keeps apart what comes from another address", "alice@elsewhere.test", nil, func(s *site) {
			source := store.Source{IP: netip.MustParseAddr("127.0.0.77"), For: store.For{Domain: "elsewhere.test"}}
			if err := s.store.AddSource(t.Context(), source); err != nil {
				t.Fatal(err)
			}
		}, 2},
	} {
		t.Run(test.it, func(t *testing.T) {
			s, remote := newSite(t), &smtptest.Server{Script: test.script}
			s.Concurrency = 1
			s.shareHost(remote.Start(t, "127.0.0.5"), "a.test", "b.test", "c.test")
			if test.change != nil {
				test.change(s)
			}
			s.run()
			for _, way := range [][2]string{{"bob@a.test", "alice@our.test"}, {"bob@b.test", "alice@our.test"}, {"bob@c.test", test.from}} {
				a := store.Acceptance{Outbound: []store.Outbound{outbound(t, way[0])}}
				a.Envelope.Sender = address(t, way[1])
				s.await(s.accept(a, letter), store.Relayed, 1)
			}
			if n := remote.Sessions(); n != test.sessions {
				t.Errorf("%d connections, want %d", n, test.sessions)
			}
		})
	}
}

func outbound(t *testing.T, to string) store.Outbound {
	o := store.Outbound{}
	o.Recipient.Address = address(t, to)
	return o
}

// A connection that nobody has use for is ended before long, and politely.
func TestSparesAreEnded(t *testing.T) {
	remote := &smtptest.Server{}
	inBubble(t, network{"there.test": remote}, nil, func(t *testing.T, m *memory, _ func()) {
		m.put("there.test")
		time.Sleep(linger + spareTime - time.Millisecond)
		synctest.Wait()
		if text := fmt.Sprint(remote.Lines()); strings.Contains(text, "QUIT") {
			t.Errorf("it is ended at once: %s", text)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if text := fmt.Sprint(remote.Lines()); !strings.Contains(text, "QUIT") {
			t.Errorf("it is never ended: %s", text)
		}
	})
}
