package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"postroom/delivery"
	"postroom/delivery/resolver"
	"postroom/delivery/route"
)

// A network is how a server finds and reaches others: mail servers, and the web
// servers of MTA-STS.
type network struct {
	names      names
	dialer     delivery.Dialer
	dialerFrom func(netip.Addr) delivery.Dialer // from an address of ours
	web        *http.Client
}

// names are what is asked of the DNS; *resolver.Resolver answers for others,
// offlineNames for nobody.
type names interface {
	delivery.Resolver
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupCNAME(ctx context.Context, name string) (string, error)
	LookupSRV(ctx context.Context, name string) ([]*net.SRV, error)
	LookupTLSA(ctx context.Context, name string) ([]dns.TLSA, bool, error)
	AuthenticMX(ctx context.Context, domain string) ([]*net.MX, bool, error)
	AuthenticNetIP(ctx context.Context, host string) ([]netip.Addr, string, bool, error)
	AuthenticAlias(ctx context.Context, name string) (bool, error)
}

// newNetwork returns the network of a configuration.
func newNetwork(conf *Config, log *slog.Logger) *network {
	n := &network{
		names:  &resolver.Resolver{Servers: conf.DNS.Servers, Log: log},
		dialer: &net.Dialer{},
		dialerFrom: func(ip netip.Addr) delivery.Dialer {
			return &net.Dialer{LocalAddr: from(ip)}
		},
	}
	if conf.LocalMode {
		n.names = nearNames(conf.DNS.Servers, log)
		n.dialer = &loopbackDialer{}
		n.dialerFrom = func(ip netip.Addr) delivery.Dialer {
			return &loopbackDialer{net.Dialer{LocalAddr: from(ip)}}
		}
	}
	n.web = webClient(&webDialer{n.names, n.dialer, conf.Delivery.PrivateDestinations})
	return n
}

func from(ip netip.Addr) net.Addr { return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)) }

// nearNames asks those servers that are on this machine, and nobody if there are
// none.
func nearNames(servers []string, log *slog.Logger) names {
	var near []string
	for _, s := range servers {
		if ap, err := netip.ParseAddrPort(s); err == nil && ap.Addr().Unmap().IsLoopback() {
			near = append(near, s)
		}
	}
	if len(near) == 0 {
		return offlineNames{}
	}
	return &resolver.Resolver{Servers: near, Log: log}
}

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

// offlineNames knows no names, and asks nobody: everything fails with
// delivery.ErrOffline.
type offlineNames struct{}

func (offlineNames) LookupMX(context.Context, string) ([]*net.MX, error) {
	return nil, delivery.ErrOffline
}

func (offlineNames) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, delivery.ErrOffline
}

func (offlineNames) LookupTXT(context.Context, string) ([]string, error) {
	return nil, delivery.ErrOffline
}

func (offlineNames) LookupAddr(context.Context, string) ([]string, error) {
	return nil, delivery.ErrOffline
}

func (offlineNames) LookupCNAME(context.Context, string) (string, error) {
	return "", delivery.ErrOffline
}

func (offlineNames) LookupSRV(context.Context, string) ([]*net.SRV, error) {
	return nil, delivery.ErrOffline
}

func (offlineNames) LookupTLSA(context.Context, string) ([]dns.TLSA, bool, error) {
	return nil, false, delivery.ErrOffline
}

func (offlineNames) AuthenticMX(context.Context, string) ([]*net.MX, bool, error) {
	return nil, false, delivery.ErrOffline
}

func (offlineNames) AuthenticNetIP(context.Context, string) ([]netip.Addr, string, bool, error) {
	return nil, "", false, delivery.ErrOffline
}

func (offlineNames) AuthenticAlias(context.Context, string) (bool, error) {
	return false, delivery.ErrOffline
}

// webClient fetches what strangers name, through one dialer: no proxy, no
// connection that outlives its request.
func webClient(d *webDialer) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:            d.DialContext,
		DisableKeepAlives:      true,
		TLSHandshakeTimeout:    30 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}}
}

// A webDialer looks names up where mail's are looked up, and like mail doesn't let
// the DNS lead it to a private address.
type webDialer struct {
	names   names
	dialer  delivery.Dialer
	private bool // may it?
}

// DialContext connects to the first address of a host that answers.
func (d *webDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	list, err := d.names.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	failed := fmt.Errorf("%s has no address that may be contacted", host)
	for _, ip := range list {
		if ip = ip.Unmap(); !d.private && !route.IsPublic(ip) {
			continue
		}
		conn, err := d.dialer.DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// isOwnAddress reports whether mail can be sent from ip: whether the system lets
// us have it.
func isOwnAddress(ip netip.Addr) bool {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// lookupHost returns the addresses of a host.
func (sv *server) lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	return sv.network.Load().names.LookupNetIP(ctx, "ip", host)
}
