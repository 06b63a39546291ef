package zone

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

var update = flag.Bool("update", false, "write the golden files anew")

const key = "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQ=="

// facts are those of a server that is as it should be.
func facts() Facts {
	ip, ip6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	return Facts{
		Server: Server{
			Hostname: "mail.example.org", Addresses: []netip.Addr{ip, ip6}, Sending: []netip.Addr{ip, ip6},
			Ports: Ports{SMTP: 25, Submission: 587, Submissions: 465, POP3S: 995, HTTP: 80, HTTPS: 443}, Signs: true, STS: "testing",
		},
		Domain: "example.org",
		Keys:   []Key{{Name: "s1._domainkey.example.org", Value: key}},
	}
}

// good are the records of a domain for which all is right.
func good() []string {
	policy, _ := facts().Policy()
	return []string{
		"example.org. 60 IN MX 10 mail.example.org.",
		"mail.example.org. 60 IN A 192.0.2.1", "mail.example.org. 60 IN AAAA 2001:db8::1",
		`example.org. 60 IN TXT "google-site-verification=1"`, `example.org. 60 IN TXT "v=spf1 mx ~all"`,
		`mail.example.org. 60 IN TXT "v=spf1 a -all"`,
		`s1._domainkey.example.org. 60 IN TXT "v=DKIM1; k=rsa; " "p=MIIBIjANBgkqhkiG9w0BAQ=="`,
		`_dmarc.example.org. 60 IN TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org"`,
		"1.2.0.192.in-addr.arpa. 60 IN PTR mail.example.org.",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 60 IN PTR mail.example.org.",
		`_mta-sts.example.org. 60 IN TXT "v=STSv1; id=` + policy.ID() + `"`,
		"mta-sts.example.org. 60 IN CNAME mail.example.org.",
		`_smtp._tls.example.org. 60 IN TXT "v=TLSRPTv1; rua=mailto:postmaster@example.org"`,
		"autoconfig.example.org. 60 IN CNAME mail.example.org.", "autodiscover.example.org. 60 IN CNAME mail.example.org.",
		"_submissions._tcp.example.org. 60 IN SRV 0 1 465 mail.example.org.",
		"_submission._tcp.example.org. 60 IN SRV 0 1 587 mail.example.org.",
		"_pop3s._tcp.example.org. 60 IN SRV 0 1 995 mail.example.org.", "_autodiscover._tcp.example.org. 60 IN SRV 0 1 443 mail.example.org.",
	}
}

// without returns lines without those that begin with one of the prefixes.
func without(lines []string, prefixes ...string) []string {
	var left []string
	for _, line := range lines {
		gone := false
		for _, p := range prefixes {
			gone = gone || strings.HasPrefix(line, p)
		}
		if !gone {
			left = append(left, line)
		}
	}
	return left
}

func report(t *testing.T, f Facts, lines ...string) Report {
	t.Helper()
	return Judge(f, Look(t.Context(), f, newNames(t, lines...)))
}

func TestAllRight(t *testing.T) {
	r := report(t, facts(), good()...)
	if !r.OK || len(r.Records) != 18 {
		t.Errorf("OK is %v, with %d records", r.OK, len(r.Records))
	}
	for _, rec := range r.Records {
		if rec.State != Right {
			t.Errorf("%s %s is %s: %s", rec.Type, rec.Name, rec.State, rec.Do)
		}
	}
}

func TestNothingThere(t *testing.T) {
	r := report(t, facts())
	if r.OK {
		t.Error("it is OK")
	}
	for _, rec := range r.Records {
		if rec.Purpose != Reverse && rec.State != Missing || len(rec.Found) != 0 {
			t.Errorf("%s %s is %s: %s, %q", rec.Type, rec.Name, rec.State, rec.Do, rec.Found)
		}
	}
}

// A failure is never taken for an absence.
func TestNothingAnswered(t *testing.T) {
	for failure, says := range map[string]string{"server answered SERVFAIL": "server answered SERVFAIL", "timed out": "no answer came in time"} {
		r := report(t, facts(), everythingFails(failure)...)
		if r.OK {
			t.Error("it is OK")
		}
		for _, rec := range r.Records {
			if rec.State != Unknown || !strings.Contains(rec.Do, says) {
				t.Errorf("%s %s is %s: %s", rec.Type, rec.Name, rec.State, rec.Do)
			}
		}
	}
}

