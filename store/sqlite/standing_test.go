package sqlite

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// fillQueue queues so many messages of an account, each for some recipients.
func fillQueue(t testing.TB, s *Store, account store.AccountID, messages, recipients int) {
	t.Helper()
	for m := range messages {
		a := localMessage(s, account, 10)
		a.Account, a.Local = account, nil
		for i := range recipients {
			to := mail.Address{Local: fmt.Sprint("r", i), Domain: fmt.Sprintf("d%d.test", m)}
			a.Outbound = append(a.Outbound, store.Outbound{Recipient: mail.Recipient{Address: to}})
		}
		if err := s.Accept(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
}

// claimAll claims what can be claimed of an account's messages.
func claimAll(t testing.TB, s *Store, account store.AccountID, messages int) (n int) {
	t.Helper()
	for m := range messages {
		lane := store.Lane{Domain: fmt.Sprintf("d%d.test", m), Account: account}
		claimed, err := s.ClaimLane(t.Context(), store.LaneClaim{Lane: lane, Now: time.Now().Add(time.Hour), Works: 1000, PerWork: 1000})
		if err != nil {
			t.Fatal(err)
		}
		n += len(claimed.Items)
	}
	return n
}

func countHeld(t testing.TB, s *Store) (n int) {
	t.Helper()
	if err := s.queryRow(`SELECT COUNT(*) FROM queue WHERE hold <> 0`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A crash may come when the account is disabled, and its queue isn't marked yet.
func TestStandingCountsBeforeTheQueueFollows(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	ids := fill(t, s, 1)
	fillQueue(t, s, ids[0], 3, 1500)
	half := claimAll(t, s, ids[0], 1)
	if half != 1500 {
		t.Fatalf("%d items claimed", half)
	}
	if err := s.changeStanding(t.Context(), ids[0], true, false); err != nil {
		t.Fatal(err)
	}
	if n := claimAll(t, s, ids[0], 3); n != 0 {
		t.Errorf("%d items of a disabled account are claimed", n)
	}
	if gone, err := s.Withdrawn(t.Context(), []store.QueueID{1, 2}); err != nil || len(gone) != 2 {
		t.Errorf("of two that were claimed %d are withdrawn, %v", len(gone), err)
	}
	if n := countHeld(t, s); n != 0 {
		t.Fatalf("%d items are marked, so this shows nothing", n)
	}
	if err = s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if n := claimAll(t, again, ids[0], 3); n != 0 {
		t.Errorf("after the start %d items of a disabled account are claimed", n)
	}
	eventually(t, "all items are marked as held", func() bool { return countHeld(t, again) == 4500 })
}

// Who changes his mind meanwhile has it as he wants it in the end.
func TestStandingIsChangedWhileTheQueueFollows(t *testing.T) {
	s, ids := openFilled(t, 1)
	fillQueue(t, s, ids[0], 3, changeAtOnce)
	f := following{account: ids[0]}
	step := func(steps int) {
		t.Helper()
		if err := s.write(t.Context(), 0, func(tx *tx) error { return f.step(tx, 1) }); err != nil {
			t.Fatal(err)
		}
		if n := countHeld(t, s); n != steps*changeAtOnce {
			t.Errorf("%d items are held, want %d steps of %d", n, steps, changeAtOnce)
		}
	}
	set := func(disabled bool) {
		if err := s.changeStanding(t.Context(), ids[0], disabled, false); err != nil {
			t.Fatal(err)
		}
	}
	set(true)
	step(1)
	step(2)
	set(false)
	step(1)
	set(true)
	step(2)
	step(2)
	step(3)
	step(3)
	if !f.done {
		t.Error("it goes on")
	}
	if err := s.SetStanding(t.Context(), ids[0], store.Enabled); err != nil || countHeld(t, s) != 0 {
		t.Errorf("%d items are held in the end, %v", countHeld(t, s), err)
	}
	if n := claimAll(t, s, ids[0], 3); n != 3*changeAtOnce {
		t.Errorf("%d items are claimed, want all", n)
	}
}

func TestStandingThatCannotFollowDoesLater(t *testing.T) {
	s, ids := openFilled(t, 1)
	fillQueue(t, s, ids[0], 1, 10)
	if err := s.changeStanding(t.Context(), ids[0], true, false); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.followStanding(ended, ids[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("it fails with %v", err)
	}
	if err := s.followStandings(t.Context()); err != nil || countHeld(t, s) != 10 {
		t.Errorf("%d items are held, %v", countHeld(t, s), err)
	}
	if err := s.followStandings(t.Context()); err != nil {
		t.Error(err)
	}
}

// BenchmarkStandingOfMany measures what accepting mail waits for while an account
// with a large queue is disabled.
func BenchmarkStandingOfMany(b *testing.B) {
	s, err := Open(b.Context(), Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.AddDomain(b.Context(), store.Domain{Name: "our.test"}); err != nil {
		b.Fatal(err)
	}
	account, err := s.AddAccount(b.Context(), store.Account{Address: mail.Address{Local: "alice", Domain: "our.test"}})
	if err != nil {
		b.Fatal(err)
	}
	fillQueue(b, s, account.ID, 100, 1000)
	b.ResetTimer()
	for range b.N {
		for _, standing := range []store.Standing{store.Disabled, store.Enabled} {
			done := make(chan error, 1)
			go func() { done <- s.SetStanding(b.Context(), account.ID, standing) }()
			var longest time.Duration
			for over := false; !over; {
				select {
				case err = <-done:
					over = true
				default:
				}
				start := time.Now()
				fillQueue(b, s, 0, 1, 1)
				longest = max(longest, time.Since(start))
			}
			b.ReportMetric(float64(longest.Milliseconds()), standingWord(standing)+"-ms")
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func standingWord(s store.Standing) string {
	if s == store.Enabled {
		return "enable"
	}
	return "disable"
}
