package smtpd

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"postroom/store"
	"postroom/store/mail"
)

// proxyTimeout is how long a trusted proxy may take to name the client.
const proxyTimeout = 5 * time.Second

// start does what comes before the greeting, once: who is it, may it come in,
// TLS if the port begins with it, and the checks on connections.
func (s *session) start() error {
	if s.started {
		return nil
	}
	s.started = true
	if err := s.meet(); err != nil {
		return err
	}
	s.log = s.log.With("remote", s.client.String())
	s.welcomed = s.admission.identify(s.client, &s.limits)
	if s.ImplicitTLS {
		if err := s.conn.startTLS(s.ctx, s.tlsConfig()); err != nil {
			return errEnded
		}
	}
	if !s.welcomed {
		s.conn.end(statusTooMany)
		return errEnded
	}
	if err := s.meetDevice(); err != nil {
		s.log.Error("our own trouble", "err", err) // MAIL asks again
	}
	if err := s.judgeConnection(); err != nil {
		return err
	}
	s.conn.say(s.statusGreeting())
	return nil
}

// meet finds out the client's address: the proxy's word for it, where the other
// end is a proxy.
func (s *session) meet() error {
	s.client = addrOf(s.conn.raw)
	if !slices.ContainsFunc(s.ProxyTrusted, func(p netip.Prefix) bool { return p.Contains(s.client) }) {
		return nil
	}
	proxied := proxyproto.NewConn(s.conn.raw,
		proxyproto.WithPolicy(proxyproto.REQUIRE), proxyproto.SetReadHeaderTimeout(proxyTimeout))
	header := proxied.ProxyHeader()
	if header == nil {
		if !s.ImplicitTLS {
			s.conn.end(statusNoProxy)
		}
		s.log.Warn("no PROXY header from a trusted network", "remote", s.client.String())
		return errEnded
	}
	s.conn.Conn = proxied
	if source, ok := header.SourceAddr.(*net.TCPAddr); ok && header.Command.IsProxy() {
		s.client = source.AddrPort().Addr().Unmap().WithZone("")
	}
	return nil
}

// judgeConnection asks the checks, and makes the client wait if they want that.
func (s *session) judgeConnection() error {
	if len(s.Rules.Connection) == 0 {
		return nil
	}
	verdict, err := ask(s, s.Rules.Connection, struct{}{})
	if err != nil {
		s.noteRefusal("", err)
		s.conn.end(statusFor(err))
		return errEnded
	}
	if verdict.Delay > 0 && !verdict.Allowed && !s.client.IsLoopback() {
		return s.delayGreeting(verdict.Delay)
	}
	return nil
}

// delayGreeting waits. Who speaks meanwhile is no mail server.
func (s *session) delayGreeting(d time.Duration) error {
	switch spoke, err := s.conn.listen(time.Now().Add(d)); {
	case err != nil:
		return err
	case spoke:
		s.refuse("", []store.Event{s.rejection("", statusEarly, "spoke before the greeting")})
		s.conn.end(statusEarly)
		return errEnded
	}
	return nil
}

// leave is called when the connection is closed.
func (s *session) leave() {
	if s.welcomed {
		s.admission.leave(s.client)
	} else {
		s.admission.leave(netip.Addr{})
	}
}

// foreignStart recognises what isn't SMTP by its first octets, before there is
// a line: a PROXY header (version 2) of somebody who may not send one, and TLS.
func foreignStart(b []byte) (mail.Status, bool) {
	switch {
	case bytes.HasPrefix(b, proxyproto.SIGV2):
		return statusProxy, true
	case len(b) > 1 && b[0] == 0x16 && b[1] == 3:
		return statusTLSFirst, true
	}
	return mail.Status{}, false
}
