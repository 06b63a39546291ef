package main

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// A watched listener counts its connections, and tells when they all seem to
// come from one private address: Docker's network translation can show every
// stranger as its gateway, and then limits and blocklists judge the gateway.
type watched struct {
	net.Listener
	open     prometheus.Gauge
	accepted prometheus.Counter
	gateway  *gatewayWatch // nil: not watched for
}

// Accept waits for the next connection.
func (w *watched) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w.accepted.Inc()
	w.open.Inc()
	if w.gateway != nil {
		w.gateway.saw(c.RemoteAddr())
	}
	return &watchedConn{Conn: c, open: w.open}, nil
}

// A watchedConn is counted until it is closed.
type watchedConn struct {
	net.Conn
	open   prometheus.Gauge
	closed atomic.Bool
}

// Close closes the connection.
func (c *watchedConn) Close() error {
	if !c.closed.Swap(true) {
		c.open.Dec()
	}
	return c.Conn.Close()
}

// CloseWrite tells the other end that nothing more will come. Servers that hang
// up on a client who is still sending need it, or their last words are lost.
func (c *watchedConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// gatewayRun is how many connections in a row from one private address look
// like a gateway rather than a busy neighbour.
const gatewayRun = 200

// A gatewayWatch warns, once, when gatewayRun connections in a row came from
// the same private address.
type gatewayWatch struct {
	trusted []netip.Prefix // they tell the client's address in a PROXY header
	log     *slog.Logger

	mu   sync.Mutex
	last netip.Addr
	run  int
	told bool
}

func (g *gatewayWatch) saw(remote net.Addr) {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return
	}
	addr := tcp.AddrPort().Addr().Unmap()
	if addr.IsLoopback() || within(g.trusted, addr) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if addr != g.last {
		g.last, g.run = addr, 0
	}
	g.run++
	if g.told || g.run < gatewayRun || !addr.IsPrivate() {
		return
	}
	g.told = true
	g.log.Warn("all mail seems to come from one private address: if that is a gateway, such as Docker's, every stranger "+
		"looks the same and limits hit all of them; use host networking, or a proxy that sends PROXY headers and listen.proxy_trusted",
		"remote", addr.String(), "connections", g.run)
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}
