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

// BenchmarkAcceptSubmission takes messages of our own users for other servers,
// which are counted.
func BenchmarkAcceptSubmission(b *testing.B) {
	for _, sessions := range []int{1, 20, 100} {
		b.Run(fmt.Sprintf("4k/%d", sessions), func(b *testing.B) {
			benchmarkSessions(b, sessions, func(s *Store, account store.AccountID) {
				benchmarkOutbound(b, s, account, bytes.Repeat([]byte("x"), 4<<10))
			})
		})
	}
}

func benchmarkAccept(b *testing.B, size, sessions int) {
	text := bytes.Repeat([]byte("x"), size)
	benchmarkSessions(b, sessions, func(s *Store, account store.AccountID) { benchmarkOne(b, s, account, text) })
}

// benchmarkSessions has parallel sessions accept for or from 100 accounts.
func benchmarkSessions(b *testing.B, sessions int, accept func(*Store, store.AccountID)) {
	s, err := Open(b.Context(), Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	accounts := fill(b, s, 100)
	b.SetParallelism((sessions + 1) / 2)
	if sessions == 1 {
		for i := range b.N {
			accept(s, accounts[i%100])
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				accept(s, accounts[i%100])
			}
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

func benchmarkOutbound(b *testing.B, s *Store, account store.AccountID, text []byte) {
	id, sender := s.NewMessageID(), mail.Address{Local: "u", Domain: "example.org"}
	err := s.Accept(context.Background(), store.Acceptance{
		ID: id, At: s.now(), Body: bytes.NewReader(text), Size: int64(len(text)),
		Envelope: mail.Envelope{Sender: sender}, HeaderID: id.String() + "@example.org",
		Origin: store.FromAccount, Account: account,
		Accepted: store.Event{Client: "192.0.2.1", Helo: "client.ext.test", Protocol: "ESMTPSA", Account: "u@example.org"},
		Outbound: []store.Outbound{{Sender: sender, Recipient: mail.Recipient{Address: mail.Address{Local: "a", Domain: "ext.test"}}}},
	})
	if err != nil {
		b.Error(err)
	}
}

func benchmarkOne(b testing.TB, s *Store, account store.AccountID, text []byte) {
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
			INSERT INTO message (id, at, sender, header_id, eight_bit, utf8, ret, envid, account, size, place, first_chunk, chunks)
			SELECT m.id + i, at, sender, header_id, eight_bit, utf8, ret, envid, account, size, place, first_chunk, 0
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
