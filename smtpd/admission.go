package smtpd

import (
	"net/netip"
	"sync"
)

// An admission counts connections, in all and for each address.
type admission struct {
	mu    sync.Mutex
	all   int
	known map[netip.Addr]int
}

// enter counts a connection in. It refuses when there are twice as many as the
// limit allows: up to there, a client is told why it has to go. The other end
// may be a proxy, and loopback is exempt.
func (a *admission) enter(end netip.Addr, limit int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if limit > 0 && a.all >= 2*limit+10 && !end.IsLoopback() {
		return false
	}
	a.all++
	return true
}

// identify counts a connection for the client it is from. It reports whether
// both limits allow it; it has to leave in any case.
func (a *admission) identify(client netip.Addr, limits *Limits) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = make(map[netip.Addr]int)
	}
	client = network(client)
	a.known[client]++
	if client.IsLoopback() {
		return true
	}
	return (limits.Connections < 0 || a.all <= limits.Connections) &&
		(limits.ConnectionsPerAddress < 0 || a.known[client] <= limits.ConnectionsPerAddress)
}

// leave takes back enter, and identify if client is valid.
func (a *admission) leave(client netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if !client.IsValid() {
		return
	}
	client = network(client)
	if a.known[client]--; a.known[client] == 0 {
		delete(a.known, client)
	}
}

// network returns what stands for a client: its address, or with IPv6 the
// network of which one host has all of it.
func network(client netip.Addr) netip.Addr {
	if client.Is6() && !client.IsLoopback() {
		return netip.PrefixFrom(client, 64).Masked().Addr()
	}
	return client
}
