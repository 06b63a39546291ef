package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"postroom/store"
	"postroom/store/mail"
)

// fill makes a domain with n accounts and returns their ids.
func fill(tb testing.TB, s *Store, n int) []store.AccountID {
	tb.Helper()
	ids := make([]store.AccountID, n)
	err := s.write(tb.Context(), 0, func(tx *tx) error {
		if _, err := tx.exec(`INSERT INTO domain (id, name, created) VALUES (1, 'example.org', 1)`); err != nil {
			return err
		}
		for i := range ids {
			ids[i] = store.AccountID(i + 1)
			if _, err := tx.exec(`INSERT INTO account (id, domain, local, created) VALUES (?, 1, ?, 1)`, ids[i], fmt.Sprintf("u%d", i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return ids
}

// BenchmarkAccept takes messages for local accounts from parallel sessions, and
// counts how many share a commit.
func BenchmarkAccept(b *testing.B) {
	for _, size := range []int{4 << 10, 100 << 10} {
		for _, sessions := range []int{1, 20, 100} {
			b.Run(fmt.Sprintf("%dk/%d", size>>10, sessions), func(b *testing.B) { benchmarkAccept(b, size, sessions) })
		}
	}
}

func benchmarkAccept(b *testing.B, size, sessions int) {
	s, err := Open(b.Context(), Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	accounts := fill(b, s, 100)
	text := bytes.Repeat([]byte("x"), size)
	b.SetParallelism((sessions + 1) / 2)
	if sessions == 1 {
		for i := range b.N {
			benchmarkOne(b, s, accounts[i%100], text)
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				benchmarkOne(b, s, accounts[i%100], text)
			}
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

func benchmarkOne(b *testing.B, s *Store, account store.AccountID, text []byte) {
	id := s.NewMessageID()
	err := s.Accept(context.Background(), store.Acceptance{
		ID: id, At: s.now(), Body: bytes.NewReader(text), Size: int64(len(text)),
		Envelope: mail.Envelope{Sender: mail.Address{Local: "sender", Domain: "ext.test"}},
		HeaderID: id.String() + "@ext.test",
		Accepted: store.Event{Client: "192.0.2.1", Helo: "client.ext.test", Protocol: "ESMTP"},
		Local:    []store.LocalDelivery{{Account: account, Recipient: mail.Address{Local: fmt.Sprintf("u%d", account), Domain: "example.org"}}},
	})
	if err != nil {
		b.Error(err)
	}
}

// BenchmarkEntries takes the snapshot of a maildrop with 100,000 messages.
func BenchmarkEntries(b *testing.B) {
	s, err := Open(b.Context(), Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	account := fill(b, s, 1)[0]
	if err := s.loadUsage(b.Context()); err != nil {
		b.Fatal(err)
	}
	benchmarkOne(b, s, account, []byte("x"))
	err = s.write(b.Context(), 0, func(tx *tx) error {
		for _, query := range []string{
			`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
			INSERT INTO message SELECT m.id + i, at, sender, header_id, eight_bit, utf8, ret, envid, account, size, place, first_chunk, 0
			FROM n, message m`,
			`INSERT INTO entry SELECT 1, id, randomblob(12), 'u@example.org', size FROM message WHERE chunks = 0`,
		} {
			if _, err := tx.exec(query); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if entries, err := s.Entries(b.Context(), account); err != nil || len(entries) != 100_001 {
			b.Fatal(len(entries), err)
		}
	}
}
