package smtpd

import (
	"net/netip"
	"sync"
)

// An admission counts the connections that are open, and of these the ones that
// were let in: those that are only being told to go take nobody's place.
// Loopback is exempt from limits, and fills none.
type admission struct {
	mu   sync.Mutex
	open int
	in   int
	from map[netip.Addr]int // of those that were let in
}

// enter counts a connection in. It refuses when there are twice as many as the
// limit allows: up to there, a client is told why it has to go. The other end
// may be a proxy, and loopback is exempt.
func (a *admission) enter(end netip.Addr, limit int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if limit > 0 && a.open >= 2*limit+10 && !end.IsLoopback() {
		return false
	}
	a.open++
	return true
}

// identify lets a connection in, now that it is known which client it is from,
// unless that would be too many.
func (a *admission) identify(client netip.Addr, limits *Limits) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if client.IsLoopback() {
		return true
	}
	client = network(client)
	if limits.Connections >= 0 && a.in >= limits.Connections ||
		limits.ConnectionsPerAddress >= 0 && a.from[client] >= limits.ConnectionsPerAddress {
		return false
	}
	if a.from == nil {
		a.from = make(map[netip.Addr]int)
	}
	a.in++
	a.from[client]++
	return true
}

// leave takes back enter, and for a valid client identify.
func (a *admission) leave(client netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open--
	if !client.IsValid() || client.IsLoopback() {
		return
	}
	a.in--
	client = network(client)
	if a.from[client]--; a.from[client] == 0 {
		delete(a.from, client)
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
