package delivery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
)

// slow returns a server that takes a while for each message.
func slow(pause time.Duration) *smtptest.Server {
	return &smtptest.Server{Discard: true, Script: func(_ int, line string) *smtptest.Step {
		if line == smtptest.EndOfData {
			time.Sleep(pause)
		}
		return nil
	}}
}

// many returns n servers of one kind, and their domains.
func many(prefix string, n int, server func() *smtptest.Server) (network, []string) {
	servers := network{}
	for i := range n {
		servers[fmt.Sprintf("%s%03d.test", prefix, i)] = server()
	}
	return servers, servers.names()
}

// sent waits for up to limit until so many messages have been settled as sent.
func (m *memory) sent(t *testing.T, n int, limit time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	for time.Since(start) <= limit {
		synctest.Wait()
		if m.count(store.Sent) >= n {
			return time.Since(start)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("after %v %d messages are sent, want %d", limit, m.count(store.Sent), n)
	return limit
}

func (m *memory) count(result store.Result) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.outcomes {
		if o.Result == result {
			n++
		}
	}
	return n
}

// sentTo waits until a server has n messages.
func sentTo(t *testing.T, s *smtptest.Server, n int, limit time.Duration) {
	t.Helper()
	start := time.Now()
	for s.Count() < n {
		if time.Since(start) > limit {
			t.Errorf("after %v the server has %d messages, want %d", limit, s.Count(), n)
			return
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
}

func TestNewsletterDelaysNobody(t *testing.T) {
	servers, domains := many("d", 200, func() *smtptest.Server { return slow(100 * time.Millisecond) })
	servers["big.test"], servers["other.test"] = slow(100*time.Millisecond), slow(100*time.Millisecond)
	for name, letters := range map[string][]string{
		"to one destination":   slices.Repeat([]string{"big.test"}, 50_000),
		"to many destinations": slices.Repeat(domains, 250),
	} {
		t.Run(name, func(t *testing.T) {
			few := func(d *Dispatcher, _ *memory) { d.Concurrency = 20 }
			inBubble(t, servers, few, func(t *testing.T, m *memory, _ func()) {
				m.putFrom(1, letters...)
				time.Sleep(10 * time.Second)
				other := servers["other.test"].Count()
				m.putFrom(2, "other.test")
				sentTo(t, servers["other.test"], other+1, guestTurn+500*time.Millisecond) // a turn may just have begun everywhere
				m.mu.Lock()
				mark := len(m.items)
				m.mu.Unlock()
				m.putFrom(2, letters[0])
				start := time.Now()
				for m.item(mark) != nil && time.Since(start) < 10*time.Second {
					time.Sleep(10 * time.Millisecond)
				}
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("a single mail to where the newsletter goes took %v", took)
				}
				if m.count(store.Sent) > 40_000 {
					t.Error("the newsletter is over, so this shows nothing")
				}
			})
		})
	}
}

// A newsletter that begins goes to destinations of which nobody knows yet whether
// they answer, and so may not take all connections.
func TestNewsletterToStrangersDelaysNobody(t *testing.T) {
	server := slow(100 * time.Millisecond)
	_, domains := many("d", 2000, func() *smtptest.Server { return nil })
	servers := network{"other.test": slow(100 * time.Millisecond)}
	for _, domain := range domains {
		servers[domain] = server
	}
	few := func(d *Dispatcher, _ *memory) { d.Concurrency = 20 }
	inBubble(t, servers, few, func(t *testing.T, m *memory, _ func()) {
		m.putFrom(1, domains...)
		time.Sleep(1050 * time.Millisecond)
		m.putFrom(2, "other.test")
		sentTo(t, servers["other.test"], 1, 2*time.Second)
		if m.count(store.Sent) > 1000 {
			t.Error("too much of the newsletter is sent, so this shows nothing")
		}
	})
}

// item returns an item by its index, nil if it is gone.
func (m *memory) item(i int) *store.QueueItem {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.items[i]
}

func TestFreshMailGoesBeforeABacklog(t *testing.T) {
	server, refusals := slow(100*time.Millisecond), 0
	later := server.Script
	server.Script = func(session int, line string) *smtptest.Step {
		if strings.HasPrefix(line, "RCPT") && refusals < 1000 {
			refusals++
			return smtptest.Say("451 4.7.1 later")
		}
		return later(session, line)
	}
	one := func(d *Dispatcher, _ *memory) { d.PerDestination = 1 }
	inBubble(t, network{"there.test": server}, one, func(t *testing.T, m *memory, _ func()) {
		m.put(slices.Repeat([]string{"there.test"}, 1000)...)
		time.Sleep(2 * time.Minute) // all of it is due again
		before := server.Count()
		m.put(slices.Repeat([]string{"there.test"}, 20)...)
		time.Sleep(4 * time.Second)
		fresh := 20
		for i := range 20 {
			if m.item(1000+i) != nil {
				fresh--
			}
		}
		if all := server.Count() - before; fresh < 20 || all < fresh+4 {
			t.Errorf("of %d messages %d are fresh", all, fresh)
		}
	})
}

func TestDeadDestination(t *testing.T) {
	notice := func(d *Dispatcher, m *memory) {
		d.Schedule.DelayNotice = 4 * time.Hour
		m.sender.Local, m.sender.Domain = "alice", "our.test"
	}
	servers := network{"dead.test": refusing}
	inBubble(t, servers, notice, func(t *testing.T, m *memory, _ func()) {
		m.put(slices.Repeat([]string{"dead.test"}, 5000)...)
		time.Sleep(time.Hour)
		tried := len(m.settled())
		if tried == 0 || tried > 20 {
			t.Errorf("%d outcomes in the first hour, want one for each probe and the first batch", tried)
		}
		h := m.healthOf("dead.test")
		if h.Failures < 3 || h.Failures > 6 || h.NextTry.Before(time.Now()) || !strings.Contains(h.Reply, "connection refused") {
			t.Errorf("its health is %+v", h)
		}
		time.Sleep(3*time.Hour + 15*time.Minute)
		synctest.Wait()
		told := 0
		for _, item := range m.left() {
			if item.Delayed {
				told++
			}
		}
		if told != 5000 {
			t.Errorf("of 5000 senders %d were told in time that their mail is late", told)
		}
		time.Sleep(5*24*time.Hour - 4*time.Hour)
		synctest.Wait()
		if n := m.count(store.Failed); n != 5000 {
			t.Errorf("%d of 5000 messages were returned in time", n)
		}
	})
}

func TestDestinationThatComesBack(t *testing.T) {
	servers := network{"there.test": refusing}
	inBubble(t, servers, nil, func(t *testing.T, m *memory, _ func()) {
		m.put(slices.Repeat([]string{"there.test"}, 1000)...)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		back := slow(time.Millisecond)
		servers["there.test"] = back
		m.put("there.test")
		time.Sleep(time.Minute)
		if back.Count() != 0 {
			t.Error("fresh mail does not wait with the rest")
		}
		m.sent(t, 1001, 90*time.Minute)
		if h := m.healthOf("there.test"); h.Failures != 0 || h.LastSuccess.IsZero() || !h.NextTry.IsZero() {
			t.Errorf("its health is %+v", h)
		}
	})
}

func TestRetryOverridesWhatIsKnown(t *testing.T) {
	servers := network{"there.test": refusing}
	inBubble(t, servers, nil, func(t *testing.T, m *memory, _ func()) {
		m.put(slices.Repeat([]string{"there.test"}, 100)...)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		servers["there.test"] = slow(time.Millisecond)
		m.hasten("there.test")
		if took := m.sent(t, 100, 10*time.Second); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestRetryOfManyIsNoStorm(t *testing.T) {
	var mu sync.Mutex
	most, now, dials := 0, 0, 0
	servers := network{"there.test": refusing}
	counted := func(d *Dispatcher, _ *memory) { d.Dialer = countingDialer{servers, &mu, &most, &now, &dials} }
	inBubble(t, servers, counted, func(t *testing.T, m *memory, _ func()) {
		m.put(slices.Repeat([]string{"there.test"}, 1000)...)
		time.Sleep(10 * time.Second)
		m.hasten("there.test")
		time.Sleep(30 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if dials < 2 || dials > 3 {
			t.Errorf("%d connections were tried, want the first and one for the admin", dials)
		}
	})
}

func TestNoStormAfterARestart(t *testing.T) {
	servers := network{"there.test": slow(time.Millisecond)}
	dials, now, most := 0, 0, 0
	var mu sync.Mutex
	for i := range 500 {
		servers[fmt.Sprintf("dead%03d.test", i)] = refusing
	}
	change := func(d *Dispatcher, m *memory) {
		d.Concurrency, d.Dialer = 40, countingDialer{servers, &mu, &most, &now, &dials}
		for name := range servers {
			if name == "there.test" {
				continue
			}
			m.health[name] = store.Health{Destination: name, Failures: 5, NextTry: time.Now().Add(time.Hour), Reply: "down"}
			m.put(name, name, name)
		}
		m.put("there.test")
	}
	inBubble(t, servers, change, func(t *testing.T, m *memory, _ func()) {
		m.sent(t, 1, time.Second)
		time.Sleep(30 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if dials != 1 {
			t.Errorf("%d connections were made within half an hour", dials)
		}
	})
}

// What was withdrawn while it was claimed, and is due again, is sent again.
func TestWhatWasInterruptedComesBack(t *testing.T) {
	servers := network{"there.test": slow(10 * time.Second)}
	one := func(d *Dispatcher, _ *memory) { d.PerDestination = 1 }
	inBubble(t, servers, one, func(t *testing.T, m *memory, _ func()) {
		m.put("there.test", "there.test", "there.test")
		time.Sleep(time.Second)
		m.setWithdrawn(2, true)
		time.Sleep(10 * time.Second)
		m.setWithdrawn(2, false)
		m.sent(t, 3, time.Minute)
		if n := m.count(store.Interrupted); n == 0 {
			t.Error("nothing was interrupted, so this shows nothing")
		}
	})
}

func TestWhatHangsLeavesConnectionsToOthers(t *testing.T) {
	servers := network{"there.test": slow(time.Second)}
	for i := range 200 {
		servers[fmt.Sprintf("hang%03d.test", i)] = nil
	}
	for name, failures := range map[string]int{"if it is known to": 5, "if nothing is known of it": 0} {
		t.Run(name, func(t *testing.T) {
			change := func(d *Dispatcher, m *memory) {
				d.Concurrency, d.PerDestination = 40, 30
				for key := range servers {
					if failures > 0 && key != "there.test" {
						m.health[key] = store.Health{Destination: key, Failures: failures, Reply: "down"}
					}
				}
				m.put("there.test")
			}
			inBubble(t, servers, change, func(t *testing.T, m *memory, _ func()) {
				m.sent(t, 1, 5*time.Second)
				m.put(servers.names()[:200]...)
				time.Sleep(time.Second)
				m.put(slices.Repeat([]string{"there.test"}, 50)...)
				m.sent(t, 51, 20*time.Second)
			})
		})
	}
}

func TestWindowOfADestination(t *testing.T) {
	now := noon
	p := newPace(20)
	for want := 2; want <= 20; want++ {
		if !p.wellDone() || p.allowed() != want {
			t.Fatalf("%d are allowed, want %d", p.allowed(), want)
		}
	}
	if p.wellDone() || p.allowed() != 20 {
		t.Errorf("%d are allowed, which is over the bound", p.allowed())
	}
	p.inTrouble(now)
	p.inTrouble(now) // of the same moment
	if p.allowed() != 10 {
		t.Errorf("after trouble %d are allowed, want 10", p.allowed())
	}
	for range 10 {
		p.wellDone()
	}
	if p.allowed() != 10 {
		t.Errorf("after a round %d are allowed: it grows too fast", p.allowed())
	}
	for range 3 {
		p.wellDone()
	}
	if p.allowed() != 11 {
		t.Errorf("after some more %d are allowed, want 11", p.allowed())
	}
	for i := range 10 {
		p.inTrouble(now.Add(time.Duration(i+1) * time.Minute))
	}
	if p.allowed() != 1 {
		t.Errorf("after much trouble %d are allowed, want 1", p.allowed())
	}
	p = newPace(20)
	p.window = 20
	p.enough(3)
	if p.allowed() != 3 {
		t.Errorf("%d are allowed, the server wants 3", p.allowed())
	}
	for range 60 {
		p.wellDone()
	}
	if p.allowed() != 4 {
		t.Errorf("%d are allowed after a while, want 4", p.allowed())
	}
}

func TestBoundsHold(t *testing.T) {
	servers, domains := many("d", 30, func() *smtptest.Server { return slow(50 * time.Millisecond) })
	var mu sync.Mutex
	most, now, dials := 0, 0, 0
	change := func(d *Dispatcher, _ *memory) {
		d.Concurrency, d.PerDestination, d.Dialer = 17, 4, countingDialer{servers, &mu, &most, &now, &dials}
	}
	inBubble(t, servers, change, func(t *testing.T, m *memory, _ func()) {
		m.put(slices.Repeat(domains[:2], 100)...)
		time.Sleep(time.Second)
		mu.Lock()
		if now != 8 {
			t.Errorf("%d connections to two destinations, want 4 to each", now)
		}
		mu.Unlock()
		m.put(slices.Repeat(domains, 20)...)
		m.sent(t, 800, time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if most != 17 {
			t.Errorf("%d connections at once, want 17", most)
		}
	})
}

func TestPause(t *testing.T) {
	servers := network{"there.test": slow(time.Second), "other.test": slow(time.Millisecond)}
	inBubble(t, servers, nil, func(t *testing.T, m *memory, _ func()) {
		m.put(slices.Repeat([]string{"there.test"}, 100)...)
		time.Sleep(1500 * time.Millisecond)
		m.setWays(store.Ways{Paused: []store.Pause{{Domain: "there.test"}}})
		time.Sleep(2 * time.Second) // what was under way is done
		before := servers["there.test"].Count()
		m.put("there.test", "other.test")
		m.hasten("there.test")
		time.Sleep(time.Hour)
		if n := servers["there.test"].Count(); n != before || n > 10 || servers["other.test"].Count() != 1 {
			t.Errorf("%d messages, and then %d while it is paused", before, n)
		}
		for _, item := range m.left() {
			if item.Sending || item.Attempts > 0 {
				t.Errorf("meanwhile an item is %+v", item)
			}
		}
		m.setWays(store.Ways{})
		m.sent(t, 102, time.Minute)
	})
}

func TestSickDestinationsAmongMany(t *testing.T) {
	servers, domains := many("d", 1000, func() *smtptest.Server { return slow(10 * time.Millisecond) })
	for i := range 10 {
		servers[domains[i]], servers[domains[10+i]] = nil, refusing
		grey := servers[domains[20+i]]
		later, first := grey.Script, new(sync.Once)
		var until atomic.Pointer[time.Time]
		grey.Script = func(session int, line string) *smtptest.Step {
			if strings.HasPrefix(line, "RCPT") {
				first.Do(func() {
					end := time.Now().Add(50 * time.Second)
					until.Store(&end)
				})
				if time.Now().Before(*until.Load()) {
					return smtptest.Say("451 4.7.1 greylisted")
				}
			}
			return later(session, line)
		}
	}
	inBubble(t, servers, nil, func(t *testing.T, m *memory, _ func()) {
		m.put(slices.Repeat(domains, 10)...)
		if took := m.sent(t, 9700, time.Minute); took > 10*time.Second {
			t.Errorf("it took %v to send to those that are well", took)
		}
		m.sent(t, 9800, 10*time.Minute)
	})
}

// TestNoWakeUpIsLost lets mail come at random moments, some of it at the very
// moment at which connections end, and servers fail at random. All of it arrives,
// and soon after nothing is in its way any more.
func TestNoWakeUpIsLost(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 2))
		var healthy atomic.Bool
		servers, domains := many("d", 8, func() *smtptest.Server {
			return &smtptest.Server{Discard: true, Script: func(_ int, line string) *smtptest.Step {
				if !healthy.Load() && rand.IntN(20) == 0 {
					return &smtptest.Step{Say: "421 4.3.0 not now", Hangup: true}
				}
				if line == smtptest.EndOfData {
					time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
				}
				return nil
			}}
		})
		few := func(d *Dispatcher, _ *memory) { d.Concurrency, d.PerDestination = 5, 2 }
		inBubble(t, servers, few, func(t *testing.T, m *memory, _ func()) {
			put := 0
			for range 300 {
				for range random.IntN(4) {
					m.putFrom(store.AccountID(random.IntN(3)), domains[random.IntN(len(domains))])
					put++
				}
				switch random.IntN(4) {
				case 0:
					time.Sleep(linger) // others have just given up waiting
				case 1:
					time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
				}
			}
			healthy.Store(true)
			m.sent(t, put, 4*time.Hour)
			m.put(domains...)
			m.sent(t, put+len(domains), 10*time.Second)
		})
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}
