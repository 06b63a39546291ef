// Package bench drives a running postroom from the outside, over SMTP, POP3 and
// its command line, as a child process of its own: Speed measures how fast mail
// gets from a client into the maildrops, Crash kills the server at awkward
// moments and judges whether anything that was answered 250 is lost. The small
// clients and servers it is made of also serve the end-to-end tests. It imports
// no other part of postroom, so that it can't share a mistake with one.
package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// ioTimeout bounds every single exchange with a server.
const ioTimeout = 60 * time.Second

// pause waits for d and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// until polls ok until it holds, at most for limit.
func until(ctx context.Context, limit, every time.Duration, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		done, err := ok()
		if done || err != nil {
			return err
		}
		if !pause(ctx, every) {
			return fmt.Errorf("waited for %v: %w", limit, context.Cause(ctx))
		}
	}
}

// freeAddrs returns n addresses on ip that nobody listens on. Their ports lie
// below the ones that the kernel gives to clients: while the server is down, a
// client that connects to a port of that range can meet itself.
func freeAddrs(ip string, n int) ([]string, error) {
	var addrs []string
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for tries := 0; len(addrs) < n; tries++ {
		if tries > 1000 {
			return nil, fmt.Errorf("no free ports on %s", ip)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", ip, 10000+rand.IntN(22000)))
		if err != nil {
			continue
		}
		held = append(held, l)
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}
