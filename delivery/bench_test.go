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
// everything: for one destination, and for a thousand.
func BenchmarkSend(b *testing.B) {
	for _, domains := range []int{1, 1000} {
		b.Run(fmt.Sprintf("domains=%d", domains), func(b *testing.B) {
			s, remote := newSite(b), &smtptest.Server{Discard: true}
			s.Log = slog.New(slog.DiscardHandler)
			s.PerDestination = 20
			at := remote.Start(b, "127.0.0.5")
			for i := range domains {
				s.mx(fmt.Sprintf("d%d.test", i), at)
			}
			text := letter + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 56)
			var filling sync.WaitGroup
			for k := range 20 {
				filling.Go(func() {
					for i := k; i < b.N; i += 20 {
						s.put(text, fmt.Sprintf("bob%d@d%d.test", i, i%domains))
					}
				})
			}
			filling.Wait()
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
				return err == nil && c == store.Counts{} || c.Queued == 0
			})
		})
	}
}
