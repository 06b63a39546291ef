package main

import (
	"errors"
	"net"
	"slices"

	"golang.org/x/sys/unix"
)

// A port is one bound listener and the key that it comes from.
type port struct {
	service string // "smtp", "pop3s" …: the key in [listen]
	net.Listener
}

// bindAll binds every address of c, or none. What is in the way is a
// *UsageError that names the key and the port.
func bindAll(c *Config) ([]port, error) {
	var ports []port
	for _, want := range c.Listen.wanted() {
		for _, addr := range want.addrs {
			l, err := net.Listen(c.network(addr), addr)
			if err != nil {
				closeAll(ports)
				return nil, bindError("listen."+want.service, addr, err)
			}
			ports = append(ports, port{want.service, l})
		}
	}
	return ports, nil
}

// A wanted is where a service is to listen.
type wanted struct {
	service string
	addrs   []string
}

// wanted returns where all services are to listen.
func (l *ListenConfig) wanted() []wanted {
	return []wanted{
		{"smtp", l.SMTP},
		{"submission", l.Submission},
		{"submissions", l.Submissions},
		{"pop3", l.POP3},
		{"pop3s", l.POP3S},
		{"http", l.HTTP},
		{"https", l.HTTPS},
		{"web", l.Web},
		{"metrics", l.Metrics},
	}
}

// network says which kinds of addresses addr stands for. Every IPv4 address and
// every IPv6 address of one port are a listener each where both are asked for;
// otherwise either of them takes both kinds.
func (c *Config) network(addr string) string {
	host, number, _ := net.SplitHostPort(addr)
	other, network := "::", "tcp4"
	if host == "::" {
		other, network = "0.0.0.0", "tcp6"
	}
	if (host == "::" || host == "0.0.0.0") && slices.Contains(c.Listen.addresses(), net.JoinHostPort(other, number)) {
		return network
	}
	return "tcp"
}

func (l *ListenConfig) addresses() []string {
	return slices.Concat(l.SMTP, l.Submission, l.Submissions, l.POP3, l.POP3S, l.HTTP, l.HTTPS, l.Web, l.Metrics)
}

func closeAll(ports []port) {
	for _, p := range ports {
		p.Close()
	}
}

func bindError(key, addr string, err error) error {
	host, number, _ := net.SplitHostPort(addr)
	if host == "" {
		host = "every address"
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return usagef("%s: port %s is in use on %s by another program", key, number, host)
	case errors.Is(err, unix.EACCES):
		return usagef("%s: no right to bind port %s on %s: start as root, or give the program CAP_NET_BIND_SERVICE", key, number, host)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return usagef("%s: %s, for port %s, is not an address of this machine", key, host, number)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return usagef("%s: cannot listen on %s: %v", key, addr, err)
}

// bound returns where a service listens first; nil if it doesn't.
func (sv *server) bound(service string) net.Addr {
	for _, p := range byService(sv.ports, service) {
		return p.Addr()
	}
	return nil
}

// byService returns the listeners of one service.
func byService(ports []port, service string) []port {
	var found []port
	for _, p := range ports {
		if p.service == service {
			found = append(found, p)
		}
	}
	return found
}
