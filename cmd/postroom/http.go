package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Whoever asks has this long to say what for, and so many octets: more are never
// needed, and a thousand connections may hold them at once.
const (
	httpHeaderTimeout = 10 * time.Second
	httpHeaderOctets  = 64 << 10
)

// httpGrace is how long requests may take to finish when the server stops.
const httpGrace = 5 * time.Second

// serveHTTP serves h on l until ctx ends, as an httpServer does.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger, timeout time.Duration) error {
	s := &httpServer{handler: h, timeout: timeout, noise: slog.LevelWarn, log: log}
	return s.serve(ctx, l)
}

// An httpServer serves one handler.
type httpServer struct {
	handler http.Handler
	tls     *tls.Config   // nil: in the clear
	timeout time.Duration // of reading a request and of writing an answer, each; zero: no bound
	most    int           // connections at once; zero: any number
	noise   slog.Level    // of what net/http logs about clients
	log     *slog.Logger
}

// serve serves connections of l until ctx ends; then requests may finish within
// httpGrace.
func (s *httpServer) serve(ctx context.Context, l net.Listener) error {
	idle := &silentConns{open: make(map[net.Conn]struct{})}
	hs := &http.Server{
		Handler:           s.handler,
		TLSConfig:         s.tls,
		ReadHeaderTimeout: httpHeaderTimeout,
		MaxHeaderBytes:    httpHeaderOctets,
		ReadTimeout:       s.timeout,
		WriteTimeout:      s.timeout,
		IdleTimeout:       2 * time.Minute,
		ConnState:         idle.note,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), s.noise),

		DisableGeneralOptionsHandler: true, // the handler answers all, with its own headers
	}
	if s.timeout > 0 { // it is of the whole request
		hs.ReadHeaderTimeout = min(hs.ReadHeaderTimeout, s.timeout)
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
	err := s.run(hs, l)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *httpServer) run(hs *http.Server, l net.Listener) error {
	if s.most > 0 {
		l = netutil.LimitListener(l, s.most)
	}
	if s.tls != nil {
		return hs.ServeTLS(l, "", "")
	}
	return hs.Serve(l)
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
