package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
	"postroom/store/mail"
)

// network is a Dialer and a Resolver: each domain is a host with an address of
// its own, at which a server may be.
type network map[string]*smtptest.Server

// refusing takes no connections.
var refusing = &smtptest.Server{}

func (network) LookupMX(context.Context, string) ([]*net.MX, error) { return nil, nil }

func (n network) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if i := slices.Index(n.names(), host); i >= 0 {
		return []netip.Addr{netip.AddrFrom4([4]byte{192, 2, byte(i >> 8), byte(i)})}, nil
	}
	return nil, &net.DNSError{Err: "no such domain", Name: host, IsNotFound: true}
}

func (n network) names() []string { return slices.Sorted(maps.Keys(n)) }

// DialContext connects; to a nil server it takes forever.
func (n network) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	at := netip.MustParseAddrPort(address).Addr().As4()
	server := n[n.names()[int(at[2])<<8|int(at[3])]]
	switch server {
	case nil:
		<-ctx.Done()
		return nil, ctx.Err()
	case refusing:
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	go server.ServeConn(there)
	return here, nil
}

// inBubble runs a dispatcher over a fake queue in virtual time. The test stops
// it.
func inBubble(t *testing.T, servers network, change func(d *Dispatcher, m *memory), body func(t *testing.T, m *memory, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		d := &Dispatcher{
			Hostname: "mail.our.test", Queue: m, Directory: m, Resolver: servers, Dialer: servers,
			Schedule: Schedule{Waits: []time.Duration{time.Minute, 5 * time.Minute, time.Hour}},
		}
		if change != nil {
			change(d, m)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); d.Run(ctx) }()
		body(t, m, func() { cancel(); <-done })
		cancel()
		<-done
	})
}

func TestLoopKeepsTheSchedule(t *testing.T) {
	later := &smtptest.Server{Script: func(_ int, line string) *smtptest.Step {
		if strings.HasPrefix(line, "RCPT") {
			return smtptest.Say("451 4.7.1 later")
		}
		return nil
	}}
	inBubble(t, network{"there.test": later}, nil, func(t *testing.T, m *memory, _ func()) {
		time.Sleep(time.Hour) // virtual: the loop has long been asleep
		start := time.Now()
		m.put("there.test")
		synctest.Wait()
		if n := len(m.settled()); n != 1 || time.Since(start) != 0 {
			t.Fatalf("%d rounds after %v", n, time.Since(start))
		}
		for i, wait := range []time.Duration{time.Minute, 5 * time.Minute, time.Hour, time.Hour} {
			time.Sleep(wait - time.Millisecond)
			synctest.Wait()
			if n := len(m.settled()); n != i+1 {
				t.Errorf("%d rounds before the wait %v was over", n, wait)
			}
			last := m.settled()[i].Retry
			time.Sleep(time.Until(last) + time.Millisecond)
			synctest.Wait()
			if n := len(m.settled()); n != i+2 || last.Sub(start) > wait+wait/4 {
				t.Errorf("%d rounds after the wait %v, which was %v", n, wait, last.Sub(start))
			}
			start = time.Now()
		}
	})
}

