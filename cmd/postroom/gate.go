package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// A gate hands the connections of one listener to the server whose turn it is.
// A server that has had its turn keeps its sessions and gets no more of them:
// that is how a new configuration takes over without ending anybody's session.
type gate struct {
	service string
	l       net.Listener
	log     *slog.Logger

	mu      sync.Mutex
	current *turn
}

// A turn is the listener of one server behind a gate.
type turn struct {
	gate    *gate
	conns   chan net.Conn
	over    chan struct{} // closed when the next server has the gate
	closed  chan struct{}
	closing sync.Once
	failed  error // why Accept fails, set before closed is
}

// next ends the turn of the server that has the gate, if there is one, and
// returns the listener of the next.
func (g *gate) next() net.Listener {
	t := &turn{gate: g, conns: make(chan net.Conn), over: make(chan struct{}), closed: make(chan struct{}), failed: net.ErrClosed}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current != nil {
		close(g.current.over)
	}
	g.current = t
	return t
}

func (g *gate) whose() *turn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.current
}

// run takes connections until ctx ends, then closes the listener. It returns an
// error if the listener fails for good.
func (g *gate) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { g.l.Close() })()
	defer g.l.Close()
	pause := time.Duration(0)
	for {
		c, err := g.l.Accept()
		switch {
		case err == nil:
			pause = 0
			g.give(c)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default: // out of files, most likely: they come back when sessions end
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			g.log.Warn("cannot accept a connection", "err", err, "pause", pause)
			wait(ctx, pause)
		}
	}
}

// give hands c to the server whose turn it is.
func (g *gate) give(c net.Conn) {
	for {
		t := g.whose()
		select {
		case t.conns <- c:
			return
		case <-t.over:
		case <-t.closed:
			c.Close()
			return
		}
	}
}

// Accept waits for the next connection, and after the end of the turn for Close.
func (t *turn) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.closed:
		return nil, t.failed
	}
}

// Close makes Accept fail; sessions stay.
func (t *turn) Close() error {
	t.closing.Do(func() { close(t.closed) })
	return nil
}

// Addr returns the address of the listener behind the gate.
func (t *turn) Addr() net.Addr { return t.gate.l.Addr() }

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
