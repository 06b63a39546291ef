package web

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"postroom/store/zone"
)

// thisServer is the one of these tests as the DNS should know it.
var thisServer = zone.Server{
	Hostname: "mail.example.org", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.17"), netip.MustParseAddr("2001:db8:1:2::17")},
	Sending: []netip.Addr{netip.MustParseAddr("192.0.2.17"), netip.MustParseAddr("2001:db8:1:2::17")},
	Ports:   zone.Ports{SMTP: 25, Submission: 587, Submissions: 465, POP3: 110, POP3S: 995, HTTP: 80, HTTPS: 443}, Signs: true, STS: "testing",
}

// A dnsFake is the DNS as others have filled it.
type dnsFake struct {
	off error // it isn't asked, for that reason
	mx  map[string][]*net.MX
	ip  map[string][]netip.Addr
	txt map[string][]string
	ptr map[string][]string
}

// publish puts into it what somebody would who has begun, with mistakes.
func (d *dnsFake) publish(domain string) {
	d.mx = map[string][]*net.MX{domain: {{Host: "mail.example.org.", Pref: 10}}}
	d.ip = map[string][]netip.Addr{"mail.example.org": {netip.MustParseAddr("192.0.2.17")}}
	d.txt = map[string][]string{domain: {"v=spf1 a mx ~all", "some-verification=<script>alert(1)</script>"}, "_dmarc." + domain: {"v=DMARC1; p=<script>alert(1)</script>"}}
	d.ptr = map[string][]string{"192.0.2.17": {"mail.example.org."}, "2001:db8:1:2::17": {"customer-4711.a-provider-with-a-long-name.example."}}
}

func (d *dnsFake) lookups() (zone.Lookups, error) { return d, d.off }

var errSlow = &net.DNSError{Err: "secret detail", Name: "mail.example.org", IsTimeout: true}

func find[T any](m map[string][]T, name string) ([]T, error) {
	if list, ok := m[name]; ok {
		return list, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (d *dnsFake) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return find(d.mx, name)
}

func (d *dnsFake) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return find(d.ip, host)
}

func (d *dnsFake) LookupTXT(_ context.Context, name string) ([]string, error) {
	return find(d.txt, name)
}

func (d *dnsFake) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return find(d.ptr, addr)
}

func (d *dnsFake) LookupCNAME(_ context.Context, name string) (string, error) {
	if name == "autoconfig.example.org" {
		return "", errSlow
	}
	return "", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (d *dnsFake) LookupSRV(_ context.Context, name string) ([]*net.SRV, error) {
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (d *dnsFake) CheckSPF(context.Context, netip.Addr, string) (result, why string) {
	return "pass", "mx"
}

var errLocal = errors.New("this server runs in local mode and asks nobody outside")