func everythingFails(how string) []string {
	var lines []string
	for _, name := range []string{
		"example.org", "mail.example.org", "s1._domainkey.example.org", "_dmarc.example.org", "_mta-sts.example.org", "mta-sts.example.org",
		"_smtp._tls.example.org", "autoconfig.example.org", "autodiscover.example.org", "_autodiscover._tcp.example.org", "_submissions._tcp.example.org", "_submission._tcp.example.org", "_pop3s._tcp.example.org",
		"_pop3._tcp.example.org", "1.2.0.192.in-addr.arpa", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		for _, kind := range []string{"MX", "A", "AAAA", "TXT", "CNAME", "SRV", "PTR"} {
			lines = append(lines, name+" "+kind+"! "+how)
		}
	}
	return lines
}

// Each row changes one thing in what is right, and says what comes of it.
func TestJudge(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, test := range []struct {
		it      string
		change  func(f *Facts)
		without string // lines that begin with it, several divided by |
		with    []string
		purpose Purpose
		state   State
		value   string // of the record, empty: whatever it is
		says    string // in Do
	}{
		{"finds the MX elsewhere", nil, "example.org. 60 IN MX", []string{"example.org. 60 IN MX 5 mx.elsewhere.net."}, MX, Wrong, "10 mail.example.org.", "goes to mx.elsewhere.net"},
		{"takes a filter in front", nil, "", []string{"example.org. 60 IN MX 5 mx.elsewhere.net."}, MX, Fine, "10 mail.example.org.", "mail goes there first"},
		{"takes a backup behind", nil, "", []string{"example.org. 60 IN MX 20 mx.elsewhere.net."}, MX, Right, "10 mail.example.org.", ""},
		{"takes any number", nil, "example.org. 60 IN MX", []string{"example.org. 60 IN MX 0 MAIL.example.org."}, MX, Right, "0 MAIL.example.org.", ""},
		{"sees a backup outside of the policy", func(f *Facts) { f.STS = "enforce" }, "", []string{"example.org. 60 IN MX 20 mx.elsewhere.net."}, MX, Fine, "", "names this server alone"},
		{"sees a null MX", nil, "example.org. 60 IN MX", []string{"example.org. 60 IN MX 0 ."}, MX, Wrong, "", "takes no mail at all"},
		{"takes another name of ours without a policy", func(f *Facts) { f.STS = "off" }, "example.org. 60 IN MX", []string{"example.org. 60 IN MX 1 mx.example.org.", "mx.example.org. 60 IN A 192.0.2.1"}, MX, Fine, "1 mx.example.org.", "another name"},
		{"takes no other name of ours with one", nil, "example.org. 60 IN MX", []string{"example.org. 60 IN MX 1 mx.example.org.", "mx.example.org. 60 IN A 192.0.2.1"}, MX, Wrong, "10 mail.example.org.", "the MTA-STS policy names this server"},
		{"can't tell where another name leads", nil, "example.org. 60 IN MX", []string{"example.org. 60 IN MX 1 mx.elsewhere.net.", "mx.elsewhere.net A! timed out"}, MX, Unknown, "", "no answer came in time"},
		{"takes the domain's own address", nil, "example.org. 60 IN MX", []string{"example.org. 60 IN A 192.0.2.1"}, MX, Fine, "10 mail.example.org.", "by the address of example.org itself"},
		{"misses the MX", nil, "example.org. 60 IN MX", []string{"example.org. 60 IN A 192.0.2.99"}, MX, Missing, "10 mail.example.org.", "Add it."},

		{"finds another address", nil, "mail.example.org. 60 IN A 192", []string{"mail.example.org. 60 IN A 192.0.2.9"}, Host, Wrong, "192.0.2.1", "leads to 192.0.2.9"},
		{"finds one more address", nil, "", []string{"mail.example.org. 60 IN A 192.0.2.9"}, Host, Fine, "192.0.2.1", "also leads to 192.0.2.9,"},
		{"finds an IPv6 address that it doesn't have", func(f *Facts) { f.Addresses = f.Addresses[:1] }, "", nil, Host, Fine, "192.0.2.1", "also leads to 2001:db8::1,"},
		{"takes another address of its own", func(f *Facts) { f.Own = []netip.Addr{netip.MustParseAddr("192.0.2.9")} }, "mail.example.org. 60 IN A 192", []string{"mail.example.org. 60 IN A 192.0.2.9"}, Host, Right, "192.0.2.9", ""},
		{"finds an alias", nil, "mail.example.org. 60 IN A", []string{"mail.example.org. 60 IN CNAME www.example.org.", "www.example.org. 60 IN A 192.0.2.1"}, Host, Wrong, "", "must not lead to one"},
		{"has no full name", func(f *Facts) { f.Hostname = "localhost" }, "", nil, Host, Wrong, "", "set hostname"},
		{"believes the DNS behind a router", func(f *Facts) { f.Addresses, f.Sending = nil, nil }, "", nil, Host, Right, "192.0.2.1", "its own ones are private"},
		{"has a private address", func(f *Facts) { f.Addresses, f.Sending = nil, nil }, "mail.example.org. 60 IN A", []string{"mail.example.org. 60 IN A 10.0.0.1"}, Host, Fine, "10.0.0.1", "outside of your network"},
		{"has no address behind a router", func(f *Facts) { f.Addresses, f.Sending = nil, nil }, "mail.example.org. 60 IN A", nil, Host, Missing, "", "can't be seen from here"},

		{"misses SPF", nil, `example.org. 60 IN TXT "v=spf1`, nil, SPF, Missing, "v=spf1 mx ~all", "Add it."},
		{"names addresses that the name hasn't", source("192.0.2.7"), `example.org. 60 IN TXT "v=spf1`, nil, SPF, Missing, "v=spf1 mx ip4:192.0.2.7 ~all", "Add it."},
		{"names the address that it sends from", func(f *Facts) { f.Own = []netip.Addr{netip.MustParseAddr("192.0.2.9")} }, `mail.example.org. 60 IN A 192|example.org. 60 IN TXT "v=spf1`, []string{"mail.example.org. 60 IN A 192.0.2.9"}, SPF, Missing, "v=spf1 mx ip4:192.0.2.1 ~all", "Add it."},
		{"adds to the record that is there", source("192.0.2.7"), `example.org. 60 IN TXT "v=spf1`, []string{`example.org. 60 IN TXT "v=spf1 include:spf.far.net mx -all"`, `spf.far.net. 60 IN TXT "v=spf1 ip4:198.51.100.0/24 -all"`}, SPF, Wrong, "v=spf1 ip4:192.0.2.7 include:spf.far.net mx -all", "gets the result fail"},
		{"takes what an include lets pass", source("198.51.100.7"), `example.org. 60 IN TXT "v=spf1`, []string{`example.org. 60 IN TXT "v=spf1 include:spf.far.net -all"`, `spf.far.net. 60 IN TXT "v=spf1 ip4:198.51.100.0/24 -all"`}, SPF, Right, "v=spf1 include:spf.far.net -all", ""},
		{"makes one of two records", nil, "", []string{`example.org. 60 IN TXT "v=spf1 ip4:198.51.100.1 -all"`}, SPF, Wrong, "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 mx ip4:198.51.100.1 -all", "2 SPF records"},
		{"finds everybody let in", nil, `example.org. 60 IN TXT "v=spf1`, []string{`example.org. 60 IN TXT "v=spf1 mx +all"`}, SPF, Wrong, "v=spf1 mx ~all", "anybody"},
		{"finds nobody kept out", nil, `example.org. 60 IN TXT "v=spf1`, []string{`example.org. 60 IN TXT "v=spf1 mx"`}, SPF, Fine, "v=spf1 mx", "end it with ~all"},
		{"keeps a redirect", source("192.0.2.7"), `example.org. 60 IN TXT "v=spf1`, []string{`example.org. 60 IN TXT "v=spf1 redirect=spf.far.net"`, `spf.far.net. 60 IN TXT "v=spf1 -all"`}, SPF, Wrong, "v=spf1 ip4:192.0.2.7 redirect=spf.far.net", "fail"},
		{"finds a mistake", nil, `example.org. 60 IN TXT "v=spf1`, []string{`example.org. 60 IN TXT "v=spf1 mx ipv4:1.2.3.4 -all"`}, SPF, Wrong, "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 mx -all", "can't use this record"},
		{"finds a record that includes itself", nil, `example.org. 60 IN TXT "v=spf1`, []string{`example.org. 60 IN TXT "v=spf1 include:example.org -all"`}, SPF, Wrong, "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all", "can't use this record"},
		{"can't see an include", nil, `example.org. 60 IN TXT "v=spf1`, []string{`example.org. 60 IN TXT "v=spf1 include:spf.far.net -all"`, "spf.far.net TXT! server answered SERVFAIL"}, SPF, Unknown, "", "couldn't be looked up"},
		{"leaves a relay's mail alone", func(f *Facts) { source("192.0.2.7")(f); f.Relay = "smtp.far.net" }, "", nil, SPF, Right, "v=spf1 mx ~all", ""},
		{"asks for a relay's include", func(f *Facts) { f.Relay = "smtp.far.net" }, `example.org. 60 IN TXT "v=spf1`, nil, SPF, Missing, "", "All mail leaves through smtp.far.net"},

		{"misses a key", nil, "s1._domainkey", nil, DKIM, Missing, key, "Add it."},
		{"finds another key", nil, "s1._domainkey", []string{`s1._domainkey.example.org. 60 IN TXT "v=DKIM1; k=rsa; p=AAAA"`}, DKIM, Wrong, key, "Another key"},
		{"finds a revoked key", nil, "s1._domainkey", []string{`s1._domainkey.example.org. 60 IN TXT "v=DKIM1; k=rsa; p="`}, DKIM, Wrong, key, "revoked"},
		{"finds two keys at a name", nil, "", []string{`s1._domainkey.example.org. 60 IN TXT "v=DKIM1; k=rsa; p=AAAA"`}, DKIM, Wrong, key, "2 records"},
		{"finds a key that is tested", nil, "s1._domainkey", []string{`s1._domainkey.example.org. 60 IN TXT "` + key + `; t=y"`}, DKIM, Fine, key + "; t=y", "t=y"},
		{"takes the key written otherwise", nil, "s1._domainkey", []string{`s1._domainkey.example.org. 60 IN TXT "p=MIIBIjANBgkq hkiG9w0BAQ== ;t=s"`}, DKIM, Right, "p=MIIBIjANBgkq hkiG9w0BAQ== ;t=s", ""},

		{"misses DMARC", nil, "_dmarc", nil, DMARC, Missing, "v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org", "Add it."},
		{"takes a stricter policy", nil, "_dmarc", []string{`_dmarc.example.org. 60 IN TXT "v=DMARC1;p=reject;rua=mailto:a@b.net"`}, DMARC, Right, "v=DMARC1;p=reject;rua=mailto:a@b.net", ""},
		{"tells of a policy that only watches", nil, "_dmarc", []string{`_dmarc.example.org. 60 IN TXT "v=DMARC1; p=none"`}, DMARC, Fine, "v=DMARC1; p=none", "p=none"},
		{"finds a policy that isn't one", nil, "_dmarc", []string{`_dmarc.example.org. 60 IN TXT "v=DMARC1; p=refuse"`}, DMARC, Wrong, "", "no policy"},
		{"finds two policies", nil, "", []string{`_dmarc.example.org. 60 IN TXT "v=DMARC1; p=none"`}, DMARC, Wrong, "", "2 DMARC records"},
		{"passes over other text", nil, "", []string{`_dmarc.example.org. 60 IN TXT "hello"`}, DMARC, Right, "", ""},

		{"misses a reverse name", nil, "1.2.0.192", nil, Reverse, Missing, "mail.example.org.", "Ask whoever gave you the address"},
		{"takes another name that leads back", nil, "1.2.0.192", []string{"1.2.0.192.in-addr.arpa. 60 IN PTR v1.hoster.net.", "v1.hoster.net. 60 IN A 192.0.2.1"}, Reverse, Fine, "v1.hoster.net.", "want both to be the same"},
		{"finds a name that doesn't lead back", nil, "1.2.0.192", []string{"1.2.0.192.in-addr.arpa. 60 IN PTR v1.hoster.net."}, Reverse, Wrong, "mail.example.org.", "doesn't lead back"},
		{"can't tell whether a name leads back", nil, "1.2.0.192", []string{"1.2.0.192.in-addr.arpa. 60 IN PTR v1.hoster.net.", "v1.hoster.net A! timed out"}, Reverse, Unknown, "", "no answer came in time"},
		{"wants the name of a source", func(f *Facts) { f.Sources[0].Name = "news.example.org" }, "", []string{"7.2.0.192.in-addr.arpa. 60 IN PTR mail.example.org."}, Reverse, Wrong, "news.example.org.", "doesn't lead back"},

		{"finds an old id", nil, "_mta-sts", []string{`_mta-sts.example.org. 60 IN TXT "v=STSv1; id=20200101"`}, MTASTS, Wrong, "", "The policy has changed"},
		{"finds no id", nil, "_mta-sts", []string{`_mta-sts.example.org. 60 IN TXT "v=STSv1;"`}, MTASTS, Wrong, "", "no id"},
		{"finds a policy of somebody else", func(f *Facts) { f.STS = "off" }, "", nil, MTASTS, Fine, "", "tls.mta_sts is off"},
		{"sees that an enforced policy would stop mail", certified("mta-sts.example.org"), "", nil, MTASTS, Wrong, "", "No certificate of an authority for mail.example.org"},
		{"takes an enforced policy with a certificate", certified("mail.example.org", "*.example.org"), "_mta-sts", []string{`_mta-sts.example.org. 60 IN TXT "v=STSv1; id=` + enforced() + `"`}, MTASTS, Right, "", ""},
		{"misses TLS reports", nil, "_smtp._tls", nil, TLSRPT, Missing, "v=TLSRPTv1; rua=mailto:postmaster@example.org", "Add it."},
		{"finds TLS reports that go nowhere", nil, "_smtp._tls", []string{`_smtp._tls.example.org. 60 IN TXT "v=TLSRPTv1"`}, TLSRPT, Wrong, "", "where reports go"},
		{"takes an address for an alias", nil, "autoconfig", []string{"autoconfig.example.org. 60 IN A 192.0.2.1"}, Autoconfig, Right, "192.0.2.1", ""},
		{"finds an alias that leads elsewhere", nil, "autoconfig", []string{"autoconfig.example.org. 60 IN CNAME www.far.net.", "www.far.net. 60 IN A 198.51.100.1"}, Autoconfig, Wrong, "mail.example.org.", "another server"},
		{"finds an alias that leads nowhere", nil, "autoconfig", []string{"autoconfig.example.org. 60 IN CNAME example.org."}, Autoconfig, Wrong, "mail.example.org.", "no address"},
		{"finds a service on another port", nil, "_submissions._tcp", []string{"_submissions._tcp.example.org. 60 IN SRV 0 1 2465 mail.example.org."}, Services, Wrong, "0 1 465 mail.example.org.", "names the port 2465"},
		{"finds a service elsewhere", nil, "_submissions._tcp", []string{"_submissions._tcp.example.org. 60 IN SRV 0 1 465 far.net."}, Services, Wrong, "0 1 465 mail.example.org.", "not here"},
		{"finds a service denied", nil, "_submissions._tcp", []string{"_submissions._tcp.example.org. 60 IN SRV 0 0 0 ."}, Services, Wrong, "0 1 465 mail.example.org.", "no such service"},
		{"finds a service that is off", func(f *Facts) { f.Ports.Submissions = 0 }, "", nil, Services, Wrong, "0 0 0 .", "no such service here"},
		{"bears what is too long", nil, "_dmarc", []string{`_dmarc.example.org. 60 IN TXT "v=DMARC1; p=reject; rua=mailto:` + long(200) + `"`}, DMARC, Right, "", ""},
	} {
		t.Run(test.it, func(t *testing.T) {
			f := facts()
			if strings.Contains(test.it, "source") {
				source("192.0.2.7")(&f)
			}
			if test.change != nil {
				test.change(&f)
			}
			lines := good()
			if test.without != "" {
				lines = without(lines, strings.Split(test.without, "|")...)
			}
			for _, rec := range report(t, f, append(lines, test.with...)...).Records {
				if rec.Purpose != test.purpose {
					continue
				}
				if rec.State != test.state || test.value != "" && rec.Value != test.value || !strings.Contains(rec.Do, test.says) || (test.says == "") != (rec.Do == "") {
					t.Errorf("%s is %s, %q: %q; found %q", rec.Name, rec.State, rec.Value, rec.Do, rec.Found)
				}
				return
			}
			t.Errorf("no record for %s", test.purpose)
		})
	}
}

