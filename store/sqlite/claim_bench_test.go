package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postroom/store"
	"postroom/store/mail"
)

// Each message of the benchmarks has so many recipients, each at a domain of its
// own.
const benchRecipients = 20

// queueUp accepts messages from 100 senders' domains until n recipients wait, at
// so many domains.
func queueUp(b *testing.B, s *Store, n, domains int) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n/benchRecipients; i = int(next.Add(1)) - 1 {
				if err := s.Accept(context.Background(), queuedMessage(s, i, domains)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func queuedMessage(s *Store, i, domains int) store.Acceptance {
	const text = "Subject: x\r\n\r\nx\r\n"
	id := s.NewMessageID()
	sender := mail.Address{Local: "news", Domain: "ext.test"}
	a := store.Acceptance{
		ID: id, At: s.now(), HeaderID: id.String() + "@ext.test", Envelope: mail.Envelope{Sender: sender},
		Body: strings.NewReader(text), Size: int64(len(text)),
	}
	for r := range benchRecipients {
		domain := fmt.Sprintf("d%d.example", (i*benchRecipients+r)%domains)
		to := mail.Address{Local: fmt.Sprintf("u%d", i), Domain: domain}
		a.Outbound = append(a.Outbound, store.Outbound{Sender: sender, Recipient: mail.Recipient{Address: to}})
	}
	return a
}

// BenchmarkClaimLane claims and gives back a message of a lane, round robin over
// the lanes, beside a queue of some size, and measures what else must not grow with
// it. A million recipients take a while to come in: POSTROOM_BENCH_MILLION=1.
func BenchmarkClaimLane(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if n == 1_000_000 && os.Getenv("POSTROOM_BENCH_MILLION") == "" {
				b.Skip("needs POSTROOM_BENCH_MILLION=1")
			}
			benchmarkClaimLane(b, n)
		})
	}
}

func benchmarkClaimLane(b *testing.B, n int) {
	m := make(metrics)
	s := benchQueue(b, m, n)
	defer s.Close()
	var lanes []store.LaneDue
	m.measure(b, "lanes", func() (err error) { lanes, err = s.Lanes(b.Context()); return err })
	m.measure(b, "list", func() error {
		items, err := s.Queue(b.Context(), store.QueueFilter{Domain: lanes[0].Domain})
		if len(items) == 0 {
			b.Error("nothing is listed")
		}
		return err
	})
	m.measure(b, "page", func() error {
		_, err := s.Queue(b.Context(), store.QueueFilter{After: store.QueueID(n / 2), Limit: 100})
		return err
	})
	m.measure(b, "counts", func() error { _, err := s.Counts(b.Context()); return err })
	m.measure(b, "domains", func() error { _, err := s.QueuedByDomain(b.Context()); return err })
	m.measure(b, "by-lane", func() error { _, err := s.QueuedByLane(b.Context()); return err })
	m.measure(b, "pause", func() error { return s.PauseDomain(b.Context(), lanes[0].Domain) })
	m.measure(b, "resume", func() error { return s.ResumeDomain(b.Context(), lanes[0].Domain) })
	m["MB-resident"] = resident(b)
	claim := store.LaneClaim{Now: s.now(), Works: 4, PerWork: 100}
	var held []store.Outcome
	i := 0
	for b.Loop() {
		claim.Lane = lanes[i%len(lanes)].Lane
		i++
		got, err := s.ClaimLane(b.Context(), claim)
		if err != nil {
			b.Fatal(err)
		}
		for _, item := range got.Items {
			held = append(held, store.Outcome{Item: item.ID})
		}
		if len(held) >= min(2000, n/2) { // as many as are claimed at a time
			s.claims.end(held)
			held = held[:0]
		}
	}
	s.claims.end(held)
	measureRetry(b, m, s)
	for unit, value := range m {
		b.ReportMetric(value, unit)
	}
}

// measureRetry changes all of the queue, and says how long mail waited to be
// accepted meanwhile at the most.
func measureRetry(b *testing.B, m metrics, s *Store) {
	stop, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		var most time.Duration
		for i := 0; ; i++ {
			select {
			case <-stop:
				longest <- most
				return
			default:
			}
			began := time.Now()
			if err := s.Accept(b.Context(), queuedMessage(s, i, benchRecipients)); err != nil {
				b.Error(err)
			}
			most = max(most, time.Since(began))
		}
	}()
	m.measure(b, "retry-all", func() error { _, err := s.RetryQueue(b.Context(), store.QueueFilter{}); return err })
	close(stop)
	m["ms-accept-meanwhile"] = float64((<-longest).Microseconds()) / 1000
}

// metrics are what is measured beside the loop, which would forget it.
type metrics map[string]float64

// benchQueue returns a store that has just been opened, with n recipients waiting.
// With POSTROOM_BENCH_DIR set they are kept there for the next time.
func benchQueue(b *testing.B, m metrics, n int) *Store {
	b.Helper()
	dir := b.TempDir()
	if keep := os.Getenv("POSTROOM_BENCH_DIR"); keep != "" {
		dir = filepath.Join(keep, fmt.Sprint(n))
	}
	if _, err := os.Stat(filepath.Join(dir, FileName)); err != nil {
		fillBenchQueue(b, m, dir, n)
	}
	began := time.Now()
	s, err := Open(b.Context(), Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	m["ms-open"] = float64(time.Since(began).Microseconds()) / 1000
	return s
}

func fillBenchQueue(b *testing.B, m metrics, dir string, n int) {
	b.Helper()
	s, err := Open(b.Context(), Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	queueUp(b, s, n, max(benchRecipients, n/50))
	m["accepted/s"] = float64(n) / time.Since(began).Seconds()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// measure reports how long something takes once.
func (m metrics) measure(b *testing.B, what string, do func() error) {
	b.Helper()
	began := time.Now()
	if err := do(); err != nil {
		b.Fatal(what, err)
	}
	m["ms-"+what] = float64(time.Since(began).Microseconds()) / 1000
}

// resident returns how much memory the process has used at the most, in MB.
func resident(b *testing.B) float64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return float64(usage.Maxrss) / 1024
}

// BenchmarkAcceptOutbound takes messages for remote recipients from parallel
// sessions.
func BenchmarkAcceptOutbound(b *testing.B) {
	for _, recipients := range []int{1, 20} {
		b.Run(fmt.Sprint(recipients), func(b *testing.B) {
			s, err := Open(b.Context(), Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var i atomic.Int64
			b.SetParallelism(10)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					a := queuedMessage(s, int(i.Add(1)), 1000)
					a.Outbound = a.Outbound[:recipients]
					if err := s.Accept(context.Background(), a); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}
