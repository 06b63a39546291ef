package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"postroom/delivery"
	"postroom/delivery/resolver"
)

// A loopbackDialer connects to hosts of this machine alone: local mode's promise
// is kept where the packets would leave.
type loopbackDialer struct{ net.Dialer }

// DialContext connects to an address in 127.0.0.0/8 or ::1, and fails with
// delivery.ErrOffline for any other.
func (d *loopbackDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !ap.Addr().Unmap().IsLoopback() {
		return nil, fmt.Errorf("%s: %w", address, delivery.ErrOffline)
	}
	return d.Dialer.DialContext(ctx, network, address)
}

// An offlineResolver knows no names, and asks nobody.
type offlineResolver struct{}

// LookupMX fails with delivery.ErrOffline.
func (offlineResolver) LookupMX(context.Context, string) ([]*net.MX, error) {
	return nil, delivery.ErrOffline
}

// LookupNetIP fails with delivery.ErrOffline.
func (offlineResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, delivery.ErrOffline
}

// outgoing returns how mail finds and reaches other servers.
func (p *program) outgoing() (delivery.Resolver, delivery.Dialer) {
	servers := p.conf.DNS.Servers
	if !p.conf.LocalMode {
		return &resolver.Resolver{Servers: servers, Log: p.log}, &net.Dialer{}
	}
	var near []string
	for _, s := range servers {
		if ap, err := netip.ParseAddrPort(s); err == nil && ap.Addr().Unmap().IsLoopback() {
			near = append(near, s)
		}
	}
	if len(near) == 0 {
		return offlineResolver{}, &loopbackDialer{}
	}
	return &resolver.Resolver{Servers: near, Log: p.log}, &loopbackDialer{}
}