func TestOutcomesThatCannotBeKept(t *testing.T) {
	server := &smtptest.Server{}
	inBubble(t, network{"there.test": server}, nil, func(t *testing.T, m *memory, _ func()) {
		m.setFailing(true)
		m.put("there.test")
		synctest.Wait()
		m.put("there.test", "there.test")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if server.Count() != 1 || len(m.settled()) != 0 {
			t.Errorf("%d messages sent, %d settled", server.Count(), len(m.settled()))
		}
		m.setFailing(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if server.Count() != 3 || len(m.settled()) != 3 {
			t.Errorf("in the end %d messages sent, %d settled", server.Count(), len(m.settled()))
		}
	})
}

func TestOneHangingDestinationHoldsUpNobody(t *testing.T) {
	server := &smtptest.Server{}
	inBubble(t, network{"a-hang.test": nil, "there.test": server}, nil, func(t *testing.T, m *memory, _ func()) {
		m.put(slices.Repeat([]string{"a-hang.test"}, 5000)...)
		time.Sleep(time.Second)
		m.put("there.test")
		time.Sleep(time.Second)
		synctest.Wait()
		if server.Count() != 1 {
			t.Error("the other message has to wait")
		}
	})
}

func TestConcurrencyIsBounded(t *testing.T) {
	servers, most := network{}, 0
	var mu sync.Mutex
	for i := range 20 {
		servers[fmt.Sprintf("d%02d.test", i)] = &smtptest.Server{}
	}
	counted := countingDialer{servers, &mu, &most, new(int), new(int)}
	inBubble(t, servers, func(d *Dispatcher, _ *memory) { d.Concurrency, d.Dialer = 3, counted }, func(t *testing.T, m *memory, _ func()) {
		for range 5 {
			m.put(servers.names()...)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(m.settled()) != 100 || most != 3 {
			t.Errorf("%d messages over %d connections at once", len(m.settled()), most)
		}
	})
}

// A countingDialer notes how many connections there are at once.
type countingDialer struct {
	network
	mu               *sync.Mutex
	most, now, dials *int
}

func (d countingDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.network.DialContext(ctx, network, address)
	d.mu.Lock()
	defer d.mu.Unlock()
	*d.dials++
	if err != nil {
		return nil, err
	}
	*d.now++
	*d.most = max(*d.most, *d.now)
	return &countedConn{Conn: conn, d: d}, err
}

type countedConn struct {
	net.Conn
	d    countingDialer
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() {
		c.d.mu.Lock()
		defer c.d.mu.Unlock()
		*c.d.now--
	})
	return c.Conn.Close()
}

func TestStopGivesBack(t *testing.T) {
	inBubble(t, network{"a-hang.test": nil}, nil, func(t *testing.T, m *memory, stop func()) {
		m.put(slices.Repeat([]string{"a-hang.test"}, 50)...)
		synctest.Wait()
		start := time.Now()
		stop()
		list := m.settled()
		for _, o := range list {
			if o.Result != store.Interrupted || len(o.Events) != 0 {
				t.Errorf("an outcome is %+v", o)
			}
		}
		if len(list) == 0 || time.Since(start) > 10*time.Second {
			t.Errorf("%d outcomes after %v", len(list), time.Since(start))
		}
		for _, item := range m.left() {
			if item.Sending {
				t.Errorf("item %d is still claimed", item.ID)
			}
		}
	})
}

func TestStopWhileNothingCanBeKept(t *testing.T) {
	inBubble(t, network{"there.test": {}}, nil, func(t *testing.T, m *memory, stop func()) {
		m.setFailing(true)
		m.put(slices.Repeat([]string{"there.test"}, 500)...)
		time.Sleep(time.Minute)
		start := time.Now()
		if stop(); time.Since(start) > 20*time.Second {
			t.Errorf("it took %v to stop", time.Since(start))
		}
	})
}

func TestNoFailureWithoutItsReport(t *testing.T) {
	change := func(_ *Dispatcher, m *memory) {
		m.sender, m.unsure = mail.Address{Local: "alice", Domain: "our.test"}, errors.New("disk gone")
	}
	inBubble(t, network{}, change, func(t *testing.T, m *memory, _ func()) {
		m.put("gone.test")
		synctest.Wait()
		list := m.settled()
		if len(list) != 1 || list[0].Result != store.Deferred || list[0].Delayed || list[0].Events[0].Kind != store.Postponed {
			t.Errorf("the outcome is %+v", list)
		}
	})
}

func TestTroubleOfOurOwnIsTemporary(t *testing.T) {
	for name, open := range map[string]func(store.MessageID) (*store.Body, error){
		"a panic":                        func(store.MessageID) (*store.Body, error) { panic("a bug") },
		"a message that can't be opened": func(store.MessageID) (*store.Body, error) { return nil, errors.New("disk gone") },
	} {
		t.Run(name, func(t *testing.T) {
			change := func(_ *Dispatcher, m *memory) { m.open = open }
			inBubble(t, network{"there.test": {}}, change, func(t *testing.T, m *memory, _ func()) {
				m.put("there.test")
				time.Sleep(time.Second)
				synctest.Wait()
				if list := m.settled(); len(list) != 1 || list[0].Result != store.Deferred {
					t.Errorf("the outcome is %+v", list)
				}
			})
		})
	}
}

// What is claimed for a destination shares a fate. That of one can't be told.
func TestReportThatPanics(t *testing.T) {
	change := func(_ *Dispatcher, m *memory) {
		m.sender = mail.Address{Local: "alice", Domain: "our.test"}
		m.known, m.open = true, func(store.MessageID) (*store.Body, error) { panic("a bug") }
	}
	inBubble(t, network{"there.test": refusing}, change, func(t *testing.T, m *memory, _ func()) {
		m.put(slices.Repeat([]string{"there.test"}, 10)...)
		time.Sleep(6 * 24 * time.Hour)
		synctest.Wait()
		left := m.left()
		for _, item := range left {
			if item.Sending {
				t.Errorf("item %d is claimed, and nobody works on it", item.ID)
			}
		}
		if len(left) != 10 {
			t.Errorf("%d of 10 wait until their senders can be told", len(left))
		}
	})
}

func TestScheduleNext(t *testing.T) {
	s := Schedule{Waits: []time.Duration{time.Minute, 5 * time.Minute, time.Hour}}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		name     string
		left     time.Duration // until it expires
		attempts int
		spread   float64
		want     time.Duration
	}{
		{"the first retry is quick", 100 * time.Hour, 1, 0, time.Minute},
		{"the waits follow the list", 100 * time.Hour, 2, 0, 5 * time.Minute},
		{"the last one repeats", 100 * time.Hour, 9, 0, time.Hour},
		{"the spread adds up to a quarter", 100 * time.Hour, 1, 1, 75 * time.Second},
		{"the last round is at the end", time.Second, 1, 0, time.Second},
		{"there is no end behind us", -time.Second, 1, 0, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := s.Next(now, now.Add(test.left), test.attempts, test.spread).Sub(now); got != test.want {
				t.Errorf("it waits %v, want %v", got, test.want)
			}
		})
	}
}