// source has all mail leave from one more address.
func source(ip string) func(*Facts) {
	return func(f *Facts) {
		f.Sources, f.AllChosen = []Source{{IP: netip.MustParseAddr(ip)}}, true
	}
}

// certified has the policy enforced, with certificates for some names.
func certified(names ...string) func(*Facts) {
	return func(f *Facts) { f.STS, f.Certificates, f.Certified = "enforce", true, names }
}

func enforced() string {
	p, _ := Server{Hostname: "mail.example.org", STS: "enforce"}.Policy()
	return p.ID()
}

func TestPolicyHost(t *testing.T) {
	for _, test := range []struct {
		change func(*Facts)
		state  State
	}{
		{func(*Facts) {}, Right},
		{certified(), Fine},
		{certified("mail.example.org"), Fine},
		{certified("mta-sts.example.org"), Right},
		{certified("*.example.org"), Right},
	} {
		f := facts()
		test.change(&f)
		for _, rec := range report(t, f, good()...).Records {
			if rec.Name == "mta-sts.example.org" && rec.State != test.state {
				t.Errorf("with certificates for %q it is %s: %s", f.Certified, rec.State, rec.Do)
			}
		}
	}
}

func TestDMARCAbove(t *testing.T) {
	for policy, want := range map[string]State{"p=reject": Fine, "p=reject; sp=none": Missing, "p=none; sp=quarantine": Fine, "p=none": Missing} {
		f := facts()
		f.Domain = "sub.example.org"
		r := report(t, f, `_dmarc.example.org. 60 IN TXT "v=DMARC1; `+policy+`"`)
		for _, rec := range r.Records {
			if rec.Purpose == DMARC && (rec.Name != "_dmarc.sub.example.org" || rec.State != want) {
				t.Errorf("%s: %s is %s: %s", policy, rec.Name, rec.State, rec.Do)
			}
		}
	}
}

