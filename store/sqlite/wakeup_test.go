package sqlite

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"postroom/store"
)

// A follower empties a queue the way a dispatcher does: of the queue it knows only
// what Changes and its own claims tell.
type follower struct {
	s       *Store
	agenda  map[store.Lane]time.Time
	random  *rand.Rand
	settled sync.WaitGroup
}

// follow goes through one round, and reports whether it found anything to do.
func (f *follower) follow(t *testing.T) (busy bool) {
	for _, l := range f.s.Changes().Lanes {
		if due, ok := f.agenda[l.Lane]; !ok || l.Due.Before(due) {
			f.agenda[l.Lane] = l.Due
		}
	}
	for lane := range f.agenda {
		busy = true
		c, err := f.s.ClaimLane(context.Background(), store.LaneClaim{Lane: lane, Now: f.s.now().Add(time.Hour), Works: 2, PerWork: 2})
		if err != nil {
			t.Error(err)
		}
		if delete(f.agenda, lane); !c.Next.IsZero() {
			f.agenda[lane] = c.Next
		}
		var settlement store.Settlement
		for _, i := range c.Items {
			results := []store.Result{store.Sent, store.Interrupted, store.Deferred, store.Sent}
			settlement.Outcomes = append(settlement.Outcomes, store.Outcome{
				Item: i.ID, Message: i.Message, Result: results[f.random.IntN(4)], Retry: f.s.now(),
			})
		}
		f.settled.Go(func() { // meanwhile other claims move the lane's cursor
			if err := f.s.Settle(context.Background(), settlement); err != nil {
				t.Error(err)
			}
		})
	}
	return busy
}

// Whatever comes, is given back, held and released while others claim, nothing
// waits unknown to those who follow Changes.
func TestNoWakeUpIsLost(t *testing.T) {
	s, _ := openFilled(t, 1)
	var admin sync.WaitGroup
	for worker := range 4 {
		admin.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 11))
			for range 100 {
				a := localMessage(s, 1, 10)
				a.Local = nil
				for range 5 {
					a.Outbound = append(a.Outbound, randomRecipient(random))
				}
				if err := s.Accept(context.Background(), a); err != nil {
					t.Error(err)
				}
				if random.IntN(4) == 0 {
					holdAndRelease(t, s, a.ID)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { admin.Wait(); close(done) }()
	f := &follower{s: s, agenda: make(map[store.Lane]time.Time), random: rand.New(rand.NewPCG(3, 3))}
	for over := false; !over; {
		select {
		case <-s.QueueChanged():
			f.follow(t)
		case <-done:
			f.settled.Wait()
			over = !f.follow(t)
		}
	}
	if left, err := s.Lanes(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("%+v wait, and nobody knows (%v)", left, err)
	}
	if n := number(t, s, `SELECT COUNT(*) FROM queue`); n != 0 {
		t.Errorf("%d items are left", n)
	}
}

func holdAndRelease(t *testing.T, s *Store, id store.MessageID) {
	f := store.QueueFilter{Message: id}
	for _, change := range []func(context.Context, store.QueueFilter) (int64, error){s.HoldQueue, s.ReleaseQueue, s.RetryQueue} {
		if _, err := change(context.Background(), f); err != nil {
			t.Error(err)
		}
	}
}
