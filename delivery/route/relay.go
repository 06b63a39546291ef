package route

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// A Relay is a server that the admin has named: it takes mail for others, may
// have any address, and its failures are never the recipient's.
type Relay struct {
	Host           string // a name or an IP address
	Port           int
	User, Password string // for AUTH; empty: none
}

// submissions is the port where TLS begins with the first byte (RFC 8314).
const submissions = 465

// Implicit reports whether TLS begins with the first byte: on its own port, of a
// host that the admin has named.
func (h Host) Implicit() bool { return h.Chosen && h.Port == submissions }

// String returns "host:port".
func (r Relay) String() string { return net.JoinHostPort(r.Host, strconv.Itoa(r.Port)) }

// ParseRelay parses a "host:port" of the configuration.
func ParseRelay(hostport string) (Relay, error) {
	name, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return Relay{}, fmt.Errorf("relay %q: %w", hostport, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return Relay{}, fmt.Errorf("relay %q: %q is no port", hostport, port)
	}
	return Relay{Host: strings.ToLower(strings.TrimSuffix(name, ".")), Port: int(n)}, nil
}

// host makes the relay a place to try.
func (r Relay) host() (Host, error) {
	if r.Port == 0 {
		return Host{}, fmt.Errorf("relay %q: the port is missing", r.Host)
	}
	host := Host{Name: r.Host, Port: r.Port, Chosen: true}
	if ip, err := netip.ParseAddr(r.Host); err == nil {
		host.literal = ip.Unmap()
	}
	return host, nil
}
