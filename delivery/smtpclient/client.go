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
	"strings"
	"time"

	"postroom/store/mail"
)

// Dialer connects to a remote host; *net.Dialer is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// ErrSelf is inside the error of a Dial whose other end greeted with our own
// name.
var ErrSelf = errors.New("the server is ourselves")

// A Client makes connections. Its fields are not changed while it is in use.
type Client struct {
	Hostname       string // our name in EHLO; a greeting with it is our own
	Dialer         Dialer
	ConnectTimeout time.Duration // for the connection, and for the TLS handshake
	CommandTimeout time.Duration // for each answer and each write; the final dot's answer may take twice as long (RFC 5321 4.5.3.2)
	TLS            *tls.Config   // what connections start from; nil: the defaults
	NoTLS          bool          // never ask for STARTTLS
}

// An Error says why a connection could not be made ready. Its Answer is the
// remote's if it has spoken; otherwise it tells what went wrong.
type Error struct {
	Answer Answer
	TLS    string // as Conn.TLS
	Note   string // as Conn.Note
	Final  bool   // the answer is a refusal that is meant for us, not for this connection
	Err    error  // nil if the remote's answer is the whole story
}

// Error returns the words of the answer.
func (e *Error) Error() string { return e.Answer.Text }

// Unwrap returns the cause, for ErrSelf and the Dialer's errors.
func (e *Error) Unwrap() error { return e.Err }

// Dial connects to a host at one of its addresses, waits for its greeting, says
// EHLO (HELO if that isn't known there) and turns TLS on where it is offered. The
// certificate isn't verified: the alternative is to send in the clear (RFC 7435).
// If the handshake fails, it tries once more without TLS. Its errors are *Error.
//
// The connection is closed when ctx ends.
func (c *Client) Dial(ctx context.Context, host string, at netip.AddrPort) (*Conn, error) {
	conn, err := c.dial(ctx, host, at, c.NoTLS)
	var failed *handshakeError
	if !errors.As(err, &failed) || ctx.Err() != nil {
		return conn, err
	}
	conn, err = c.dial(ctx, host, at, true)
	note := "STARTTLS failed (" + failed.Error() + "), sent without TLS"
	if err != nil {
		err.(*Error).Note = note
		return nil, err
	}
	conn.Note = note
	return conn, nil
}

// A handshakeError is the failure of a TLS handshake.
type handshakeError struct{ cause error }

func (e *handshakeError) Error() string { return mail.Printable(plainText(e.cause), 200) }

func (c *Client) dial(ctx context.Context, host string, at netip.AddrPort, noTLS bool) (*Conn, error) {
	remote := fmt.Sprintf("%s (%s)", host, at.Addr())
	if host == at.Addr().String() {
		remote = host
	}
	dialing, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	raw, err := c.Dialer.DialContext(dialing, "tcp", at.String())
	if err != nil {
		return nil, &Error{Answer: ownWords("connect to " + remote + ": " + plainText(err)), TLS: "none", Err: err}
	}
	conn := newConn(ctx, c, raw, host, remote)
	if err := conn.begin(noTLS); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// begin goes from the greeting to the point where MAIL may follow.
func (c *Conn) begin(noTLS bool) error {
	if err := c.greeting(); err != nil {
		return err
	}
	if err := c.hello(); err != nil {
		return err
	}
	if _, ok := c.extensions["STARTTLS"]; !ok || noTLS {
		return nil
	}
	started, err := c.startTLS()
	if err != nil || !started {
		return err
	}
	return c.hello() // what was said before TLS doesn't count (RFC 3207 4.2)
}

func (c *Conn) greeting() error {
	reply, err := c.read("greeting", c.client.CommandTimeout)
	if err != nil {
		return c.fail(err)
	}
	if reply.code != 220 {
		return &Error{Answer: reply.answer(), TLS: c.TLS}
	}
	name, _, _ := strings.Cut(reply.lines[0], " ")
	if strings.EqualFold(strings.TrimSuffix(name, "."), c.client.Hostname) {
		return &Error{Answer: reply.answer(), TLS: c.TLS, Err: ErrSelf}
	}
	return nil
}

// hello says EHLO, and HELO to a server that doesn't know it.
func (c *Conn) hello() error {
	reply, err := c.command("EHLO", "EHLO "+c.client.Hostname)
	extended := err == nil && reply.code/100 != 5
	if err == nil && !extended {
		reply, err = c.command("HELO", "HELO "+c.client.Hostname)
	}
	if err != nil {
		return c.fail(err)
	}
	if reply.code != 250 {
		return &Error{Answer: reply.answer(), TLS: c.TLS, Note: c.Note, Final: reply.code/100 == 5}
	}
	c.extensions = make(map[string]string)
	if !extended {
		return nil
	}
	for _, line := range reply.lines[1:] {
		keyword, params, _ := strings.Cut(line, " ")
		c.extensions[strings.ToUpper(keyword)] = params
	}
	return nil
}

// startTLS reports whether the connection is encrypted now. A server that
// refuses to begin is spoken to as it is.
func (c *Conn) startTLS() (bool, error) {
	reply, err := c.command("STARTTLS", "STARTTLS")
	if err != nil {
		return false, c.fail(err)
	}
	if reply.code != 220 {
		c.Note = "STARTTLS refused: " + reply.answer().Text
		return false, nil
	}
	if c.r.Buffered() > 0 { // somebody has put words in front of the encrypted ones
		return false, c.handshakeFailed(errors.New("unencrypted data after STARTTLS"))
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.client.ConnectTimeout)
	defer cancel()
	secure := tls.Client(c.conn, c.client.tlsConfig(c.host))
	if err := secure.HandshakeContext(ctx); err != nil {
		return false, c.handshakeFailed(err)
	}
	c.use(secure)
	state := secure.ConnectionState()
	c.TLS = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	return true, nil
}

func (c *Conn) handshakeFailed(cause error) error {
	err := &handshakeError{cause}
	return &Error{Answer: ownWords("TLS with " + c.remote + ": " + err.Error()), TLS: "none", Err: err}
}

func (c *Client) tlsConfig(host string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		config = c.TLS.Clone()
	}
	if !strings.HasPrefix(host, "[") {
		config.ServerName = host
	}
	config.InsecureSkipVerify = true
	return config
}
