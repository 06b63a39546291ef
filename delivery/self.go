package delivery

import (
	"net"
	"net/netip"
)

// listensOn returns a function that reports whether an address is one of those
// that we listen on. An unspecified one stands for all of this machine's.
func listensOn(list []netip.AddrPort) func(netip.AddrPort) bool {
	return func(at netip.AddrPort) bool {
		for _, l := range list {
			if l.Port() != at.Port() {
				continue
			}
			if l.Addr().Unmap() == at.Addr() || l.Addr().IsUnspecified() && isOwn(at.Addr()) {
				return true
			}
		}
		return false
	}
}

// isOwn reports whether ip is an address of this machine. The list is read each
// time: it may change while we run.
func isOwn(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if own, ok := netip.AddrFromSlice(n.IP); ok && own.Unmap() == ip {
				return true
			}
		}
	}
	return false
}
