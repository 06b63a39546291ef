package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// httpGrace is how long requests may take to finish when the server stops.
const httpGrace = 5 * time.Second

// serveHTTP serves h on l until ctx ends; then requests may finish within
// httpGrace. timeout bounds the reading of a request and the writing of an
// answer, each; zero means no bound.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger, timeout time.Duration) error {
	idle := &silentConns{open: make(map[net.Conn]struct{})}
	hs := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       timeout,
		WriteTimeout:      timeout,
		IdleTimeout:       2 * time.Minute,
		ConnState:         idle.note,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),

		DisableGeneralOptionsHandler: true, // h answers all, with its own headers
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpGrace)
		defer cancel()
		idle.close()
		if hs.Shutdown(grace) != nil {
			hs.Close()
		}
	})
	err := hs.Serve(l)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// silentConns are connections that have sent nothing yet, such as browsers open
// in advance: Shutdown would wait 5 seconds for each of them.
type silentConns struct {
	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
}

// note is an http.Server's ConnState.
func (s *silentConns) note(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(s.open, c)
	case s.closed:
		c.Close()
	default:
		s.open[c] = struct{}{}
	}
}

// close closes them, and those that come later.
func (s *silentConns) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.open {
		c.Close()
	}
}
