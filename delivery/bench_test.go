package delivery

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
)

// BenchmarkSend empties a queue of b.N messages of 4 KB into a server that takes
// everything: for one destination, for a thousand, and for one that postpones a
// tenth of them first.
func BenchmarkSend(b *testing.B) {
	for _, test := range []struct{ domains, failing int }{{1, 0}, {1000, 0}, {1, 10}} {
		b.Run(fmt.Sprintf("domains=%d/failing=%d", test.domains, test.failing), func(b *testing.B) {
			benchmarkSend(b, test.domains, test.failing)
		})
	}
}

// BenchmarkSendSigned is the first of them with mail that is signed.
func BenchmarkSendSigned(b *testing.B) {
	s := newSigningSite(b)
	s.send(b, &smtptest.Server{Discard: true}, 1, s.submit)
}

func benchmarkSend(b *testing.B, domains, failing int) {
	s, remote := newSite(b), &smtptest.Server{Discard: true}
	if failing > 0 {
		remote.Script = postponing(failing)
	}
	s.send(b, remote, domains, s.put)
}

// send measures how long the mail of b.N calls of put takes to leave.
func (s *site) send(b *testing.B, remote *smtptest.Server, domains int, put func(text string, to ...string) store.MessageID) {
	s.Log = slog.New(slog.DiscardHandler)
	s.PerDestination = 20
	s.Schedule.Waits = []time.Duration{time.Second}
	at := remote.Start(b, "127.0.0.5")
	for i := range domains {
		s.mx(fmt.Sprintf("d%d.test", i), at)
	}
	s.fill(b, domains, put)
	b.ResetTimer()
	start := time.Now()
	s.run()
	if err := remote.Wait(b.Context(), b.N); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "messages/s")
	b.ReportMetric(float64(remote.Sessions()), "connections")
	b.StopTimer()
	s.until(func() bool {
		c, err := s.store.Counts(b.Context())
		return err == nil && c.Queued == 0
	})
}

// fill puts b.N messages into the queue.
func (s *site) fill(b *testing.B, domains int, put func(text string, to ...string) store.MessageID) {
	text := letter + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 56)
	var filling sync.WaitGroup
	for k := range 20 {
		filling.Go(func() {
			for i := k; i < b.N; i += 20 {
				put(text, fmt.Sprintf("bob%d@d%d.test", i, i%domains))
			}
		})
	}
	filling.Wait()
}

// postponing has a server postpone so many percent of the recipients once.
func postponing(percent int) func(int, string) *smtptest.Step {
	var mu sync.Mutex
	seen := make(map[string]bool)
	return func(_ int, line string) *smtptest.Step {
		if !strings.HasPrefix(line, "RCPT") {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if seen[line] || len(seen)%100 >= percent {
			seen[line] = true
			return nil
		}
		seen[line] = true
		return smtptest.Say("451 4.7.1 later")
	}
}

// BenchmarkLatency measures how long after its acceptance a message is at the
// remote server, one at a time: on a connection that lingers, and on a new one.
func BenchmarkLatency(b *testing.B) {
	for name, domains := range map[string]int{"lingering": 1, "new": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			s, remote := newSite(b), &smtptest.Server{Discard: true}
			s.Log = slog.New(slog.DiscardHandler)
			at := remote.Start(b, "127.0.0.5")
			for i := range min(b.N, domains) {
				s.mx(fmt.Sprintf("d%d.test", i), at)
			}
			s.run()
			b.ResetTimer()
			for i := range b.N {
				s.put(letter, fmt.Sprintf("bob@d%d.test", i%domains))
				if err := remote.Wait(b.Context(), i+1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
