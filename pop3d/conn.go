package pop3d

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"
)

// errEnded means that somebody else ended the session: another login took the
// maildrop over, the account was disabled, or the server stops.
var errEnded = errors.New("session was ended")

// A conn is a client's connection beneath TLS. It knows whether the session
// waits for its client or works, and how long a client may take to read.
type conn struct {
	net.Conn
	writeTimeout time.Duration
	lease        atomic.Pointer[lease] // nil while no maildrop is held
	ended        atomic.Bool
}

// end closes the connection, whatever the session does with it, and makes sure
// that the session commits nothing that it hasn't begun to commit. It may be
// called from any goroutine, more than once, and doesn't block.
func (c *conn) end() {
	c.ended.Store(true)
	c.Conn.Close()
}

// closeWrite tells the client that nothing more will come.
func (c *conn) closeWrite() {
	nc := c.Conn
	if p, ok := nc.(*proxyproto.Conn); ok {
		nc = p.Raw()
	}
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// Read reads from the client; while it waits the maildrop's lease may be lost.
func (c *conn) Read(p []byte) (int, error) {
	return c.wait(c.Conn.Read, p)
}

// Write writes to the client, who has writeTimeout to take all of p.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
		return 0, err
	}
	return c.wait(c.Conn.Write, p)
}

func (c *conn) wait(io func([]byte) (int, error), p []byte) (int, error) {
	l := c.lease.Load()
	l.waits()
	n, err := io(p)
	l.works()
	if c.ended.Load() {
		return 0, errEnded
	}
	return n, err
}
