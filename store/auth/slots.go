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
	waiting map[netip.Prefix][]waiter // oldest first
	turns   []netip.Prefix            // the networks that wait, the next one first
	total   int
}

// A waiter is told nil when it has a slot, and ErrBusy when it has lost its
// place; once, so that telling never blocks.
type waiter chan error

func newSlots(n int) *slots {
	return &slots{free: n, waiting: make(map[netip.Prefix][]waiter)}
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
	w, err := s.join(from)
	if err != nil {
		return err
	}
	timeout := time.NewTimer(maxWait)
	defer timeout.Stop()
	select {
	case err := <-w:
		return err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
		err = ErrBusy
	}
	if s.leave(from, w) {
		return err
	}
	return <-w // told at the last moment
}

// join returns a waiter, which may have a slot at once.
func (s *slots) join(from netip.Prefix) (waiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := make(waiter, 1)
	if s.free > 0 {
		s.free--
		w <- nil
		return w, nil
	}
	queue := s.waiting[from]
	if len(queue) >= maxWaitingNetwork || s.total >= maxWaiting && !s.displace(len(queue)+1) {
		return nil, ErrBusy
	}
	if len(queue) == 0 {
		s.turns = append(s.turns, from)
	}
	s.waiting[from] = append(queue, w)
	s.total++
	return w, nil
}

// displace makes room by sending away the last of the longest queue, if it is
// longer than n. So those who fill all places leave some to others.
func (s *slots) displace(n int) bool {
	var longest netip.Prefix
	for from, queue := range s.waiting {
		if len(queue) > max(n, len(s.waiting[longest])) {
			longest = from
		}
	}
	queue := s.waiting[longest]
	if len(queue) <= n {
		return false
	}
	queue[len(queue)-1] <- ErrBusy
	s.waiting[longest] = queue[:len(queue)-1]
	s.total--
	return true
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
	queue[0] <- nil
	s.total--
	if len(queue) == 1 {
		delete(s.waiting, from)
		return
	}
	s.waiting[from] = queue[1:]
	s.turns = append(s.turns, from)
}

// leave takes a waiter out. It reports false if the waiter has been told already.
func (s *slots) leave(from netip.Prefix, w waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.waiting[from]
	i := slices.Index(queue, w)
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