func TestBackup(t *testing.T) {
	f := facts()
	f.Domain, f.Backup, f.Keys = "example.net", true, nil
	host := []string{"mail.example.org. 60 IN A 192.0.2.1", "mail.example.org. 60 IN AAAA 2001:db8::1"}
	for _, test := range []struct {
		lines []string
		state State
		ok    bool
	}{
		{nil, Missing, false},
		{[]string{"example.net. 60 IN MX 10 own.example.net."}, Missing, false},
		{[]string{"example.net. 60 IN MX 10 own.example.net.", "example.net. 60 IN MX 20 mail.example.org."}, Right, true},
		{[]string{"example.net. 60 IN MX 20 mail.example.org."}, Wrong, false},
		{[]string{"example.net. 60 IN MX 20 own.example.net.", "example.net. 60 IN MX 10 mail.example.org."}, Wrong, false},
	} {
		r := report(t, f, append(host, test.lines...)...)
		if len(r.Records) != 3 || r.Records[0].State != test.state || r.OK != test.ok {
			t.Errorf("%q: %+v", test.lines, r)
		}
	}
}

func TestNotAsked(t *testing.T) {
	r := NotAsked(facts(), "not asked here")
	for _, rec := range r.Records {
		if rec.State != Unknown || rec.Do != "The DNS was not asked here." || rec.Value == "" {
			t.Errorf("%+v", rec)
		}
	}
	if r.OK || r.NotAsked == "" || len(r.Records) < 10 {
		t.Errorf("%+v", r)
	}
}

