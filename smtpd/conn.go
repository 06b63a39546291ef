package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"postroom/store/mail"
)

// A conn is the net.Conn that go-smtp gets. Each Read gives it one command line
// that the session has judged and put into a harmless form; TLS, message bodies
// and deadlines are kept from it. What it writes is buffered until the client is
// heard again, so that the answers to pipelined commands leave together.
type conn struct {
	net.Conn // the network's, or TLS over it
	raw      net.Conn
	limits   *Limits
	memory   *buffers
	in       input
	out      []byte
	session  *session
	feed     []byte // what go-smtp is to read next

	// own is the reply that the client gets instead of go-smtp's next one.
	own    []byte
	ended  bool // there was a 421, or nobody to tell it
	linger bool // the client is to read our last words
	tls    *tls.ConnectionState

	receiving atomic.Bool // a message is being read
	stop      atomic.Pointer[mail.Status]
	release   func() // called once, by Close
	closed    atomic.Bool
}

// maxReplies is how much is buffered for a client that pipelines.
const maxReplies = 16 << 10

func newConn(raw net.Conn, limits *Limits, memory *buffers) *conn {
	c := &conn{Conn: raw, raw: raw, limits: limits, memory: memory}
	c.in.buf = c.in.small[:]
	return c
}

// Read gives go-smtp the next line that is meant for it. Every failure is the
// end of the input: what there is to say about it has been said.
func (c *conn) Read(p []byte) (n int, err error) {
	for len(c.feed) == 0 {
		if err := c.session.next(); err != nil {
			c.flush()
			return 0, io.EOF
		}
	}
	n = copy(p, c.feed)
	c.feed = c.feed[n:]
	return n, nil
}

// Write takes one line of a reply from go-smtp.
func (c *conn) Write(p []byte) (int, error) {
	if c.own == nil {
		c.put(p)
		return len(p), nil
	}
	if len(p) > 3 && p[3] == ' ' { // the reply's last line
		own := c.own
		c.own = nil
		c.put(own)
	}
	return len(p), nil
}

// put buffers a reply, or a line of one.
func (c *conn) put(reply []byte) {
	if c.ended {
		return
	}
	if c.out = append(c.out, reply...); len(c.out) > maxReplies {
		c.flush()
	}
	c.session.wrote(reply)
}

// say answers the client.
func (c *conn) say(s mail.Status) { c.put(appendStatus(nil, s)) }

// end answers the client and lets nothing follow.
func (c *conn) end(s mail.Status) {
	if !c.ended {
		c.say(s)
		c.ended, c.linger = true, true
	}
}

// flush sends what is buffered. A client that doesn't take it is ended.
func (c *conn) flush() {
	if len(c.out) == 0 {
		return
	}
	c.Conn.SetWriteDeadline(time.Now().Add(c.limits.Write))
	if _, err := c.Conn.Write(c.out); err != nil {
		c.ended, c.linger = true, false
	}
	if c.out = c.out[:0]; cap(c.out) > 2*maxReplies {
		c.out = nil
	}
}

// errEnded says that the session is over.
var errEnded = errors.New("session ended")

// fill reads more from the client, which gets what we have to say first. When
// the deadline passes it ends the session with the status late.
func (c *conn) fill(deadline time.Time, late mail.Status) error {
	if c.flush(); c.ended {
		return errEnded
	}
	for {
		if err := c.Conn.SetReadDeadline(deadline); err != nil {
			c.ended = true
			return errEnded
		}
		if s := c.stop.Load(); s != nil && !c.receiving.Load() {
			c.end(*s)
			return errEnded
		}
		n, err := c.Conn.Read(c.in.space())
		c.in.w += n
		switch {
		case n > 0:
			return nil
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			c.ended = true
			return errEnded
		case !time.Now().Before(deadline):
			c.end(late)
			return errEnded
		}
		// Woken by interrupt, for nothing if in the middle of a message.
	}
}

// readLine reads a line. Like input.line, it fails with errLineTooLong and
// errBareControl after consuming the line; or with errEnded. Each octet of a
// line may take as long as the first; all of them together take slowLine.
func (c *conn) readLine() ([]byte, error) {
	c.in.shrink(c.memory)
	var begun time.Time
	for {
		if line, ok, err := c.in.line(); ok {
			return line, err
		}
		now := time.Now()
		if begun.IsZero() && c.in.r < c.in.w {
			begun = now
		}
		if err := c.fill(c.limits.lineDeadline(begun, now), statusIdle); err != nil {
			return nil, err
		}
		if status, foreign := foreignStart(c.in.pending()); foreign && !c.session.spoken {
			c.end(status)
			return nil, errEnded
		}
	}
}

// slowLine is how long a line may take from its first octet to its last, unless
// the client may be silent for longer than that.
const slowLine = time.Minute

// lineDeadline returns until when the next octet of a command line must arrive.
// begun is zero if none has.
func (l *Limits) lineDeadline(begun, now time.Time) time.Time {
	idle := now.Add(l.Idle)
	whole := begun.Add(max(l.Idle, slowLine))
	if !begun.IsZero() && whole.Before(idle) {
		return whole
	}
	return idle
}

// interrupt ends the session with s as soon as it isn't receiving a message. It
// may be called by any goroutine, and does not block.
func (c *conn) interrupt(s mail.Status) {
	if c.stop.CompareAndSwap(nil, &s) && !c.receiving.Load() {
		c.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

// listen waits until the deadline and reports whether the client has spoken.
func (c *conn) listen(until time.Time) (spoke bool, err error) {
	if err := c.Conn.SetReadDeadline(until); err != nil {
		return false, errEnded
	}
	n, err := c.Conn.Read(c.in.space())
	c.in.w += n
	switch {
	case n > 0:
		return true, nil
	case !errors.Is(err, os.ErrDeadlineExceeded):
		c.ended = true
		return false, errEnded
	}
	return false, nil
}

// startTLS answers a handshake. What the client sent before it is forgotten
// (RFC 3207 4.2 and 6).
func (c *conn) startTLS(ctx context.Context, config *tls.Config) error {
	c.flush()
	c.in.discard()
	t := tls.Server(c.Conn, config)
	deadline := time.Now().Add(min(c.limits.Idle, time.Minute))
	c.Conn.SetDeadline(deadline)
	if err := t.HandshakeContext(ctx); err != nil {
		c.ended = true
		return err
	}
	state := t.ConnectionState()
	c.Conn, c.tls = t, &state
	return nil
}

// Close sends what is left and ends the connection.
func (c *conn) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return nil
	}
	c.flush()
	c.ended = true // go-smtp reads on after QUIT
	if c.linger {
		c.drain()
	}
	err := c.Conn.Close()
	if c.in.large != nil {
		c.in.discard()
		c.in.shrink(c.memory)
	}
	c.release()
	return err
}

// drain reads what the client is still sending, for a moment: closing at once
// would make the network throw away our last words with it.
func (c *conn) drain() {
	if t, ok := c.Conn.(*tls.Conn); ok && t.CloseWrite() != nil {
		return
	}
	half, ok := c.raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.raw.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.CopyN(io.Discard, c.raw, 1<<20)
}

// Deadlines are ours.
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// addrOf returns the address of the other end.
func addrOf(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
