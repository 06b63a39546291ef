package smtpclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// A Conn is a connection that is ready for messages. It is not safe for use by
// several goroutines.
type Conn struct {
	// TLS is how the connection is encrypted: "TLS 1.3 TLS_AES_128_GCM_SHA256",
	// or "none".
	TLS string
	// Certificate is how the server's certificate was judged, and by what rule:
	// "trusted", "not trusted: self-signed certificate"; empty without TLS.
	Certificate string
	// Verified means that the certificate fits, whether it had to or not.
	Verified bool
	// Note is what the admin should know about the connection, or empty.
	Note string

	client     *Client
	ctx        context.Context // of the dial: when it ends, the connection is closed
	release    func() bool
	raw        net.Conn
	conn       net.Conn // raw, or TLS over it
	r          *bufio.Reader
	w          *bufio.Writer
	target     Target
	remote     string // host and address, for messages
	extensions map[string]string
	messages   int  // sent or tried so far
	open       bool // a transaction has been begun, and not ended by the server's taking it
	broken     bool
}

// errUnasked: replies that nothing was asked for would pass as the answers to what
// is asked next.
var errUnasked = errors.New("the server says more than it was asked")

const bufferSize = 32 << 10

func newConn(ctx context.Context, client *Client, raw net.Conn, t Target, remote string) *Conn {
	c := &Conn{TLS: "none", client: client, ctx: ctx, raw: raw, target: t, remote: remote}
	c.release = context.AfterFunc(ctx, func() { raw.Close() })
	c.use(raw)
	return c
}

// use makes conn the one that is spoken on.
func (c *Conn) use(conn net.Conn) {
	c.conn = conn
	c.r = bufio.NewReaderSize(conn, maxReplyLine)
	c.w = bufio.NewWriterSize(deadlineWriter{conn, c.client.CommandTimeout}, bufferSize)
}

// A deadlineWriter gives each write its own time.
type deadlineWriter struct {
	net.Conn
	timeout time.Duration
}

func (w deadlineWriter) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// Usable reports whether the connection can take another message.
func (c *Conn) Usable() bool { return !c.broken && c.ctx.Err() == nil }

// Messages returns how many messages the connection has been used for.
func (c *Conn) Messages() int { return c.messages }

// Quit says goodbye and closes the connection. It doesn't wait for long: the
// messages are settled already.
func (c *Conn) Quit() {
	if c.Usable() {
		c.conn.SetDeadline(time.Now().Add(min(c.client.CommandTimeout, 5*time.Second)))
		if _, err := c.w.WriteString("QUIT\r\n"); err == nil && c.w.Flush() == nil {
			readReply(c.r)
		}
	}
	c.Close()
}

// Leave says goodbye and closes the connection at once: nobody needs to know what
// the server answers.
func (c *Conn) Leave() {
	if c.Usable() {
		c.conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := c.w.WriteString("QUIT\r\n"); err == nil {
			c.w.Flush()
		}
	}
	c.Close()
}

// Close closes the connection as it is.
func (c *Conn) Close() {
	c.broken = true
	c.release()
	c.raw.Close()
}

// quiet fails if the server has said something that has not been read.
func (c *Conn) quiet(what string) error {
	if c.r.Buffered() > 0 {
		return c.lost(what, errUnasked)
	}
	return nil
}

// command sends one line and reads its reply.
func (c *Conn) command(what, line string) (reply, error) {
	if err := c.quiet(what); err != nil {
		return reply{}, err
	}
	if err := c.send(what, line); err != nil {
		return reply{}, err
	}
	return c.read(what, c.client.CommandTimeout)
}

func (c *Conn) send(what, line string) error {
	c.w.WriteString(line) // its error is Flush's too
	c.w.WriteString("\r\n")
	if err := c.w.Flush(); err != nil {
		return c.lost(what, err)
	}
	return nil
}

// read reads a reply, which must be complete within the timeout: it isn't
// prolonged by a server that sends an octet a second. After 421 the connection is
// as good as closed (RFC 5321 3.8).
func (c *Conn) read(what string, timeout time.Duration) (reply, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return reply{}, c.lost(what, err)
	}
	got, err := readReply(c.r)
	if err != nil {
		return reply{}, c.lost(what, err)
	}
	if got.code == 421 {
		c.broken = true
	}
	return got, nil
}

// lost notes that the connection is of no use any more, and says why.
func (c *Conn) lost(what string, err error) error {
	c.broken = true
	return fmt.Errorf("%s, at %s: %w", c.remote, what, errors.New(plainText(err)))
}

// fail makes an Error of a loss before the first message.
func (c *Conn) fail(err error) error {
	return c.problem(ownWords(err.Error()), err)
}

func (c *Conn) problem(answer Answer, err error) *Error {
	return &Error{Answer: answer, TLS: c.TLS, Certificate: c.Certificate, Note: c.Note, Err: err}
}

// plainText says what a network error means, without the addresses and system
// calls that Go puts around it.
func plainText(err error) string {
	var call *os.SyscallError
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "timed out"
	case errors.As(err, &call):
		return call.Err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}
