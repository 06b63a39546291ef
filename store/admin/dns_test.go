package admin_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/zone"
)

// A nameServer answers TXT and MX questions from what it is given; nothing else
// exists.
type nameServer struct {
	txt map[string][]string
	mx  map[string]string
}

func (n nameServer) LookupTXT(_ context.Context, name string) ([]string, error) {
	if list := n.txt[name]; list != nil {
		return list, nil
	}
	return nil, &net.DNSError{Err: "no such domain", Name: name, IsNotFound: true}
}

func (n nameServer) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	if host := n.mx[domain]; host != "" {
		return []*net.MX{{Host: host, Pref: 10}}, nil
	}
	return nil, nil
}

func (nameServer) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return nil, nil }

func (nameServer) LookupAddr(context.Context, string) ([]string, error) { return nil, nil }

func (nameServer) LookupCNAME(context.Context, string) (string, error) { return "", nil }

func (nameServer) LookupSRV(context.Context, string) ([]*net.SRV, error) { return nil, nil }

func (nameServer) CheckSPF(context.Context, netip.Addr, string) (string, string) { return "none", "" }

// dnsFixture is a fixture whose server has a name and an address, and which asks n.
func dnsFixture(t *testing.T, n *nameServer) *fixture {
	f := newFixture(t)
	f.fill()
	f.Server = func() zone.Server {
		return zone.Server{Hostname: "mail.example.org", Sending: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Signs: true, STS: "testing"}
	}
	f.Lookups = func() (zone.Lookups, error) { return n, nil }
	return f
}

// find returns the records of a purpose.
func find(r zone.Report, p zone.Purpose) []zone.Record {
	return slices.DeleteFunc(slices.Clone(r.Records), func(rec zone.Record) bool { return rec.Purpose != p })
}

func TestDNS(t *testing.T) {
	n := &nameServer{txt: make(map[string][]string), mx: map[string]string{"example.org": "mail.example.org"}}
	f := dnsFixture(t, n)
	keys, err := f.DKIMKeys(t.Context(), "example.org")
	f.must(err)
	for _, k := range keys {
		n.txt[k.Record] = []string{k.Value}
	}
	r, err := f.DNS(t.Context(), "Example.org")
	f.must(err)
	if r.Domain != "example.org" || r.Hostname != "mail.example.org" || r.OK {
		t.Errorf("the report is of %s, %s, OK %v", r.Domain, r.Hostname, r.OK)
	}
	if mx := find(r, zone.MX); len(mx) != 1 || mx[0].State != zone.Right {
		t.Errorf("MX: %+v", mx)
	}
	if dkim := find(r, zone.DKIM); len(dkim) != 2 || dkim[0].State != zone.Right || dkim[1].State != zone.Right {
		t.Errorf("DKIM: %+v", dkim)
	}
	if ptr := find(r, zone.Reverse); len(ptr) != 1 || ptr[0].State != zone.Missing || ptr[0].Name != "1.2.0.192.in-addr.arpa" {
		t.Errorf("PTR: %+v", ptr)
	}
	_, err = f.DNS(t.Context(), "example.net")
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no domain example.net here")
	_, err = f.DNS(t.Context(), "not a domain")
	f.fails(err, admin.Invalid, nil, "is not a domain name")
}

// New keys sign as soon as somebody sees their records.
func TestDNSActivatesKeys(t *testing.T) {
	n := &nameServer{txt: make(map[string][]string)}
	f := dnsFixture(t, n)
	_, err := f.DKIMKeys(t.Context(), "example.org")
	f.must(err)
	keys, err := f.RotateDKIM(t.Context(), admin.RotateDKIM{Domain: "example.org"})
	f.must(err)
	var next []admin.DKIMKey
	for _, k := range keys {
		if k.State == admin.DKIMNext {
			next = append(next, k)
		}
	}
	if len(next) != 2 {
		t.Fatalf("keys: %+v", keys)
	}
	n.txt[next[0].Record] = []string{next[0].Value}
	r, err := f.DNS(t.Context(), "example.org")
	f.must(err)
	for _, rec := range find(r, zone.DKIM) {
		if rec.Name == next[0].Record && (rec.State != zone.Right || strings.Contains(rec.Why, "next key")) {
			t.Errorf("the report doesn't know that the key signs: %+v", rec)
		}
	}
	keys, err = f.DKIMKeys(t.Context(), "example.org")
	f.must(err)
	for _, k := range keys {
		if k.Selector == next[0].Selector && k.State != admin.DKIMSigns || k.Selector == next[1].Selector && k.State != admin.DKIMNext {
			t.Errorf("%s is %s", k.Selector, k.State)
		}
	}
}

// Mail leaves from an account's own addresses, else its domain's, else everybody's.
func TestDNSOfSources(t *testing.T) {
	f := dnsFixture(t, &nameServer{})
	for _, s := range []admin.AddSource{
		{IP: "192.0.2.2", For: "alice@example.org", Name: "news.example.org"},
		{IP: "192.0.2.3"},
		{IP: "192.0.2.4", For: "example.net"},
	} {
		if s.For == "example.net" {
			_, err := f.AddDomain(t.Context(), admin.AddDomain{Name: s.For})
			f.must(err)
		}
		_, err := f.AddSource(t.Context(), s)
		f.must(err)
	}
	for domain, want := range map[string]string{"example.org": "192.0.2.2 news.example.org. 192.0.2.3 mail.example.org.", "example.net": "192.0.2.4 mail.example.org."} {
		r, err := f.DNS(t.Context(), domain)
		f.must(err)
		var got []string
		for _, rec := range find(r, zone.Reverse) {
			got = append(got, reversed(rec.Name), rec.Value)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: %s, want %s", domain, text, want)
		}
	}
}

