package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroom/delivery/route"
	"postroom/smtpd/policy/spf"
	"postroom/store/zone"
)

// errNotAsked is why nobody knows in local mode what the DNS says.
var errNotAsked = errors.New("not asked in local mode")

// knowDNS tells the operations what this server is to the outside, and whom to ask
// what the DNS says about that.
func (p *program) knowDNS() {
	p.admin.Server = func() zone.Server { return zoneServer(p.current(), p.listening) }
	p.admin.Lookups = func() (zone.Lookups, error) {
		names := newNetwork(p.current(), p.log).names
		if _, offline := names.(offlineNames); offline {
			return nil, errNotAsked
		}
		return zoneLookups{names}, nil
	}
}

// configured returns the addresses that the configuration has a service listen on.
func (p *program) configured(service string) []string {
	l := p.current().Listen
	switch service {
	case "smtp":
		return l.SMTP
	case "submission":
		return l.Submission
	case "submissions":
		return l.Submissions
	case "pop3":
		return l.POP3
	case "pop3s":
		return l.POP3S
	case "http":
		return l.HTTP
	case "https":
		return l.HTTPS
	}
	return nil
}

// listensOn returns the addresses that a service really listens on.
func (sv *server) listensOn(service string) []string {
	var list []string
	for _, p := range byService(sv.ports, service) {
		list = append(list, p.Addr().String())
	}
	return list
}

// zoneLookups asks the DNS for what zone wants to know.
type zoneLookups struct{ names }

// CheckSPF says what the record of a domain makes of mail from an address.
func (l zoneLookups) CheckSPF(ctx context.Context, ip netip.Addr, domain string) (result, why string) {
	a := spf.Check(ctx, l.names, spf.Query{IP: ip, Helo: domain, Domain: domain, Receiver: domain, Now: time.Now()})
	return string(a.Result), a.Problem
}

// zoneServer says what a server is to the outside.
func zoneServer(conf *Config, listening func(service string) []string) zone.Server {
	port := func(service string) int { return firstPort(listening(service)) }
	s := zone.Server{
		Hostname: strings.ToLower(strings.TrimSuffix(conf.Name(), ".")),
		Ports: zone.Ports{
			SMTP: port("smtp"), Submission: port("submission"), Submissions: port("submissions"),
			POP3: port("pop3"), POP3S: port("pop3s"), HTTP: port("http"), HTTPS: port("https"),
		},
		Signs: conf.Delivery.DKIM,
		STS:   conf.TLS.MTASTS,
	}
	s.Relay, _, _ = net.SplitHostPort(conf.Delivery.Smarthost)
	if conf.LocalMode {
		return s
	}
	s.Sending = sendingAddresses()
	var everywhere bool
	if s.Addresses, everywhere = listeningAddresses(listening("smtp")); everywhere {
		s.Addresses, s.Own = s.Sending, ownAddresses()
	}
	return s
}

func firstPort(addrs []string) int {
	if len(addrs) == 0 {
		return 0
	}
	_, text, _ := net.SplitHostPort(addrs[0])
	port, _ := strconv.Atoi(text) // 0: the kernel's choice
	return port
}

// listeningAddresses returns those of the addresses that are listened on which others
// may reach; everywhere says that it is all that the machine has.
func listeningAddresses(addrs []string) (list []netip.Addr, everywhere bool) {
	for _, addr := range addrs {
		host, _, _ := net.SplitHostPort(addr)
		ip, err := netip.ParseAddr(host)
		if host == "" || err == nil && ip.IsUnspecified() {
			return nil, true
		}
		if ip = ip.Unmap(); err == nil && isReachable(ip) && !slices.Contains(list, ip) {
			list = append(list, ip)
		}
	}
	return list, false
}

// ownAddresses returns the addresses of the machine that others may reach.
func ownAddresses() []netip.Addr {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var list []netip.Addr
	for _, addr := range found {
		if p, err := netip.ParsePrefix(addr.String()); err == nil && isReachable(p.Addr().Unmap()) {
			list = append(list, p.Addr().Unmap())
		}
	}
	return list
}

// isReachable reports whether others may be able to reach an address. Those of the
// documentation's networks (RFC 5737, RFC 3849) are in use nowhere but in trials.
func isReachable(ip netip.Addr) bool {
	for _, network := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"} {
		if netip.MustParsePrefix(network).Contains(ip) {
			return false
		}
	}
	return route.IsPublic(ip)
}

// sendingAddresses returns the public addresses that the system chooses for what is
// sent to others: one of each kind at most, and none behind the translation of a
// router. It asks the routing table, and sends nothing.
func sendingAddresses() []netip.Addr {
	var list []netip.Addr
	for _, far := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(far)))
		if err != nil {
			continue // no way there
		}
		if ip := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(); isReachable(ip) {
			list = append(list, ip)
		}
		conn.Close()
	}
	return list
}
