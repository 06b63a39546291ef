package pop3d

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"postroom/smtpd/wire"
	"postroom/store"
)

const (
	// maxLine bounds every line in octets, CRLF not counted. AUTH and PASS may
	// be so long (RFC 5034 section 4), other commands maxCommand: RFC 2449
	// section 4 asks for 255.
	maxLine    = 12288
	maxCommand = 1024
	// maxBad is how many bad commands a session bears; one more ends it.
	maxBad = 30
	// maxBlocked is how often a session may try to log in from an address that is
	// blocked.
	maxBlocked = 2

	readBuffer = 4 << 10
	// lobbyBuffer is for the few replies before login, dropBuffer for a
	// session that sends mail: thousands may wait in the lobby.
	lobbyBuffer = 1 << 10
	dropBuffer  = 32 << 10
)

// A session is one client's connection. Only its own goroutine uses it, but for
// conn.end and stop.
type session struct {
	*house
	limits Limits
	log    *slog.Logger
	client netip.Addr
	conn   *conn    // beneath TLS
	stream net.Conn // conn, or TLS over it
	r      *bufio.Reader
	w      *bufio.Writer

	secure  bool      // TLS is on
	user    *string   // from USER
	drop    *maildrop // nil before login
	begun   bool      // the first line has been read
	bad     int       // bad commands so far
	blocked int       // logins that were not looked at
	inBy    time.Time // when the client must have logged in
	lineBy  time.Time // when the line that is being read must be complete; zero: none is
	unsent  []store.Collection
	buf     []byte // for reading bodies

	stopped atomic.Bool
}

func (h *house) newSession(nc net.Conn, client netip.Addr) *session {
	s := &session{house: h, limits: h.limits, client: client, inBy: time.Now().Add(h.limits.LobbyTimeout)}
	s.log = h.server.Log.With("protocol", h.server.Name, "session", h.server.serial.Add(1), "remote", client)
	s.conn = &conn{Conn: nc, writeTimeout: h.limits.WriteTimeout}
	s.use(s.conn)
	return s
}

// use makes stream what the session reads from and writes to. What the client
// sent before and hasn't been read yet is thrown away.
func (s *session) use(stream net.Conn) {
	s.stream = stream
	s.r = bufio.NewReaderSize(feed{s}, readBuffer)
	s.w = bufio.NewWriterSize(stream, lobbyBuffer)
}

// A feed reads from a session's client. A session reads only when nothing that
// the client sent is left, so that is the moment to send the replies: those to
// pipelined commands leave together.
type feed struct{ *session }

func (f feed) Read(p []byte) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	if err := f.expect(); err != nil {
		return 0, err
	}
	return f.stream.Read(p)
}

// expect sets the time by which the client has to have sent a whole line.
func (s *session) expect() error {
	if s.lineBy.IsZero() {
		s.lineBy = s.patience(time.Now())
	}
	return s.await(s.lineBy)
}

// patience returns how long the client may take for the line that it begins now.
func (s *session) patience(now time.Time) time.Time {
	if s.drop != nil {
		return now.Add(s.limits.IdleTimeout)
	}
	if by := now.Add(s.limits.LoginTimeout); by.Before(s.inBy) {
		return by
	}
	return s.inBy
}

// await makes reads fail after deadline, or at once when the server stops. The
// order of its two steps, and of those of stop, leaves no gap.
func (s *session) await(deadline time.Time) error {
	if err := s.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	if s.stopped.Load() {
		return errStopping
	}
	return nil
}

// stop lets the session finish the command that runs, and then end. It may be
// called from any goroutine.
func (s *session) stop() {
	s.stopped.Store(true)
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
}

// flush sends the replies that wait. What RETR had left in the buffer has been
// collected then.
func (s *session) flush() error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	for _, c := range s.unsent {
		s.server.Maildrops.Collected(c)
	}
	s.unsent = s.unsent[:0]
	return nil
}

// run serves the client to the end of the session.
func (s *session) run(ctx context.Context) {
	defer s.close()
	defer s.recoverPanic()
	err := s.converse(ctx)
	s.part(err)
}

func (s *session) converse(ctx context.Context) error {
	if s.server.ImplicitTLS {
		if err := s.startTLS(ctx); err != nil {
			return err
		}
	}
	s.ok(s.server.Hostname, " POP3 server ready")
	for {
		if err := s.serveCommand(ctx); err != nil {
			return err
		}
	}
}

// refusal is how long a client may take to hear that there is no room for it.
const refusal = 5 * time.Second

// turnAway tells a client that there is no room for it.
func (s *session) turnAway(ctx context.Context) {
	if !s.server.doors.turn() {
		return
	}
	defer s.server.doors.turned()
	s.limits.LoginTimeout, s.conn.writeTimeout = refusal, refusal
	if s.server.ImplicitTLS && s.startTLS(ctx) != nil {
		return
	}
	s.fail("[SYS/TEMP] too many connections, try again later")
	s.part(errDismiss)
}

// serveCommand reads a command and answers it. It returns an error only if the
// session can't go on.
func (s *session) serveCommand(ctx context.Context) error {
	line, err := s.readLine()
	switch {
	case errors.Is(err, wire.ErrLineTooLong):
		return s.reject("line too long")
	case errors.Is(err, wire.ErrBareControl):
		return s.reject("a command is one line that ends with CRLF, without CR, LF or NUL in it")
	case err != nil:
		return err
	}
	return s.dispatch(ctx, line)
}

// readLine reads a line that the client must have sent completely within the
// session's timeout.
func (s *session) readLine() ([]byte, error) {
	s.lineBy = time.Time{}
	return wire.ReadLine(s.r, maxLine)
}