func reversed(name string) string {
	parts := strings.Split(strings.TrimSuffix(name, ".in-addr.arpa"), ".")
	slices.Reverse(parts)
	return strings.Join(parts, ".")
}

func TestAllDNS(t *testing.T) {
	f := dnsFixture(t, &nameServer{})
	f.Lookups = func() (zone.Lookups, error) { return nil, errors.New("not in local mode") }
	_, err := f.AddDomain(t.Context(), admin.AddDomain{Name: "backup.example", Backup: true})
	f.must(err)
	list, err := f.AllDNS(t.Context())
	f.must(err)
	if len(list) != 2 || list[0].Domain != "backup.example" || !list[0].Backup || list[1].Domain != "example.org" || list[1].NotAsked != "not in local mode" || len(list[1].Records) < 10 {
		t.Errorf("reports: %+v", list)
	}
}

// A policy and the settings of mail programs are there for local domains alone.
func TestPublicOfDomains(t *testing.T) {
	f := dnsFixture(t, &nameServer{})
	_, err := f.AddDomain(t.Context(), admin.AddDomain{Name: "backup.example", Backup: true})
	f.must(err)
	p, err := f.STSPolicy(t.Context(), "EXAMPLE.org.")
	f.must(err)
	if p.Mode != "testing" || !slices.Equal(p.MX, []string{"mail.example.org"}) {
		t.Errorf("the policy is %+v", p)
	}
	for _, domain := range []string{"backup.example", "example.net", "", "mail.example.org"} {
		_, err := f.STSPolicy(t.Context(), domain)
		f.fails(err, admin.NotFound, store.ErrNotFound, "There is no domain")
		_, err = f.MailServer(t.Context(), domain)
		f.fails(err, admin.NotFound, store.ErrNotFound, "There is no domain")
	}
	f.Server = func() zone.Server { return zone.Server{Hostname: "mail.example.org", STS: "off"} }
	_, err = f.STSPolicy(t.Context(), "example.org")
	f.fails(err, admin.NotFound, store.ErrNotFound, "no MTA-STS policy")
}

// The admin is told of a domain whose DNS is wrong, until it is right.
func TestDNSConcerns(t *testing.T) {
	n := &nameServer{txt: make(map[string][]string)}
	f := dnsFixture(t, n)
	backup := func() {
		_, err := f.AddDomain(t.Context(), admin.AddDomain{Name: "backup.example", Backup: true})
		f.must(err)
	}
	backup()
	concerns := func() string {
		list, err := f.Concerns(t.Context())
		f.must(err)
		var words []string
		for _, c := range list {
			words = append(words, c.Key+" "+c.Cure+" "+c.Text)
		}
		slices.Sort(words)
		return strings.Join(words, "\n")
	}
	_, err := f.AllDNS(t.Context())
	f.must(err)
	want := "dns backup.example /domains/backup.example/dns The DNS doesn't say what it must for backup.example: MX of backup.example is missing, A of mail.example.org is missing.\n" +
		"dns example.org /domains/example.org/dns The DNS doesn't say what it must for example.org: MX of example.org is missing, A of mail.example.org is missing, TXT of example.org is missing and 4 more."
	if got := concerns(); got != want {
		t.Errorf("concerns:\n%s\nwant:\n%s", got, want)
	}
	f.must(f.RemoveDomain(t.Context(), "backup.example"))
	if got := concerns(); strings.Contains(got, "backup") {
		t.Errorf("after the domain has gone:\n%s", got)
	}
	f.must(f.store.Raise(t.Context(), store.Concern{Key: "dns gone.example", Text: "x"}))
	f.Lookups = func() (zone.Lookups, error) { return silentDNS{n}, nil }
	_, err = f.AllDNS(t.Context())
	f.must(err)
	if got := concerns(); !strings.HasPrefix(got, "dns example.org ") || strings.Contains(got, "\n") {
		t.Errorf("after nobody has answered:\n%s", got)
	}
}

// silentDNS can't be asked for anything.
type silentDNS struct{ *nameServer }

var errSilent = &net.DNSError{Err: "timed out", IsTimeout: true, IsTemporary: true}

func (silentDNS) LookupTXT(context.Context, string) ([]string, error) { return nil, errSilent }

func (silentDNS) LookupMX(context.Context, string) ([]*net.MX, error) { return nil, errSilent }

func (silentDNS) LookupAddr(context.Context, string) ([]string, error) { return nil, errSilent }

func (silentDNS) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errSilent
}

// A certificate that others trust is needed where a policy demands one.
func TestDNSOfCertificates(t *testing.T) {
	f := dnsFixture(t, &nameServer{})
	f.Server = func() zone.Server { return zone.Server{Hostname: "mail.example.org", STS: "enforce"} }
	shown := admin.Certificate{Names: []string{"mail.example.org"}, Source: admin.CertificateACME, NotAfter: f.now.Add(time.Hour)}
	f.Shown = func(context.Context) ([]admin.Certificate, error) { return []admin.Certificate{shown}, nil }
	for _, test := range []struct {
		source string
		ends   time.Duration
		want   zone.State
	}{
		{admin.CertificateACME, time.Hour, zone.Missing},
		{admin.CertificateFile, time.Hour, zone.Missing},
		{admin.CertificateACME, -time.Hour, zone.Wrong},
		{admin.CertificateSelfSigned, time.Hour, zone.Wrong},
	} {
		shown.Source, shown.NotAfter = test.source, f.now.Add(test.ends)
		r, err := f.DNS(t.Context(), "example.org")
		f.must(err)
		if sts := find(r, zone.MTASTS); sts[0].State != test.want {
			t.Errorf("%s until %v: %s: %s", test.source, test.ends, sts[0].State, sts[0].Do)
		}
	}
}
