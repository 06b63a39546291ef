package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// BenchmarkChangeLongQueue changes 100,000 recipients, and RemoveAccount a maildrop
// of 100,000 messages, while eight sessions go on taking mail: how long the change
// takes, and how long a session waits for its 250 meanwhile.
func BenchmarkChangeLongQueue(b *testing.B) {
	s, err := Open(b.Context(), Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	accounts := fill(b, s, 2)
	b.Run("nothing", func(b *testing.B) {
		meanwhile(b, s, accounts[1], func() error { time.Sleep(time.Second); return nil })
	})
	for _, change := range []struct {
		name string
		do   func(context.Context, store.QueueFilter) (int64, error)
	}{{"hold", s.HoldQueue}, {"release", s.ReleaseQueue}, {"retry", s.RetryQueue}, {"return", s.ReturnQueue}, {"cancel", s.CancelQueue}} {
		b.Run(change.name, func(b *testing.B) {
			lengthen(b, s)
			meanwhile(b, s, accounts[1], func() error {
				n, err := change.do(b.Context(), store.QueueFilter{Domain: "far.test"})
				if err == nil && n != 100_000 {
					err = fmt.Errorf("%d were changed", n)
				}
				return err
			})
		})
	}
	b.Run("remove account", func(b *testing.B) {
		if err := fillMaildrop(b, s, accounts[0]); err != nil {
			b.Fatal(err)
		}
		meanwhile(b, s, accounts[1], func() error { return s.RemoveAccount(b.Context(), accounts[0]) })
	})
}

// lengthen brings the queue to 100,000 recipients at far.test.
func lengthen(b *testing.B, s *Store) {
	b.Helper()
	n, err := s.CountQueue(b.Context(), store.QueueFilter{Domain: "far.test"})
	if err != nil {
		b.Fatal(err)
	}
	for i := n; i < 100_000; i += 100 {
		id := s.NewMessageID()
		a := store.Acceptance{ID: id, At: s.now(), Body: bytes.NewReader([]byte("x")), Size: 1, HeaderID: id.String()}
		for k := range 100 {
			a.Outbound = append(a.Outbound, store.Outbound{Recipient: mail.Recipient{Address: mail.Address{Local: fmt.Sprintf("a%d", k), Domain: "far.test"}}})
		}
		if err := s.Accept(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
}

// fillMaildrop puts 100,000 messages into a maildrop.
func fillMaildrop(b testing.TB, s *Store, account store.AccountID) error {
	b.Helper()
	benchmarkOne(b, s, account, []byte("x"))
	err := s.write(b.Context(), 0, func(tx *tx) error {
		for _, query := range []string{
			`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
			INSERT INTO message (id, at, sender, header_id, eight_bit, utf8, ret, envid, account, size, place, first_chunk, chunks)
			SELECT m.id + i, at, sender, header_id, eight_bit, utf8, ret, envid, account, size, place, first_chunk, 0
			FROM n, (SELECT * FROM message ORDER BY id DESC LIMIT 1) AS m`,
			`INSERT INTO entry SELECT 1, id, randomblob(12), 'u@example.org', size FROM message WHERE chunks = 0`,
			`UPDATE account SET (used_count, used_bytes) = (SELECT COUNT(*), SUM(size) FROM entry WHERE account = 1) WHERE id = 1`,
		} {
			if _, err := tx.exec(query); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.loadUsage(b.Context())
}

// meanwhile measures a change with eight sessions beside it.
func meanwhile(b *testing.B, s *Store, account store.AccountID, change func() error) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	var mu sync.Mutex
	var waits []time.Duration
	var sessions sync.WaitGroup
	for range 8 {
		sessions.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				benchmarkOne(b, s, account, []byte("a short message"))
				mu.Lock()
				waits = append(waits, time.Since(began))
				mu.Unlock()
			}
		})
	}
	began := time.Now()
	err := change()
	took := time.Since(began)
	stop()
	sessions.Wait()
	if err != nil {
		b.Fatal(err)
	}
	slices.Sort(waits)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took.Milliseconds()), "ms")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(waits[len(waits)-1].Microseconds())/1000, "worst-ms")
	b.ReportMetric(float64(len(waits)), "accepted")
}
