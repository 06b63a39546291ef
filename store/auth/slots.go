package auth

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Bounds on waiting for a slot.
const (
	maxWait           = 10 * time.Second
	maxWaiting        = 1024
	maxWaitingNetwork = 128
)

// slots bounds how many passwords are hashed at once. Those who wait are served
// by turns of their networks, so that somebody who guesses from one network
// delays the others by one password at a time.
type slots struct {
	mu      sync.Mutex
	free    int
	waiting map[netip.Prefix][]chan struct{} // oldest first; closed when served
	turns   []netip.Prefix                   // the networks that wait, the next one first
	total   int
}

func newSlots(n int) *slots {
	return &slots{free: n, waiting: make(map[netip.Prefix][]chan struct{})}
}

// network returns what shares a turn: an IPv4 /24 or an IPv6 /64.
func network(client netip.Addr) netip.Prefix {
	client = client.Unmap().WithZone("")
	bits := 64
	if client.Is4() {
		bits = 24
	}
	p, _ := client.Prefix(bits) // the zero Prefix for the zero Addr
	return p
}

// acquire takes a slot, which the caller gives back with release. It fails with
// ErrBusy if there is none soon.
func (s *slots) acquire(ctx context.Context, from netip.Prefix) error {
	served, err := s.join(from)
	if err != nil {
		return err
	}
	timeout := time.NewTimer(maxWait)
	defer timeout.Stop()
	select {
	case <-served:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
		err = ErrBusy
	}
	if s.leave(from, served) {
		return err
	}
	return nil // served at the last moment
}

// join returns a channel that is closed when the caller has a slot.
func (s *slots) join(from netip.Prefix) (chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	served := make(chan struct{})
	if s.free > 0 {
		s.free--
		close(served)
		return served, nil
	}
	queue := s.waiting[from]
	if s.total >= maxWaiting || len(queue) >= maxWaitingNetwork {
		return nil, ErrBusy
	}
	if len(queue) == 0 {
		s.turns = append(s.turns, from)
	}
	s.waiting[from] = append(queue, served)
	s.total++
	return served, nil
}

// release gives a slot to the next network's oldest waiter, or frees it.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.turns) == 0 {
		s.free++
		return
	}
	from := s.turns[0]
	s.turns = s.turns[1:]
	queue := s.waiting[from]
	close(queue[0])
	s.total--
	if len(queue) == 1 {
		delete(s.waiting, from)
		return
	}
	s.waiting[from] = queue[1:]
	s.turns = append(s.turns, from)
}

// leave takes a waiter out. It reports false if the waiter has been served.
func (s *slots) leave(from netip.Prefix, served chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.waiting[from]
	i := slices.Index(queue, served)
	if i < 0 {
		return false
	}
	s.total--
	if queue = slices.Delete(queue, i, i+1); len(queue) > 0 {
		s.waiting[from] = queue
		return true
	}
	delete(s.waiting, from)
	s.turns = slices.DeleteFunc(s.turns, func(p netip.Prefix) bool { return p == from })
	return true
}
