package delivery

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"testing"
	"time"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
)

// Whatever a server does wrong, mail is sent or waits: it is neither lost nor
// returned to its sender.
func TestWrongServers(t *testing.T) {
	known := smtptest.NewAuthority(t, "Known CA")
	for _, must := range []bool{false, true} {
		for _, wrong := range smtptest.WrongThings(t, known) {
			if wrong.Slow || must && !wrong.TLS {
				continue
			}
			name := "one that " + wrong.Name
			if must {
				name += ", where TLS is demanded"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s, remote := newSite(t), wrong.Server()
				s.CommandTimeout, s.ConnectTimeout = 3*time.Second, 3*time.Second
				s.TLS = &tls.Config{RootCAs: known.Pool()}
				at := remote.Start(t, "127.0.0.5")
				s.addMX("there.test", "mx.remote.test", 10, "127.0.0.5")
				s.Port = int(at.Port())
				if must { // not of a server on this machine
					s.dns.hosts["mx.remote.test"] = []netip.Addr{netip.MustParseAddr("192.0.2.5")}
					s.Dialer = diverted{at.String()}
					s.route(store.Route{Domain: "*", TLS: store.TLSMust})
				}
				s.run()
				id := s.put(letter, "bob@there.test", "eve@there.test")
				s.until(func() bool { q := s.queue(); return len(q) == 0 || q[0].Attempts > 0 && !q[0].Sending })
				checkWrong(t, s, id, wrong.Sent && !must)
			})
		}
	}
}

// diverted is a Dialer that connects to one address, whichever it is given.
type diverted struct{ to string }

func (d diverted) DialContext(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, d.to)
}

func checkWrong(t *testing.T, s *site, id store.MessageID, sent bool) {
	t.Helper()
	kinds := make(map[store.Kind]int)
	for _, e := range s.events(id) {
		kinds[e.Kind]++
	}
	left := len(s.queue())
	switch {
	case kinds[store.Bounced] != 0 || len(s.drop()) != 0:
		t.Errorf("it is returned: %+v", s.events(id))
	case kinds[store.Attempt] == 0:
		t.Error("nothing was tried")
	case sent && (kinds[store.Relayed] != 2 || left != 0):
		t.Errorf("it isn't sent: %+v", s.events(id))
	case !sent && (kinds[store.Relayed] != 0 || left != 2):
		t.Errorf("%d wait: %+v", left, s.events(id))
	}
}

// The same of servers that take their time, up to every limit there is.
func TestSlowWrongServers(t *testing.T) {
	known := smtptest.NewAuthority(t, "Known CA")
	for _, wrong := range smtptest.WrongThings(t, known) {
		if !wrong.Slow {
			continue
		}
		t.Run("one that "+wrong.Name, func(t *testing.T) {
			inBubble(t, network{"there.test": wrong.Server()}, nil, func(t *testing.T, m *memory, stop func()) {
				m.put("there.test")
				for range 100 {
					time.Sleep(time.Minute)
					if len(m.settled()) > 0 {
						break
					}
				}
				list := m.settled()
				want := store.Deferred
				if wrong.Sent {
					want = store.Sent
				}
				if len(list) == 0 || list[0].Result != want {
					t.Errorf("the outcomes are %+v", list)
				}
				stop()
				time.Sleep(time.Minute) // the server finds out that nobody listens
			})
		})
	}
}
