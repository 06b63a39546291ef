package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestNetwork(t *testing.T) {
	for _, test := range []struct{ it, client, want string }{
		{"takes a /24", "192.0.2.77", "192.0.2.0/24"},
		{"takes a /24 that came over IPv6", "::ffff:192.0.2.77", "192.0.2.0/24"},
		{"takes a /64", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"drops a zone", "fe80::1%eth0", "fe80::/64"},
	} {
		t.Run(test.it, func(t *testing.T) {
			if got := network(netip.MustParseAddr(test.client)).String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	if got := network(netip.Addr{}); got.IsValid() {
		t.Errorf("no address gives %v", got)
	}
}

func testNetwork(n int) netip.Prefix {
	return network(netip.AddrFrom4([4]byte{10, 0, byte(n), 1}))
}

// Nine guessers of one network wait before two users of two others come.
func TestSlotsAreSharedByNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		if err := s.acquire(t.Context(), testNetwork(0)); err != nil {
			t.Fatal(err)
		}
		var order []string
		wait := func(name string, n int) {
			go func() {
				if err := s.acquire(t.Context(), testNetwork(n)); err != nil {
					t.Error(err)
					return
				}
				order = append(order, name)
				s.release()
			}()
			synctest.Wait()
		}
		for range 9 {
			wait("guesser", 1)
		}
		wait("alice", 2)
		wait("bob", 3)
		s.release()
		synctest.Wait()
		if len(order) != 11 || !slices.Equal(order[:4], []string{"guesser", "alice", "bob", "guesser"}) {
			t.Errorf("served were %v", order)
		}
		if s.free != 1 || s.total != 0 || len(s.waiting) != 0 || len(s.turns) != 0 {
			t.Errorf("left are %d free, %d waiting, %v", s.free, s.total, s.turns)
		}
	})
}

func TestSlotsBoundWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		if err := s.acquire(t.Context(), testNetwork(0)); err != nil {
			t.Fatal(err)
		}
		failures := make(chan error, 2*maxWaiting)
		ctx, cancel := context.WithCancel(t.Context())
		for n := range maxWaiting / maxWaitingNetwork {
			for range maxWaitingNetwork {
				go func() { failures <- s.acquire(ctx, testNetwork(n)) }()
			}
			synctest.Wait()
			if err := s.acquire(ctx, testNetwork(n)); !errors.Is(err, ErrBusy) {
				t.Errorf("one more of network %d: %v, want it busy", n, err)
			}
		}
		go func() { failures <- s.acquire(ctx, testNetwork(200)) }()
		synctest.Wait()
		if err := <-failures; !errors.Is(err, ErrBusy) {
			t.Errorf("the last of a long queue: %v, want it displaced by another network", err)
		}
		if len(s.waiting[testNetwork(200)]) != 1 || s.total != maxWaiting {
			t.Errorf("%d wait, %d of the other network", s.total, len(s.waiting[testNetwork(200)]))
		}
		cancel()
		synctest.Wait()
		for range maxWaiting {
			if err := <-failures; !errors.Is(err, context.Canceled) {
				t.Errorf("a waiter whose client left: %v", err)
			}
		}
		if s.total != 0 || len(s.waiting) != 0 || len(s.turns) != 0 {
			t.Errorf("left are %d waiting, %v", s.total, s.turns)
		}
	})
}

func TestSlotsWaitNotForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		if err := s.acquire(t.Context(), testNetwork(0)); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := s.acquire(t.Context(), testNetwork(1)); !errors.Is(err, ErrBusy) || time.Since(begun) != maxWait {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		s.release()
		if err := s.acquire(t.Context(), testNetwork(1)); err != nil {
			t.Errorf("after that: %v", err)
		}
	})
}

// No more than the slots are ever held, whoever comes and leaves.
func TestSlotsUnderLoad(t *testing.T) {
	s := newSlots(3)
	held := make(chan struct{}, 3)
	done := make(chan error)
	const workers = 40
	for n := range workers {
		go func() {
			for i := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+n)%3 == 0 {
					cancel()
				}
				err := s.acquire(ctx, testNetwork(n%5))
				cancel()
				if err != nil {
					continue
				}
				select {
				case held <- struct{}{}:
				default:
					done <- fmt.Errorf("worker %d has a fourth slot", n)
					return
				}
				<-held
				s.release()
			}
			done <- nil
		}()
	}
	for range workers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if s.free != 3 || s.total != 0 {
		t.Errorf("left are %d free, %d waiting", s.free, s.total)
	}
}
