package smtpd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"time"

	smtp "github.com/emersion/go-smtp"

	"postroom/store"
	"postroom/store/mail"
)

// withDefaults returns l with its zero fields filled in.
func (l Limits) withDefaults() Limits {
	setDefault(&l.MessageBytes, 50_000_000)
	setDefault(&l.ExcessBytes, 1<<30)
	setDefault(&l.Recipients, 1000)
	setDefault(&l.Connections, 2000)
	setDefault(&l.ConnectionsPerAddress, 50)
	setDefault(&l.Idle, 5*time.Minute)
	setDefault(&l.Message, time.Hour)
	setDefault(&l.MinRate, 100)
	setDefault(&l.RateGrace, time.Minute)
	setDefault(&l.Write, time.Minute)
	setDefault(&l.Grace, 10*time.Second)
	return l
}

func setDefault[T comparable](field *T, value T) {
	if *field == *new(T) {
		*field = value
	}
}

// A run is a Server at work on one listener.
type run struct {
	*Server
	limits Limits
	logger *slog.Logger
	clock  func() time.Time
	config *tls.Config
	base   context.Context // of the sessions' work

	rehearsed store.Account // see Rehearse; zero: nothing is rehearsed

	mu       sync.Mutex
	live     map[*conn]struct{}
	stopping bool
	gone     sync.WaitGroup
}

// Serve accepts sessions on l until ctx ends. Then it closes l, ends idle
// sessions with 421, lets those that are receiving a message finish within
// Limits.Grace, and returns when all are gone. It returns nil after such a stop.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return s.serve(ctx, l, store.Account{})
}

func (s *Server) serve(ctx context.Context, l net.Listener, rehearsed store.Account) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r := s.newRun(base)
	r.rehearsed = rehearsed
	unwatch := context.AfterFunc(ctx, func() {
		l.Close()
		r.interrupt()
	})
	defer unwatch()
	err := r.smtpServer().Serve(&listener{Listener: l, run: r})
	if ctx.Err() != nil {
		err = nil
	}
	l.Close()
	r.interrupt()
	r.wait(cancel)
	return err
}

func (s *Server) newRun(base context.Context) *run {
	r := &run{Server: s, limits: s.Limits.withDefaults(), logger: s.Log, clock: s.Now, base: base}
	r.live = make(map[*conn]struct{})
	if r.logger == nil {
		r.logger = slog.New(slog.DiscardHandler)
	}
	if r.clock == nil {
		r.clock = time.Now
	}
	if s.TLS != nil {
		r.config = s.TLS.Clone()
		r.config.NextProtos = []string{"smtp"}
		r.config.MinVersion = max(r.config.MinVersion, tls.VersionTLS12)
	}
	return r
}

// smtpServer returns go-smtp as we use it: with limits, TLS and timeouts off,
// since they are ours.
func (r *run) smtpServer() *smtp.Server {
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return c.Conn().(*conn).session, nil
	}))
	server.Domain = r.Hostname
	server.MaxLineLength = 0
	server.AllowInsecureAuth = true
	server.ErrorLog = slog.NewLogLogger(r.logger.Handler(), slog.LevelWarn)
	return server
}

// interrupt ends every session that isn't receiving a message.
func (r *run) interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopping = true
	for c := range r.live {
		c.interrupt(statusStopping)
	}
}

// wait returns when all sessions are gone, which it sees to after Limits.Grace.
func (r *run) wait(cancel func()) {
	late := time.AfterFunc(r.limits.Grace, func() {
		cancel()
		r.mu.Lock()
		defer r.mu.Unlock()
		for c := range r.live {
			c.raw.Close()
		}
	})
	defer late.Stop()
	r.gone.Wait()
}

// add takes a connection on.
func (r *run) add(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live[c] = struct{}{}
	r.gone.Add(1)
	if r.stopping {
		c.interrupt(statusStopping)
	}
}

func (r *run) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, c)
	r.gone.Done()
}

func (r *run) tlsConfig() *tls.Config { return r.config }

// A listener hands go-smtp connections that are ours.
type listener struct {
	net.Listener
	run *run
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		r := l.run
		if !r.admission.enter(addrOf(raw), r.limits.Connections) {
			raw.Close()
			continue
		}
		return r.newSession(raw), nil
	}
}

// newSession makes the session of a connection, which begins at its first Read.
func (r *run) newSession(raw net.Conn) *conn {
	c := newConn(raw, &r.limits, &r.memory)
	c.own = []byte{} // go-smtp greets too early
	c.session = &session{run: r, conn: c, ctx: r.base, log: r.logger.With("session", r.sessions.Add(1))}
	c.release = func() {
		c.session.leave()
		r.remove(c)
	}
	r.add(c)
	return c
}

// statusGreeting is the first thing a client hears.
func (r *run) statusGreeting() mail.Status {
	return mail.Status{Code: 220, Text: r.Hostname + " ESMTP postroom"}
}
