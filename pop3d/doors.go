package pop3d

import (
	"net/netip"
	"sync"
)

// doors counts the connections that are open, in all and by client. Those from
// loopback don't count: they are the admin's own, and must work when there is no
// room left. The zero value is ready.
type doors struct {
	mu    sync.Mutex
	open  int
	by    map[netip.Prefix]int
	turns int // refused clients that are still being told so
}

// maxTurns is how many refused clients are answered at once; more are just
// hung up on, so that refusing never costs more than serving.
const maxTurns = 64

// admit counts one more connection from client, unless there are too many
// already. If it returns true, dismiss must follow.
func (d *doors) admit(client netip.Addr, limits Limits) bool {
	if client.IsLoopback() {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := neighbourhood(client)
	if d.open >= limits.Connections || d.by[p] >= limits.PerAddress {
		return false
	}
	if d.by == nil {
		d.by = make(map[netip.Prefix]int)
	}
	d.open++
	d.by[p]++
	return true
}

func (d *doors) dismiss(client netip.Addr) {
	if client.IsLoopback() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := neighbourhood(client)
	d.open--
	if d.by[p]--; d.by[p] <= 0 {
		delete(d.by, p)
	}
}

// turn reports whether a refused client may be told why. If so, turned must
// follow.
func (d *doors) turn() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turns >= maxTurns {
		return false
	}
	d.turns++
	return true
}

func (d *doors) turned() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turns--
}

// neighbourhood is what counts as one client: an IPv4 address, or the /64 that
// every IPv6 host has to itself.
func neighbourhood(client netip.Addr) netip.Prefix {
	bits := client.BitLen()
	if client.Is6() {
		bits = 64
	}
	p, _ := client.Prefix(bits)
	return p
}
