package sqlite

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// submission is a message of an account to recipients elsewhere.
func submission(s *Store, account store.AccountID, recipients int) store.Acceptance {
	a := store.Acceptance{
		ID: s.NewMessageID(), At: s.now(), Account: account, Origin: store.FromAccount,
		Envelope: mail.Envelope{Sender: mail.Address{Local: "u", Domain: "example.org"}},
		Body:     strings.NewReader("x\r\n"), Size: 3,
	}
	for range recipients {
		a.Outbound = append(a.Outbound, store.Outbound{
			Sender: a.Envelope.Sender, Recipient: mail.Recipient{Address: mail.Address{Local: "r", Domain: "far.test"}},
		})
	}
	return a
}

// A batch that can't be committed counts nothing, in memory or on the disk, and
// what comes later is counted on top of what was there.
func TestFailedCommitCountsNothing(t *testing.T) {
	s, ids := openFilled(t, 2)
	if err := s.Accept(t.Context(), submission(s, ids[0], 3)); err != nil {
		t.Fatal(err)
	}
	var failure atomic.Pointer[error]
	err := s.write(t.Context(), 0, func(*tx) error {
		s.writer.beforeCommit = func() error {
			if err := failure.Load(); err != nil {
				return *err
			}
			return nil
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"a full disk": store.ErrDiskFull, "a broken disk": errors.New("broken")} {
		failure.Store(&err)
		if err := s.Accept(t.Context(), submission(s, ids[0], 5)); err == nil {
			t.Errorf("%s: it was accepted", what)
		}
		failure.Store(nil)
		eventually(t, "the store takes changes again", func() bool { return s.Ready() == nil })
		if err := s.Accept(t.Context(), submission(s, ids[1], 1)); err != nil {
			t.Fatal(err)
		}
	}
	server, err := s.Sending(t.Context(), store.Owner{Scope: store.ServerScope})
	if err != nil || server.Uses[0].Used != 3 || server.Uses[2].Used != 5 {
		t.Errorf("counted %+v, %v", server.Uses, err)
	}
	if n := number(t, s, `SELECT SUM(messages) * 100 + SUM(recipients) FROM sending`); n != 305 {
		t.Errorf("on the disk are %d messages and recipients, want 305", n)
	}
}

// One change of a batch that fails is not counted, the others are.
func TestFailedChangeCountsNothing(t *testing.T) {
	s, ids := openFilled(t, 2)
	first := submission(s, ids[0], 1)
	if err := s.Accept(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	again := submission(s, ids[0], 7)
	again.ID = first.ID
	done := make(chan error, 3)
	begun, held := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	go func() {
		done <- s.write(t.Context(), 0, func(*tx) error {
			close(begun)
			<-held
			return nil
		})
	}()
	<-begun
	for _, a := range []store.Acceptance{again, submission(s, ids[1], 2)} {
		go func() { done <- s.Accept(t.Context(), a) }()
	}
	eventually(t, "both wait", func() bool { return len(s.writer.waiting) == 2 })
	release()
	failed := 0
	for range 3 {
		if err := <-done; err != nil {
			failed++
		}
	}
	server, err := s.Sending(t.Context(), store.Owner{Scope: store.ServerScope})
	if failed != 1 || err != nil || server.Uses[0].Used != 2 || server.Uses[2].Used != 3 {
		t.Errorf("%d failed, counted %+v, %v", failed, server.Uses, err)
	}
	if n := number(t, s, `SELECT SUM(messages) * 100 + SUM(recipients) FROM sending`); n != 203 {
		t.Errorf("on the disk are %d messages and recipients, want 203", n)
	}
}

// What no limit looks back at is forgotten, in memory and on the disk, and so is
// what a wrong clock has counted in the future.
func TestForgetsWhatWasSent(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	id := fill(t, s, 1)[0]
	for _, after := range []time.Duration{0, time.Hour, 100 * 24 * time.Hour} {
		now = now.Add(after)
		if err := s.Accept(t.Context(), submission(s, id, 1)); err != nil {
			t.Fatal(err)
		}
	}
	now = time.Date(2026, 3, 5, 5, 37, 0, 0, time.UTC) // the first is older than a day, the last is to come
	if err := s.expire(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if n := number(t, s, `SELECT COUNT(*) FROM sending`); n != 1 {
		t.Errorf("%d rows are left, want 1", n)
	}
	if err := s.loadMeter(); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Sending(t.Context(), store.Owner{Scope: store.ServerScope}); err != nil || got.Uses[1].Used != 1 {
		t.Errorf("counted after a restart: %+v, %v", got.Uses, err)
	}
	now = now.Add(24 * time.Hour)
	if err := s.expire(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if n := number(t, s, `SELECT COUNT(*) FROM sending`); n != 0 || len(s.meter.sent) != 0 {
		t.Errorf("%d rows and %d windows are left", n, len(s.meter.sent))
	}
}

// A window counts what a list of everything would, whatever the clock does.
func TestWindow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var w window
		var all []cell
		now, latest := int64(30_000_000), int64(0)
		for range 300 {
			now += random.Int64N(30) * random.Int64N(2)
			if random.IntN(20) == 0 {
				now -= random.Int64N(20) // set back a little
			}
			latest = max(latest, now) // what was forgotten is not found again
			w.advance(now)
			n := amount{1, 1 + random.Int64N(9)}
			minute := w.add(now, n)
			if random.IntN(4) == 0 {
				w.takeBack(minute, n)
			} else {
				all = append(all, cell{minute, n})
			}
			checkWindow(t, &w, all, latest)
		}
	}
}

func checkWindow(t *testing.T, w *window, all []cell, now int64) {
	t.Helper()
	for per, span := range spans {
		var want amount
		for _, c := range all {
			if c.minute+span >= now {
				want.add(c.amount)
			}
		}
		if w.sums[per] != want {
			t.Fatalf("counts %v in %d minutes, want %v", w.sums[per], span, want)
		}
		most := want[recipients] / 2
		free := w.frees(recipients, per, most)
		if want[recipients] > 0 && sumAt(all, free, span) > most {
			t.Fatalf("frees at %d, when %d are counted, want at most %d", free, sumAt(all, free, span), most)
		}
		if want[recipients] > 0 && free > now && sumAt(all, free-1, span) <= most && free-1 > now {
			t.Fatalf("frees at %d, but a minute before only %d were counted, of at most %d", free, sumAt(all, free-1, span), most)
		}
	}
}

// sumAt returns how many recipients count at a minute.
func sumAt(all []cell, minute, span int64) (n int64) {
	for _, c := range all {
		if c.minute+span >= minute {
			n += c.amount[recipients]
		}
	}
	return n
}
