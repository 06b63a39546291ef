package delivery

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroom/delivery/smtpclient/smtptest"
)

// mute takes connections and never says a word.
func mute() *smtptest.Server {
	return &smtptest.Server{Script: func(_ int, line string) *smtptest.Step {
		if line == smtptest.Connected {
			return &smtptest.Step{}
		}
		return nil
	}}
}

// Destinations that hang take what connections the gates leave to them. Nobody
// whose server is known to be well waits for them.
func TestVeryManyThatHang(t *testing.T) {
	for name, sick := range map[string]func() *smtptest.Server{
		"in connecting":     func() *smtptest.Server { return nil },
		"before they greet": mute,
	} {
		t.Run(name, func(t *testing.T) {
			servers, hanging := many("h", 2000, sick)
			good, well := many("w", 100, func() *smtptest.Server { return slow(10 * time.Millisecond) })
			for domain, server := range good {
				servers[domain] = server
			}
			servers["w-new.test"] = slow(10 * time.Millisecond)
			inBubble(t, servers, nil, func(t *testing.T, m *memory, _ func()) {
				m.put(well...)
				m.sent(t, 100, 10*time.Second)
				m.put(hanging...)
				time.Sleep(time.Second)
				m.put(slices.Repeat(well, 10)...)
				if took := m.sent(t, 1100, 10*time.Second); took > 2*time.Second {
					t.Errorf("while they are tried first the others take %v", took)
				}
				m.putFrom(2, "w-new.test")
				if took := m.sent(t, 1101, 6*time.Minute); took > 2*time.Second {
					t.Errorf("somebody else's mail to where nobody was yet takes %v", took)
				}
				time.Sleep(3 * time.Hour) // all are known to be dead, and probed again and again
				m.put(slices.Repeat(well, 10)...)
				if took := m.sent(t, 2101, 10*time.Second); took > 2*time.Second {
					t.Errorf("while they are probed the others take %v", took)
				}
			})
		})
	}
}

// Servers that take little at a time get all that is for them, and soon.
func TestServersThatTakeLittle(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit time.Duration
		make  func() *smtptest.Server
	}{
		{"one message a connection, and says so", time.Minute, func() *smtptest.Server { return afterEach("421 4.3.2 enough") }},
		{"one message a connection, and hangs up", time.Minute, func() *smtptest.Server { return afterEach("") }},
		{"one connection at a time", time.Minute, oneAtATime},
	} {
		t.Run("such as "+test.name, func(t *testing.T) {
			servers := network{"there.test": test.make()}
			inBubble(t, servers, nil, func(t *testing.T, m *memory, _ func()) {
				m.put(slices.Repeat([]string{"there.test"}, 300)...)
				took := m.sent(t, 300, test.limit)
				synctest.Wait()
				t.Logf("300 messages took %v, and %d connections", took, servers["there.test"].Sessions())
				if n := servers["there.test"].Count(); n != 300 {
					t.Errorf("the server has %d messages", n)
				}
			})
		})
	}
}

// afterEach ends a connection at the second message.
func afterEach(say string) *smtptest.Server {
	var mu sync.Mutex
	served := make(map[int]bool)
	return &smtptest.Server{Discard: true, Script: func(session int, line string) *smtptest.Step {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case line == smtptest.EndOfData:
			served[session] = true
		case strings.HasPrefix(line, "MAIL") && served[session]:
			return &smtptest.Step{Say: say, Hangup: true}
		}
		return nil
	}}
}

// oneAtATime greets a second connection with 421 for as long as there is a first
// one: until that one quits.
func oneAtATime() *smtptest.Server {
	var mu sync.Mutex
	inside := 0
	return &smtptest.Server{Discard: true, Script: func(session int, line string) *smtptest.Step {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case line == smtptest.Connected && inside != 0:
			return &smtptest.Step{Say: fmt.Sprintf("421 4.3.2 connection %d is the one", inside), Hangup: true}
		case line == smtptest.Connected:
			inside = session
		case line == "QUIT":
			inside = 0
		}
		return nil
	}}
}
