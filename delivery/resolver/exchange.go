package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/miekg/dns"
)

const systemConfig = "/etc/resolv.conf"

// udpSize is what fits into one packet nearly everywhere.
const udpSize = 1232

// ask goes through the servers until one gives an answer: records, none, or
// NXDOMAIN. If none does, the error is temporary.
func (r *Resolver) ask(ctx context.Context, q question) (*dns.Msg, error) {
	servers, err := r.servers()
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: plainName(q.name), IsTemporary: true, UnwrapErr: err}
	}
	err = errors.New("no DNS server is configured")
	var server string
	for range rounds {
		for _, server = range servers {
			var m *dns.Msg
			if m, err = r.askServer(ctx, server, q); err == nil {
				return m, nil
			}
			if ctx.Err() != nil {
				return nil, failure(q, server, ctx.Err())
			}
			if r.Log != nil {
				r.Log.DebugContext(ctx, "dns question failed", "name", q.name, "type", dns.TypeToString[q.qtype], "server", server, "err", err)
			}
		}
	}
	return nil, failure(q, server, err)
}

func failure(q question, server string, err error) error {
	var timeout net.Error
	return &net.DNSError{
		Err:         err.Error(),
		UnwrapErr:   err,
		Name:        plainName(q.name),
		Server:      server,
		IsTimeout:   errors.As(err, &timeout) && timeout.Timeout(),
		IsTemporary: true,
	}
}

// askServer asks one server over UDP, and over TCP if the answer didn't fit. A
// server that doesn't know EDNS is asked again without (RFC 6891 section 7).
func (r *Resolver) askServer(ctx context.Context, server string, q question) (*dns.Msg, error) {
	m, err := r.exchange(ctx, "udp", server, q, true)
	if err == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		m, err = r.exchange(ctx, "udp", server, q, false)
	}
	if err == nil && m.Truncated {
		m, err = r.exchange(ctx, "tcp", server, q, true)
	}
	if err != nil {
		return nil, err
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("server answered %s", dns.RcodeToString[m.Rcode])
	}
	return m, nil
}

func (r *Resolver) exchange(ctx context.Context, network, server string, q question, edns bool) (*dns.Msg, error) {
	m := new(dns.Msg).SetQuestion(q.name, q.qtype)
	if edns {
		m.SetEdns0(udpSize, false)
	}
	timeout := r.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	client := &dns.Client{Net: network, Timeout: timeout, UDPSize: udpSize}
	answer, _, err := client.ExchangeContext(ctx, m, server)
	if err != nil {
		return nil, err
	}
	return answer, checkQuestion(m, answer)
}

// checkQuestion reports an answer that is to another question than ours: a
// mistake, or somebody who guesses.
func checkQuestion(asked, m *dns.Msg) error {
	if m.Id != asked.Id || !m.Response || len(m.Question) != 1 {
		return errors.New("the answer is not to our question")
	}
	a, b := asked.Question[0], m.Question[0]
	if !strings.EqualFold(a.Name, b.Name) || a.Qtype != b.Qtype || a.Qclass != b.Qclass {
		return errors.New("the answer is to another question")
	}
	return nil
}

// servers returns the list to ask. The system's file is read each time: it may
// change while we run.
func (r *Resolver) servers() ([]string, error) {
	if len(r.Servers) > 0 {
		return r.Servers, nil
	}
	config, err := dns.ClientConfigFromFile(systemConfig)
	if err != nil {
		return nil, fmt.Errorf("read the system's DNS servers: %w", err)
	}
	list := make([]string, 0, len(config.Servers))
	for _, s := range config.Servers {
		list = append(list, net.JoinHostPort(s, config.Port))
	}
	return list, nil
}
