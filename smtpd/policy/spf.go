package policy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"blitiri.com.ar/go/spf"

	"postroom/store/mail"
)

// spfTimeout bounds all the questions that one record makes us ask.
const spfTimeout = 5 * time.Second

// A Resolver looks up what checks need of the DNS. Its methods are those of
// *net.Resolver; an error that isn't a *net.DNSError is taken for a temporary one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// SPF finds out whether the client may send in the name of the envelope's sender,
// or for the null sender in the name that it gave at EHLO (RFC 7208). It never
// objects; its verdict has the result, and is Authentic after a pass.
//
// For now it looks at nothing but what other servers have us forward: who isn't
// proven to have sent that isn't told if it can't be delivered. A check of all mail
// would have more to say, and could object.
func SPF(dns Resolver) Check[*Message] {
	return Check[*Message]{Name: "spf", Judge: func(ctx context.Context, client Client, m *Message) (Verdict, error) {
		if !m.Forwards || client.Account != 0 {
			return Verdict{}, nil
		}
		return judgeSPF(ctx, dns, client, m.Envelope.Sender), nil
	}}
}

func judgeSPF(ctx context.Context, dns Resolver, client Client, sender mail.Address) Verdict {
	property := "smtp.mailfrom"
	if sender.IsNull() {
		property = "smtp.helo"
		sender = mail.Address{Local: "postmaster", Domain: client.Helo}
	}
	domain, err := mail.ParseDomain(sender.Domain)
	if err != nil { // an address in brackets, or no name at all
		return Verdict{}
	}
	ctx, cancel := context.WithTimeout(ctx, spfTimeout)
	defer cancel()
	result, _ := spf.CheckHostWithSender(client.Addr.AsSlice(), client.Helo, spfSender(sender.Local, domain),
		spf.WithContext(ctx), spf.WithResolver(spfDNS{dns}))
	return Verdict{
		Results:   []string{"spf=" + string(result) + " " + property + "=" + domain},
		Authentic: result == spf.Pass,
	}
}

// spfSender returns a sender in the form in which the domain is what follows the
// first @. Its local part only matters to records that ask for it.
func spfSender(local, domain string) string {
	if strings.Contains(local, "@") {
		local = "postmaster"
	}
	return local + "@" + domain
}

// spfDNS is a Resolver as SPF's library wants it.
type spfDNS struct{ dns Resolver }

func (d spfDNS) LookupTXT(ctx context.Context, name string) ([]string, error) {
	list, err := d.dns.LookupTXT(ctx, name)
	return list, dnsError(err, name)
}

func (d spfDNS) LookupMX(ctx context.Context, domain string) ([]*net.MX, error) {
	list, err := d.dns.LookupMX(ctx, domain)
	return list, dnsError(err, domain)
}

func (d spfDNS) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	found, err := d.dns.LookupNetIP(ctx, "ip", host)
	list := make([]net.IPAddr, 0, len(found))
	for _, ip := range found {
		list = append(list, net.IPAddr{IP: ip.Unmap().AsSlice()})
	}
	return list, dnsError(err, host)
}

// LookupAddr finds nothing: the mechanism that needs names of addresses is not to
// be used any more (RFC 7208 5.5), and without them it doesn't match.
func (d spfDNS) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return nil, &net.DNSError{Err: "not looked up", Name: addr, IsNotFound: true}
}

// dnsError makes err one that the library can judge: it looks at the type.
func dnsError(err error, name string) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e
	}
	return &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true}
}