// The files are those of zones: whatever is in them can be read as one.
func TestFile(t *testing.T) {
	f := facts()
	f.Keys = append(f.Keys, Key{Name: "s2._domainkey.example.org", Value: "v=DKIM1; k=rsa; p=" + strings.Repeat("MIIB", 100), State: KeyNext})
	outside := facts()
	outside.Hostname = "mail.hoster.net"
	backup := facts()
	backup.Domain, backup.Backup = "example.net", true
	for name, r := range map[string]Report{
		"nothing":  report(t, f),
		"right":    report(t, facts(), good()...),
		"wrong":    report(t, facts(), append(without(good(), "_dmarc", "example.org. 60 IN MX"), "example.org. 60 IN MX 1 far.net.", `_dmarc.example.org. 60 IN TXT "v=DMARC1; p=none; x=\"\\;\000\010"`, `example.org. 60 IN TXT "v=spf1 -all\010evil. IN A 192.0.2.66"`)...),
		"outside":  report(t, outside),
		"backup":   report(t, backup),
		"unasked":  NotAsked(facts(), "not asked here"),
		"sub":      reportSub(t),
		"unknown!": report(t, facts(), everythingFails("timed out")...),
	} {
		t.Run(name, func(t *testing.T) {
			text := r.File()
			compare(t, strings.TrimSuffix(name, "!")+".zone", text)
			live, lines := parse(t, text), 0
			for line := range strings.Lines(text) {
				if rest, ok := strings.CutPrefix(line, "; "); ok && strings.Contains(line, " 3600 IN ") {
					parse(t, rest) // what is to be copied elsewhere is a record too
				} else if line != "\n" && line[0] != ';' {
					lines++
				}
			}
			if lines != len(live) {
				t.Errorf("%d lines are %d records", lines, len(live))
			}
			for _, rr := range live {
				if !within(lower(rr.Header().Name), r.Domain) {
					t.Errorf("%s is of another zone", rr)
				}
			}
		})
	}
}

