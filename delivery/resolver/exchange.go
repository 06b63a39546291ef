package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// udpSize is what fits into one packet nearly everywhere.
const udpSize = 1232

// ask goes through the servers until one gives an answer: records, none, or
// NXDOMAIN. If none does, the error is temporary. In the first round each has a
// third of its time: a server that is slow has the answer at hand when it is
// asked again.
func (r *Resolver) ask(ctx context.Context, q question) (m *dns.Msg, authentic bool, err error) {
	servers, err := r.servers()
	if err != nil {
		return nil, false, failure(q, "", fmt.Errorf("read the system's DNS servers: %w", err))
	}
	err = errors.New("no DNS server is configured")
	var last string
	for _, timeout := range []time.Duration{r.timeout() / 3, r.timeout()} {
		for _, last = range r.order(servers) {
			if m, err = r.askServer(ctx, last, q, timeout); err == nil {
				return m, m.AuthenticatedData && isNear(last), nil
			}
			if ctx.Err() != nil {
				return nil, false, failure(q, last, ctx.Err())
			}
			if r.Log != nil {
				r.Log.DebugContext(ctx, "dns question failed", "name", q.name, "type", dns.TypeToString[q.qtype], "server", last, "err", err)
			}
		}
	}
	return nil, false, failure(q, last, err)
}

func (r *Resolver) timeout() time.Duration {
	if r.Timeout == 0 {
		return defaultTimeout
	}
	return r.Timeout
}

func failure(q question, server string, err error) error {
	var timeout net.Error
	return &net.DNSError{
		Err:         plainText(err),
		UnwrapErr:   err,
		Name:        plainName(q.name),
		Server:      server,
		IsTimeout:   errors.As(err, &timeout) && timeout.Timeout(),
		IsTemporary: true,
	}
}

// plainText leaves out the addresses that Go puts around a network error.
func plainText(err error) string {
	var timeout net.Error
	var op *net.OpError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}

// unwrapped returns what is inside an error of ours.
func unwrapped(err error) (error, bool) {
	e, ok := err.(*net.DNSError)
	if !ok {
		return nil, false
	}
	return e.UnwrapErr, true
}

// askServer asks one server, and notes whether it is there.
func (r *Resolver) askServer(ctx context.Context, server string, q question, timeout time.Duration) (*dns.Msg, error) {
	began := r.now()
	m, err := exchange(ctx, server, q, timeout)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var op *net.OpError
	r.note(server, began, errors.As(err, &op))
	if err != nil {
		return nil, err
	}
	return m, check(m)
}

// check tells an answer from a server's excuses.
func check(m *dns.Msg) error {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return fmt.Errorf("server answered %s", dns.RcodeToString[m.Rcode])
	}
	if len(m.Answer) > 0 || m.Rcode == dns.RcodeNameError {
		return nil
	}
	referral := false
	for _, rr := range m.Ns {
		switch rr.Header().Rrtype {
		case dns.TypeSOA:
			return nil
		case dns.TypeNS:
			referral = true
		}
	}
	if referral {
		return errors.New("server answered with a referral: it doesn't resolve for others")
	}
	return nil
}

// exchange asks over UDP, and over TCP if the answer didn't fit. A server that
// doesn't know EDNS is asked again without (RFC 6891 section 7).
func exchange(ctx context.Context, server string, q question, timeout time.Duration) (*dns.Msg, error) {
	m := new(dns.Msg).SetQuestion(q.name, q.qtype)
	m.SetEdns0(udpSize, isNear(server))
	answer, err := exchangeOver(ctx, "udp", server, m, timeout)
	if err == nil && (answer.Rcode == dns.RcodeFormatError || answer.Rcode == dns.RcodeNotImplemented || answer.Rcode == dns.RcodeBadVers) {
		m.Extra = nil
		answer, err = exchangeOver(ctx, "udp", server, m, timeout)
	}
	if err == nil && answer.Truncated {
		answer, err = exchangeOver(ctx, "tcp", server, m, timeout)
	}
	return answer, err
}

func exchangeOver(ctx context.Context, network, server string, m *dns.Msg, timeout time.Duration) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: timeout, UDPSize: udpSize}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answer, _, err := client.ExchangeWithConnContext(ctx, m, conn)
	for err == nil {
		if err = checkQuestion(m, answer); err == nil || network == "tcp" {
			break
		}
		answer, err = conn.ReadMsg() // the right one may follow (RFC 5452 section 9.1)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
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
