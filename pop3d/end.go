package pop3d

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"time"
)

// How a session ends other than by an error of its connection.
var (
	errQuit     = errors.New("client said QUIT")
	errDismiss  = errors.New("client was dismissed")
	errStopping = errors.New("server stops")
)

// part says goodbye, where that makes sense, and logs how the session ended.
func (s *session) part(err error) {
	if s.stopped.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		err = errStopping // stop woke it by a deadline
	}
	switch {
	case errors.Is(err, errQuit), errors.Is(err, errDismiss):
		if s.flush() == nil {
			s.linger(err)
		}
	case errors.Is(err, errStopping), errors.Is(err, os.ErrDeadlineExceeded) && s.w.Buffered() == 0:
		s.stream.Close() // with TLS, a proper end
	}
	if s.drop != nil {
		s.log.Info("maildrop session ended", "retrieved", s.drop.retrieved, "deleted", s.drop.removed, "reason", reason(err))
		return
	}
	s.log.Debug("session ended", "reason", reason(err))
}

// reason says in words why a session ended.
func reason(err error) string {
	switch {
	case errors.Is(err, errQuit):
		return "quit"
	case errors.Is(err, io.EOF):
		return "client hung up"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	}
	return err.Error()
}

// linger closes a connection whose client may still be sending: closing it with
// unread input would reset it, and the client might never see the last reply.
func (s *session) linger(err error) {
	if errors.Is(err, errQuit) && s.r.Buffered() == 0 {
		s.stream.Close()
		return
	}
	if c, ok := s.stream.(*tls.Conn); ok {
		_ = c.CloseWrite()
	}
	s.conn.closeWrite()
	if s.await(time.Now().Add(2*time.Second)) == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(s.conn.Conn, 4<<20))
	}
}

// recoverPanic turns a panic into the end of this session alone.
func (s *session) recoverPanic() {
	if p := recover(); p != nil {
		s.log.Error("session panicked", "err", p, "stack", string(debug.Stack()))
	}
}

// close gives everything back. Deletions that QUIT didn't commit are forgotten.
func (s *session) close() {
	s.leave()
	s.conn.Close()
}