// reportSub is of a domain for which the policy of the one above counts.
func reportSub(t *testing.T) Report {
	f := facts()
	f.Domain = "sub.example.org"
	return report(t, f, append(good(), "sub.example.org. 60 IN A 192.0.2.1")...)
}

func parse(t *testing.T, text string) []dns.RR {
	t.Helper()
	var list []dns.RR
	p := dns.NewZoneParser(strings.NewReader(text), "invalid.", "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		list = append(list, rr)
	}
	if p.Err() != nil {
		t.Errorf("%v in:\n%s", p.Err(), text)
	}
	return list
}

// What a zone file says is what was meant.
func TestFileText(t *testing.T) {
	value := strings.Repeat(`"\;ü`+"\x00\n", 60)
	rec := Record{Name: "a.test", Type: "TXT", Value: value, State: Missing}
	list := parse(t, Report{Domain: "a.test", Records: []Record{rec}}.File())
	if len(list) != 1 {
		t.Fatalf("%d records", len(list))
	}
	var b strings.Builder
	for _, part := range list[0].(*dns.TXT).Txt {
		for i := 0; i < len(part); i++ {
			switch {
			case part[i] == '\\' && part[i+1] >= '0' && part[i+1] <= '9':
				var n byte
				fmt.Sscanf(part[i+1:i+4], "%03d", &n)
				b.WriteByte(n)
				i += 3
			case part[i] == '\\':
				i++
				b.WriteByte(part[i])
			default:
				b.WriteByte(part[i])
			}
		}
	}
	if b.String() != value {
		t.Errorf("it says %q", b.String())
	}
}

