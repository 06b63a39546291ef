package smtpd

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/emersion/go-sasl"
	smtp "github.com/emersion/go-smtp"

	"postroom/store"
	"postroom/store/auth"
	"postroom/store/mail"
)

// AuthMechanisms returns what may be used on this connection as it is. It is
// part of smtp.AuthSession.
func (s *session) AuthMechanisms() []string {
	switch {
	case s.Server.Auth == nil, s.RequireTLS && s.conn.tls == nil:
		return nil
	case s.SCRAM:
		return []string{"PLAIN", "LOGIN", "SCRAM-SHA-256"}
	}
	return []string{"PLAIN", "LOGIN"}
}

func (s *session) authOutOfPlace() mail.Status {
	return first(
		unless(s.Server.Auth != nil, statusNotSupported),
		unless(s.helo != "", statusNoHelo),
		unless(!s.loggedIn(), statusAuthTwice),
		unless(s.mail == nil, statusInMessage),
		unless(!s.RequireTLS || s.conn.tls != nil, statusAuthTLS),
	)
}

// startAuth hands AUTH to go-smtp, once it is sure to be understood.
func (s *session) startAuth(argument string) {
	mechanism, initial, _ := strings.Cut(argument, " ")
	mechanism = strings.ToUpper(mechanism)
	switch {
	case s.mechanism(mechanism) == nil:
		s.conn.say(statusAuthMechanism)
	case initial != "" && !isBase64(initial):
		s.conn.say(statusAuthSyntax)
	default:
		s.conn.feed = []byte("AUTH " + mechanism + " " + initial + "\r\n")
	}
}

// respond hands go-smtp a SASL response, or ends the exchange.
func (s *session) respond(line []byte, err error) {
	s.sasl = false
	switch {
	case errors.Is(err, errLineTooLong):
		s.conn.own = appendStatus(nil, statusTooLongLine)
	case err != nil:
		s.conn.own = appendStatus(nil, statusBareControl)
	case string(line) == "*":
		s.conn.own = appendStatus(nil, statusAuthCancelled)
	case len(line) > 0 && !isBase64(string(line)):
		s.conn.own = appendStatus(nil, statusAuthSyntax)
	default:
		s.conn.feed = append(bytes.Clone(line), "\r\n"...)
		return
	}
	s.conn.feed = []byte("*\r\n")
}

// isBase64 reports whether s is a SASL response: base64, or "=" for an empty one.
func isBase64(s string) bool {
	_, err := base64.StdEncoding.DecodeString(s)
	return s == "=" || err == nil
}

// Auth begins an exchange. It is part of smtp.AuthSession.
func (s *session) Auth(name string) (sasl.Server, error) {
	m := s.mechanism(name)
	if m == nil {
		return nil, s.reply(statusAuthMechanism, mail.Status{})
	}
	return &exchange{session: s, mechanism: m}, nil
}

// mechanism returns the named one, nil if it isn't offered.
func (s *session) mechanism(name string) sasl.Server {
	switch {
	case name == "PLAIN":
		return &plain{s: s}
	case name == "LOGIN":
		return &loginMechanism{s: s}
	case name == rehearsedLogin && s.rehearsed.ID != 0:
		return &rehearsedMechanism{s: s}
	case name == "SCRAM-SHA-256" && s.SCRAM:
		return &scramMechanism{SCRAM: s.Server.Auth.StartSCRAM(s.ctx, s.client, s.Name), s: s}
	}
	return nil
}

// An exchange is a mechanism at work, as go-smtp sees it: its errors are
// replies, and it survives a panic.
type exchange struct {
	session   *session
	mechanism sasl.Server
}

func (x *exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	s := x.session
	defer func() {
		if s.caught(recover()) {
			err = errStopped
		}
	}()
	challenge, done, err = x.mechanism.Next(response)
	if err != nil {
		return nil, false, s.notLoggedIn(err)
	}
	if done {
		_ = s.reply(nil, mail.Status{Code: 235, Enhanced: [3]int{2, 7, 0}, Text: "Welcome"})
	}
	return challenge, done, nil
}

// errStopped is for go-smtp when the client has had its last reply.
var errStopped = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Session ended"}

// notLoggedIn answers a failed AUTH.
func (s *session) notLoggedIn(err error) error {
	status := statusAuthTrouble
	switch {
	case errors.Is(err, auth.ErrDenied):
		status = statusAuthDenied
		s.refuse(s.attempted, []store.Event{s.rejection("", status, "login failed")})
	case errors.Is(err, auth.ErrBlocked):
		status = blockedLogin(err)
		s.blockedLogins++
		s.refuse(s.attempted, []store.Event{s.rejection("", status, "login not looked at: the address is blocked")})
	case errors.Is(err, auth.ErrBusy):
		status = statusAuthBusy
	default:
		s.log.Error("login not checked", "err", err)
	}
	return s.reply(status, mail.Status{})
}

// blockedLogin is the answer to who may not log in for a while.
func blockedLogin(err error) mail.Status {
	status := mail.Status{Code: 454, Enhanced: [3]int{4, 7, 0}, Text: "Your address may not log in here"}
	if blocked, ok := errors.AsType[*auth.BlockedError](err); ok {
		status.Text = blocked.Advice()
	}
	return status
}

// welcome makes the session one of account's, unless that has been disabled or
// given another password since its own was checked.
func (s *session) welcome(account store.Account) error {
	c := s.conn
	untrack := s.Server.Auth.Track(account.ID, func() { c.interrupt(statusRevoked) })
	if err := s.Server.Auth.Confirm(s.ctx, account); err != nil {
		untrack()
		return err
	}
	s.account, s.untrack, s.device = account, untrack, store.Device{}
	s.log = s.log.With("account", account.Address.String())
	return nil
}

// attempts notes who tries to log in. What was given for a name goes into the
// trace only if it looks like one: people mistake the fields.
func (s *session) attempts(name string) {
	s.attempted = ""
	if address, err := mail.ParseAddress(name); err == nil {
		s.attempted = address.String()
	}
}

// login checks a password.
func (s *session) login(name, password string) error {
	s.attempts(name)
	account, err := s.Server.Auth.Login(s.ctx, auth.Attempt{
		Login: name, Password: password, Client: s.client, Protocol: s.Name,
	})
	if err != nil {
		return err
	}
	return s.welcome(account)
}

// plain is the mechanism PLAIN (RFC 4616).
type plain struct{ s *session }

func (m *plain) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil {
		return []byte{}, false, nil
	}
	parts := strings.Split(string(response), "\x00")
	if len(parts) != 3 || parts[0] != "" && !strings.EqualFold(parts[0], parts[1]) {
		return nil, false, auth.ErrDenied
	}
	return nil, true, m.s.login(parts[1], parts[2])
}

// loginMechanism is LOGIN, which was never standardised and is what old
// programs speak.
type loginMechanism struct {
	s    *session
	name string
	step int
}

func (m *loginMechanism) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil {
		return []byte("Username:"), false, nil
	}
	if m.step++; m.step == 1 {
		m.name = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, m.s.login(m.name, string(response))
}

// scramMechanism is SCRAM-SHA-256 (RFC 7677).
type scramMechanism struct {
	*auth.SCRAM
	s *session
}

func (m *scramMechanism) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = m.SCRAM.Next(response)
	m.s.attempts(m.Name())
	if done && err == nil {
		err = m.s.welcome(m.Account())
	}
	return challenge, done, err
}
