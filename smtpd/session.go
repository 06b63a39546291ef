package smtpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	smtp "github.com/emersion/go-smtp"

	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/mail"
)

// Bounds on what one session may get wrong.
const (
	maxBadCommands   = 30
	maxBadRecipients = 100 // since the last message that was taken
	maxBadLogins     = 10
	maxBlockedLogins = 2   // that were not looked at
	maxRefusals      = 100 // noted in the trace
)

// A session is what one connection has said so far. It judges each command
// before go-smtp sees it, and is go-smtp's Session after. Only the goroutine of
// its connection uses it.
type session struct {
	*run
	conn   *conn
	ctx    context.Context // ends when the server stops waiting for sessions
	log    *slog.Logger
	client netip.Addr

	started  bool // past the greeting
	welcomed bool // let in, and counted
	spoken   bool // the first line has been read
	sasl     bool // the next line is a SASL response
	helo     string
	esmtp    bool

	account   store.Account // zero until AUTH, unless the client is a device of it
	device    store.Device  // the client, as long as it hasn't logged in; zero: it is none
	attempted string        // the address that last tried to log in
	untrack   func()

	verb, argument string // of the command that is being handled
	mail           *transaction
	mailRefused    bool // what a client has pipelined after MAIL is no fault of its own

	asked policy.Memory // what checks have begun to look up
	owed  time.Duration // how much longer our replies are to take

	badCommands, badRecipients, badLogins, blockedLogins, refusals int
}

// A transaction is what MAIL and RCPT have collected.
type transaction struct {
	envelope   mail.Envelope
	declared   int64 // SIZE; 0 if not said
	recipients []recipient
	rejected   []store.Event         // recipients that were not taken
	tried      bool                  // there was one
	checks     []store.CheckResult   // what was found out at RCPT
	outside    map[mail.Address]bool // remote addresses that the recipients lead to
}

// A recipient is one that was answered 250.
type recipient struct {
	mail.Recipient
	to store.Resolution
}

// next reads commands until one is for go-smtp, and puts it into conn.feed.
func (s *session) next() (err error) {
	defer func() {
		if s.caught(recover()) {
			err = errEnded
		}
	}()
	if err := s.start(); err != nil {
		return err
	}
	for len(s.conn.feed) == 0 {
		s.slow()
		line, err := s.conn.readLine()
		switch {
		case errors.Is(err, errEnded) || s.conn.ended:
			return errEnded
		case s.sasl:
			s.respond(line, err)
		case errors.Is(err, errLineTooLong):
			s.conn.say(statusTooLongLine)
		case err != nil:
			s.conn.say(statusBareControl)
		default:
			s.command(line)
		}
		if s.conn.ended {
			return errEnded
		}
	}
	return nil
}

// caught ends a session that has panicked, and no other.
func (s *session) caught(v any) bool {
	if v == nil {
		return false
	}
	s.log.Error("session panicked", "err", fmt.Sprint(v), "stack", string(debug.Stack()))
	s.conn.own = nil
	s.conn.end(statusPanic)
	return true
}

// guard turns a panic into the end of the session. It is deferred by what
// go-smtp calls.
func (s *session) guard(err *error) {
	if s.caught(recover()) {
		*err = errStopped
	}
}

// wrote counts replies that mean trouble, and ends the session when there are
// too many.
func (s *session) wrote(reply []byte) {
	s.tell(reply)
	if len(reply) < 4 || reply[3] != ' ' {
		return
	}
	s.sasl = bytes.HasPrefix(reply, []byte("334"))
	if bytes.HasPrefix(reply, []byte("421")) {
		s.conn.ended, s.conn.linger = true, true
		return
	}
	switch code := string(reply[:3]); {
	case code[0] != '5' && s.blockedLogins < maxBlockedLogins:
		return
	case code[0] != '5':
	case code == "535":
		s.badLogins++
	case code[:2] == "55" && code != "555", s.mailRefused && code == "503" && s.verb != "MAIL":
		s.badRecipients++
		if code != "503" {
			s.slowRecipient(reply)
		}
	default:
		s.badCommands++
		s.owed += commandDelay(s.badCommands)
	}
	if s.badCommands >= maxBadCommands || s.badRecipients >= maxBadRecipients || s.badLogins >= maxBadLogins ||
		s.blockedLogins >= maxBlockedLogins {
		s.conn.end(statusTooManyErrors)
	}
}

// tell tells the code of a reply. One of several lines comes here as a whole, or
// line by line, of which the last counts.
func (s *session) tell(reply []byte) {
	if s.Replied == nil || len(reply) < 4 || reply[3] == '-' && bytes.Count(reply, []byte("\n")) < 2 {
		return
	}
	if code, err := strconv.Atoi(string(reply[:3])); err == nil {
		s.Replied(code)
	}
}

// who describes the client to the checks.
func (s *session) who() policy.Client {
	return policy.Client{
		Addr:     s.client,
		Helo:     s.helo,
		TLS:      s.conn.tls != nil,
		Account:  s.account.ID,
		Hostname: s.Hostname,
		Memory:   &s.asked,
	}
}

// submitting reports whether the client has the rights and duties of one of our
// own users.
func (s *session) submitting() bool { return s.account.ID != 0 }

// now returns the time that goes into messages and the trace.
func (s *session) now() time.Time { return s.clock() }

// reply turns what an operation came to into what go-smtp sends. A nil err is
// success, which the client is told in the words of ok.
func (s *session) reply(err error, ok mail.Status) error {
	if err == nil {
		s.conn.own = appendStatus(s.conn.own[:0], ok)
		return nil
	}
	status := statusFor(err)
	if isTrouble(err) {
		s.log.Error("our own trouble", "status", status.Error(), "err", err)
	}
	return &smtp.SMTPError{Code: status.Code, EnhancedCode: status.Enhanced, Message: status.Text}
}

// appendStatus appends s as a reply line.
func appendStatus(b []byte, s mail.Status) []byte {
	b = append(strconv.AppendInt(b, int64(s.Code), 10), ' ')
	if s.Enhanced != [3]int{} {
		for i, n := range s.Enhanced {
			b = append(strconv.AppendInt(b, int64(n), 10), ".. "[i])
		}
	}
	return append(append(b, printable(s.Text)...), "\r\n"...)
}

// Reset forgets the transaction. It is part of smtp.Session.
func (s *session) Reset() {
	defer func() { s.caught(recover()) }()
	if s.mail != nil && len(s.mail.rejected) > 0 {
		s.refuse(s.mail.envelope.Sender.String(), s.mail.rejected)
	}
	s.mail = nil
}

// Logout is part of smtp.Session.
func (s *session) Logout() error {
	s.Reset()
	if s.untrack != nil {
		s.untrack()
		s.untrack = nil
	}
	return nil
}
