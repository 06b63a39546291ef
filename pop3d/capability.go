package pop3d

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"
)

// capa is CAPA (RFC 2449 section 5).
func (s *session) capa(context.Context, []string) error {
	s.ok("what this server can do")
	for _, c := range s.capabilities() {
		s.w.WriteString(c)
		s.w.WriteString("\r\n")
	}
	s.w.WriteString(".\r\n")
	return nil
}

// capabilities lists what the client may do in the session as it is now.
// USER and the names of mechanisms are there once they may be used, STLS until
// there is TLS.
func (s *session) capabilities() []string {
	list := []string{
		"TOP",
		"UIDL",
		"RESP-CODES",
		"AUTH-RESP-CODE",
		"PIPELINING",
		"UTF8 USER",
		"EXPIRE NEVER",
		"IMPLEMENTATION postroom",
	}
	if s.mayLogIn() {
		list = append(list, "USER")
	}
	// Without mechanisms it says that there will be some behind TLS.
	list = append(list, strings.Join(append([]string{"SASL"}, s.mechanisms()...), " "))
	if s.maySTLS() {
		list = append(list, "STLS")
	}
	return list
}

func (s *session) maySTLS() bool {
	return s.tls != nil && !s.secure && s.state() == authorization
}

// utf8 is UTF8 (RFC 6856 section 2.1). Names and passwords are octets that are
// compared as they are, and messages are served as they are, with it or
// without: so there is nothing to turn on.
func (s *session) utf8(context.Context, []string) error {
	s.ok("UTF-8 is welcome")
	return nil
}

// stls is STLS (RFC 2595 section 4). What the client sent behind it in the clear
// may be somebody else's, and is thrown away; so is what it said before.
func (s *session) stls(ctx context.Context, _ []string) error {
	switch {
	case s.secure:
		return s.reject("TLS is on already")
	case s.tls == nil:
		return s.reject("TLS is not available")
	}
	s.ok("begin TLS now")
	if err := s.flush(); err != nil {
		return err
	}
	s.user = nil
	return s.startTLS(ctx)
}

// startTLS does the handshake and puts TLS between the session and its client.
func (s *session) startTLS(ctx context.Context) error {
	if err := s.await(time.Now().Add(s.limits.LoginTimeout)); err != nil {
		return err
	}
	t := tls.Server(s.conn, s.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	s.secure = true
	s.use(t)
	return nil
}