func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (go test -update writes it anew):\n%s\nwant:\n%s", name, got, want)
	}
}

// Outlook asks under a name and finds others by an SRV record, both with TLS.
func TestAutodiscover(t *testing.T) {
	for _, test := range []struct {
		it      string
		change  func(*Facts)
		without string
		with    []string
		name    string
		state   State
		do      string
	}{
		{"finds the name", nil, "", nil, "autodiscover.", Right, ""},
		{"misses the name", nil, "autodiscover.", nil, "autodiscover.", Missing, "Add it."},
		{"sees that it wouldn't be trusted", certified("mail.example.org"), "", nil, "autodiscover.", Fine, "Outlook asks under no other"},
		{"trusts its certificate", certified("mail.example.org", "autodiscover.example.org"), "", nil, "autodiscover.", Right, ""},
		{"lets a proxy answer", func(f *Facts) { f.Ports.HTTPS = 0 }, "autodiscover.", nil, "autodiscover.", Missing, "listen.https is off"},
		{"finds the service", nil, "", nil, "_autodiscover._tcp.", Right, ""},
		{"finds the service elsewhere", nil, "_autodiscover", []string{"_autodiscover._tcp.example.org. 60 IN SRV 0 1 443 far.net."}, "_autodiscover._tcp.", Wrong, "not here"},
		{"says nothing of a service that isn't here", func(f *Facts) { f.Ports.HTTPS = 0 }, "", nil, "_autodiscover._tcp.", "", ""},
	} {
		t.Run(test.it, func(t *testing.T) {
			f := facts()
			if test.change != nil {
				test.change(&f)
			}
			lines := good()
			if test.without != "" {
				lines = without(lines, test.without)
			}
			var found Record
			for _, rec := range report(t, f, append(lines, test.with...)...).Records {
				if rec.Name == test.name+"example.org" {
					found = rec
				}
			}
			if found.State != test.state || !strings.Contains(found.Do, test.do) {
				t.Errorf("it is %q: %s", found.State, found.Do)
			}
		})
	}
}
