package pop3d

import (
	"bytes"
	"context"
	"strings"
)

// A state is a set of the states of a session (RFC 1939 section 3).
type state uint8

const (
	authorization state = 1 << iota
	transaction
)

// A command says when and how a command may be given, and what does it.
type command struct {
	states   state
	min, max int // arguments
	run      func(*session, context.Context, []string) error
}

// lookup returns the command that verb, in capitals, names.
func lookup(verb string) (c command, ok bool) {
	switch verb {
	case "CAPA":
		c = command{authorization | transaction, 0, 0, (*session).capa}
	case "QUIT":
		c = command{authorization | transaction, 0, 0, (*session).quit}
	case "STLS":
		c = command{authorization, 0, 0, (*session).stls}
	case "UTF8":
		c = command{authorization, 0, 0, (*session).utf8}
	case "USER":
		c = command{authorization, 1, 1, (*session).name}
	case "PASS":
		c = command{authorization, 1, 1, (*session).pass}
	case "AUTH":
		c = command{authorization, 1, 2, (*session).auth}
	case "STAT":
		c = command{transaction, 0, 0, (*session).stat}
	case "LIST":
		c = command{transaction, 0, 1, (*session).list}
	case "UIDL":
		c = command{transaction, 0, 1, (*session).uidl}
	case "RETR":
		c = command{transaction, 1, 1, (*session).retr}
	case "TOP":
		c = command{transaction, 2, 2, (*session).top}
	case "DELE":
		c = command{transaction, 1, 1, (*session).dele}
	case "RSET":
		c = command{transaction, 0, 0, (*session).rset}
	case "NOOP":
		c = command{transaction, 0, 0, (*session).noop}
	default:
		return command{}, false
	}
	return c, true
}

// parse takes a line apart. A password may hold blanks, so PASS has one
// argument: the rest of its line, as it is. Elsewhere blanks at the end of the
// line don't count.
func parse(line []byte) (verb string, args []string) {
	word, rest, more := bytes.Cut(line, []byte(" "))
	verb = strings.ToUpper(string(word))
	if verb == "PASS" && more {
		return verb, []string{string(rest)}
	}
	text := strings.TrimRight(string(rest), " ")
	if text == "" {
		return verb, nil
	}
	return verb, strings.Split(text, " ")
}

// dispatch runs the command that stands in line.
func (s *session) dispatch(ctx context.Context, line []byte) error {
	if !s.begun && s.isProxyHeader(line) {
		s.fail("this address may not send a PROXY header")
		return errDismiss
	}
	s.begun = true
	verb, args := parse(line)
	c, known := lookup(verb)
	switch {
	case !known:
		return s.reject("unknown command")
	case len(line) > maxCommand && verb != "AUTH" && verb != "PASS":
		return s.reject("line too long")
	case c.states&s.state() == 0 && s.state() == authorization:
		return s.reject("log in first")
	case c.states&s.state() == 0:
		return s.reject("only before login")
	case len(args) < c.min || len(args) > c.max:
		return s.reject("wrong number of arguments")
	}
	return c.run(s, ctx, args)
}

func (s *session) state() state {
	if s.drop == nil {
		return authorization
	}
	return transaction
}

// ok answers that a command was done. Errors of the writer show when it is
// flushed.
func (s *session) ok(text ...string) { s.reply("+OK", text) }

// fail answers that a command can't be done, for a reason other than its form.
func (s *session) fail(text ...string) { s.reply("-ERR", text) }

func (s *session) reply(status string, text []string) {
	s.w.WriteString(status)
	for i, t := range text {
		if i == 0 {
			s.w.WriteByte(' ')
		}
		s.w.WriteString(t)
	}
	s.w.WriteString("\r\n")
}

// reject answers a command that is wrong in itself, and ends the session after
// too many of them.
func (s *session) reject(text string) error {
	if s.bad++; s.bad > maxBad {
		s.fail("too many bad commands, good bye")
		return errDismiss
	}
	s.fail(text)
	return nil
}
