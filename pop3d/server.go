// Package pop3d lets account owners collect their mail over POP3 (RFC 1939,
// with the extensions of RFC 2449, 2595, 3206, 5034 and 6856). A session is a
// snapshot of a maildrop, marks in memory, and one commit at QUIT; what is in a
// maildrop and who may open it is decided elsewhere.
package pop3d

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"postroom/store"
)

// Maildrops is the part of the store that collecting needs.
type Maildrops interface {
	// Entries returns an account's maildrop, oldest first.
	Entries(ctx context.Context, account store.AccountID) ([]store.Entry, error)
	// OpenEntry opens a message as it is retrieved: Body.Size is the entry's
	// Size. It fails with store.ErrNotFound if the entry is gone. The caller
	// closes the body.
	OpenEntry(ctx context.Context, account store.AccountID, message store.MessageID) (*store.Body, error)
	// RemoveEntries removes all entries that it is given, or none.
	RemoveEntries(ctx context.Context, r store.Removal) error
	// Collected notes a complete RETR in the trace. It never blocks.
	Collected(c store.Collection)
}

// A Server serves POP3 on the listeners that it is given. Its fields are set
// before the first Serve and not changed afterwards.
type Server struct {
	Name         string // "pop3" or "pop3s", for the log and the trace
	Hostname     string // for the greeting
	Maildrops    Maildrops
	Auth         Authenticator
	RequireTLS   bool        // nobody may log in without TLS
	SCRAM        bool        // offer SCRAM-SHA-256
	TLS          *tls.Config // nil: no STLS
	ImplicitTLS  bool        // TLS from the first byte
	Limits       Limits
	Locks        *Locks         // shared by all servers of the same maildrops; never nil
	ProxyTrusted []netip.Prefix // must open with a PROXY header; nobody else may
	Log          *slog.Logger
	Now          func() time.Time // for the trace; nil: time.Now

	doors  doors
	serial atomic.Int64 // of the latest session, for the log
}

// Limits bound what clients can make the server do. A zero field has the
// default that stands behind it.
type Limits struct {
	Connections  int           // at once; 2000
	PerAddress   int           // at once, from one IPv4 address or IPv6 /64, loopback exempt; 50
	LoginTimeout time.Duration // silence before login, and a TLS handshake; 2 minutes
	LobbyTimeout time.Duration // from the connection to the login in all; 10 minutes
	IdleTimeout  time.Duration // silence after it, at least 10 minutes (RFC 1939 section 3); 10 minutes
	WriteTimeout time.Duration // for the client to take one buffer; 1 minute
}

func (l Limits) withDefaults() Limits {
	orElse(&l.Connections, 2000)
	orElse(&l.PerAddress, 50)
	orElse(&l.LoginTimeout, 2*time.Minute)
	orElse(&l.LobbyTimeout, 10*time.Minute)
	orElse(&l.IdleTimeout, 10*time.Minute)
	orElse(&l.WriteTimeout, time.Minute)
	return l
}

func orElse[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// grace is how long a command that runs when the server is stopped may take to
// finish.
const grace = 10 * time.Second

// Serve accepts sessions on l until ctx ends or l fails. Then it closes l and
// the sessions that wait for a command, gives a running RETR or QUIT 10 seconds
// to finish, and returns when all sessions are gone: nil if ctx ended, else
// what was wrong with l. One Server may serve several listeners at once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stopping, noMore := context.WithCancel(ctx)
	defer noMore()
	h := &house{server: s, limits: s.Limits.withDefaults(), tls: s.tlsConfig(), stopping: stopping, noMore: noMore}
	closeListener := context.AfterFunc(ctx, func() { l.Close() })
	defer closeListener()

	err := h.acceptAll(running, l)
	l.Close()
	h.stop(cancel)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("accept POP3 connections: %w", err)
}

// tlsConfig returns the configuration for this protocol: a client that offers
// ALPN must offer "pop3" (RFC 7301 section 3.2).
func (s *Server) tlsConfig() *tls.Config {
	if s.TLS == nil {
		return nil
	}
	c := s.TLS.Clone()
	c.NextProtos = []string{"pop3"}
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	return c
}

func (s *Server) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// A house is one Serve at work: a listener and the sessions that came from it.
type house struct {
	server   *Server
	limits   Limits
	tls      *tls.Config
	stopping context.Context // ends when nothing new may begin
	noMore   context.CancelFunc

	wg       sync.WaitGroup
	mu       sync.Mutex
	sessions map[*session]struct{}
}

// acceptAll starts a session for each connection until l is closed or broken.
// ctx is the sessions' own.
func (h *house) acceptAll(ctx context.Context, l net.Listener) error {
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			h.wg.Go(func() { h.serve(ctx, c) })
		case h.stopping.Err() != nil, errors.Is(err, net.ErrClosed), !isPassing(err):
			return err
		default: // out of files, most likely: they come back when sessions end
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			h.server.Log.Warn("cannot accept a connection", "err", err, "pause", pause)
			h.sleep(pause)
		}
	}
}

// isPassing reports whether accepting may work again later.
func isPassing(err error) bool {
	var e net.Error
	return errors.As(err, &e)
}

func (h *house) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-h.stopping.Done():
	}
}
