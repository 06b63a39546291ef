// Package smtpclient speaks the client side of one SMTP connection (RFC 5321):
// to one address of one host, for one message after the other. Which host that
// is, and what comes of an answer, is its caller's to decide.
package smtpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Dialer connects to a remote host; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// ErrSelf is inside the error of a Dial whose other end greeted with our own
// name.
var ErrSelf = errors.New("the server is ourselves")

// ErrUnprotected is inside the error of a Dial that could not protect the
// connection as its Security demands.
var ErrUnprotected = errors.New("the connection can't be protected as it must be")

// ErrLogin is inside the error of a Dial whose login was refused: nobody's fault
// but that of our configuration.
var ErrLogin = errors.New("our login was refused")

// A Client makes connections. Its fields are not changed while it is in use.
type Client struct {
	Hostname string // our name in EHLO; a greeting with it is our own
	// OurNames returns further names of ours that a greeting can have; nil: none.
	// It may be called by several goroutines at once.
	OurNames func() []string
	Dialer   Dialer // for the targets without a Source
	// DialerFrom returns the Dialer for a Source; nil: a net.Dialer, whatever the
	// Dialer allows.
	DialerFrom     func(netip.Addr) Dialer
	ConnectTimeout time.Duration // for the connection, and for the TLS handshake
	CommandTimeout time.Duration // for each answer and each write; the final dot's answer may take twice as long (RFC 5321 4.5.3.2)
	TLS            *tls.Config   // what connections start from, with the roots and the clock for certificates; nil: the defaults
}

// An Error says why a connection could not be made ready. Its Answer is the
// remote's if it has spoken; otherwise it tells what went wrong.
type Error struct {
	Answer      Answer
	TLS         string // as Conn.TLS
	Certificate string // as Conn.Certificate
	Note        string // as Conn.Note
	Final       bool   // the answer is a refusal that is meant for us, not for this connection
	Err         error  // nil if the remote's answer is the whole story
}

// Error returns the words of the answer.
func (e *Error) Error() string { return e.Answer.Text }

// Unwrap returns the cause, for ErrSelf, ErrUnprotected, ErrLogin and the
// Dialer's errors.
func (e *Error) Unwrap() error { return e.Err }

// Dial connects to a target, waits for its greeting, says EHLO (HELO if that
// isn't known there), turns TLS on as its Security wants it, and logs in if it has
// Auth. At level May a failing handshake leads to one more try without TLS, unless
// there is a password to protect. Its errors are *Error.
//
// The connection is closed when ctx ends.
func (c *Client) Dial(ctx context.Context, t Target) (*Conn, error) {
	conn, err := c.dial(ctx, t)
	failed, ok := errors.AsType[*tlsError](err)
	if !ok || ctx.Err() != nil || !t.mayGoClear() {
		return conn, err
	}
	t.Security.Level = None
	conn, err = c.dial(ctx, t)
	note := "STARTTLS failed (" + failed.Error() + "), sent without TLS"
	if err != nil {
		err.(*Error).Note = note
		return nil, err
	}
	conn.Note = note
	return conn, nil
}

// mayGoClear reports whether a failure of TLS may be got round.
func (t Target) mayGoClear() bool {
	return t.Security.Level == May && t.Auth == nil && !t.Implicit
}

func (c *Client) dial(ctx context.Context, t Target) (*Conn, error) {
	remote := fmt.Sprintf("%s (%s)", t.Host, t.At.Addr())
	if t.Host == t.At.Addr().String() {
		remote = t.Host
	}
	dialing, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	raw, err := c.dialer(t.Source).DialContext(dialing, "tcp", t.At.String())
	if err != nil {
		if t.Source.IsValid() {
			remote += " from " + t.Source.String()
		}
		return nil, &Error{Answer: ownWords("connect to " + remote + ": " + plainText(err)), TLS: "none", Err: err}
	}
	conn := newConn(ctx, c, raw, t, remote)
	if err := conn.begin(); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (c *Client) dialer(source netip.Addr) Dialer {
	switch {
	case !source.IsValid():
		return c.Dialer
	case c.DialerFrom != nil:
		return c.DialerFrom(source)
	}
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: source.AsSlice(), Zone: source.Zone()}}
}
