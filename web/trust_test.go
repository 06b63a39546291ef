package web

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// What checks found out about mail, as it stands in the trace.
var (
	passedChecks = []store.CheckResult{
		{Check: "spf", Result: "pass", Detail: "friends.example names 192.0.2.25 as one that may send for it (ip4:192.0.2.0/24)"},
		{Check: "dkim", Result: "pass", Detail: "signed by friends.example, selector s2026"},
		{Check: "dkim", Result: "temperror", Detail: "the key of lists.example couldn’t be looked up"},
		{Check: "dmarc", Result: "pass", Detail: "friends.example, p=reject"},
	}
	refusedChecks = []store.CheckResult{
		{Check: "blocklist", Result: "listed", Detail: "203.0.113.99 in zen.blocklist.example: https://www.blocklist.example/query/ip/203.0.113.99 — an address that no mail should come from, as its provider says"},
		{Check: "spf", Result: "softfail", Detail: "lottery.example"},
		{Check: "dmarc", Result: "none"},
	}
)

// trust is a life with strangers: lists, devices, limits, concerns.
func (s *site) trust() {
	s.t.Helper()
	ctx := s.t.Context()
	for _, e := range []admin.AddAccess{
		{Action: "block", What: "spam.example", Note: "promises prizes, again and again"},
		{Action: "block", What: "203.0.113.0/24", Note: "message 4xkq2abcdefgh", Expires: "30d"},
		{Action: "allow", What: "2001:db8:1:2::25", Note: "our own branch office, whose provider is on a list"},
		{Action: "allow", What: "an-extraordinarily-long-name@a-domain-with-a-long-name-too.example"},
	} {
		_, err := s.admin.AddAccess(ctx, e)
		s.must(err)
	}
	for i := range 60 {
		_, err := s.admin.AddAccess(ctx, admin.AddAccess{Action: "block", What: fmt.Sprintf("offender%02d.example", i+1)})
		s.must(err)
	}
	for _, c := range []store.Concern{
		{Key: "blocklist zen.blocklist.example", Text: "The blocklist zen.blocklist.example refuses to answer: it says that we may not ask by way of a public resolver."},
		{Key: "dns books.example.org", Text: "The DNS of books.example.org lacks what it must say: 2 records are missing or wrong.", Cure: "/domains/books.example.org/dns"},
		{Key: "certificate", Text: "The certificate of mail.example.org ends in 5 days and couldn’t be renewed.", Cure: "/certificate"},
	} {
		s.must(s.store.Raise(ctx, c))
	}
	s.guessing(s.guessers()...)
	for network, account := range map[string]string{"192.168.1.20": "alice@example.org", "2001:db8:1234:5678::/64": "dan@example.org"} {
		_, err := s.admin.AddDevice(ctx, admin.AddDevice{Network: network, Account: account})
		s.must(err)
	}
	s.store.SetAllowances(store.Allowances{Account: store.Allowance{MessagesPerHour: 100, RecipientsPerDay: 1000}})
	for _, l := range []admin.SetLimit{
		{Name: "server", MessagesPerHour: "40"},
		{Name: "example.org", MessagesPerHour: "30", RecipientsPerDay: "none"},
		{Name: "grace@example.org", MessagesPerHour: "14", MessagesPerDay: "1000", RecipientsPerHour: "24", RecipientsPerDay: "200"},
		{Name: "an-extraordinarily-long-name-that-somebody-chose-for-the-archive@xn--mnchen-3ya.example", RecipientsPerDay: "1000000"},
	} {
		_, err := s.admin.SetLimit(ctx, l)
		s.must(err)
	}
	for i := range 60 {
		_, err := s.admin.SetLimit(ctx, admin.SetLimit{Name: fmt.Sprintf("reader%03d@books.example.org", i+1), RecipientsPerDay: "50"})
		s.must(err)
	}
	s.dns.publish("example.org")
	s.admin.Shown = func(context.Context) ([]admin.Certificate, error) { return s.certificates(), nil }
	s.admin.Checks, s.admin.Previews = checker{}, previewer{s}
}

func (s *site) certificates() []admin.Certificate {
	return []admin.Certificate{
		{
			Names: []string{"mail.example.org", "mta-sts.example.org", "mta-sts.a-domain-with-a-long-name.example"}, Issuer: "Let’s Encrypt R11", Source: admin.CertificateACME,
			NotBefore: s.now().Add(-85 * 24 * time.Hour), NotAfter: s.now().Add(5 * 24 * time.Hour), DaysLeft: 5,
			Error:  "the authority couldn’t reach http://mail.example.org/.well-known/acme-challenge/: connection refused",
			Failed: s.now().Add(-3 * time.Hour), NextTry: s.now().Add(time.Hour),
		},
		{
			Names: []string{"mail.books.example.org"}, Issuer: "Example Trust Services CA 3", Source: admin.CertificateFile, File: "/etc/postroom/books.pem",
			NotBefore: s.now().Add(-100 * 24 * time.Hour), NotAfter: s.now().Add(265 * 24 * time.Hour), DaysLeft: 265,
		},
		{
			Names: []string{"localhost"}, Issuer: "localhost", Source: admin.CertificateSelfSigned,
			NotBefore: s.now().Add(-time.Hour), NotAfter: s.now().Add(365 * 24 * time.Hour), DaysLeft: 365,
		},
	}
}

// A checker thinks of each mail what its sender's name says.
type checker struct{}

var errNoDNS = errors.New("secret detail of the resolver")

func (checker) CheckSPF(_ context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	if r.Helo == "broken.example" {
		return admin.CheckReport{}, errNoDNS
	}
	if r.Helo == "silent.example" {
		return admin.CheckReport{Checks: []store.CheckResult{{Check: "spf", Result: "temperror"}}}, nil
	}
	return admin.CheckReport{
		Checks: []store.CheckResult{{Check: "spf", Result: "fail", Detail: "of " + r.From + " from " + r.IP}}, Explained: []string{"the record of lottery.example: v=spf1 -all"},
	}, nil
}

func (checker) CheckDKIM(_ context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	return admin.CheckReport{Taken: true, Checks: []store.CheckResult{{Check: "dkim", Result: "none", Detail: fmt.Sprintf("%d octets", len(r.Message))}}}, nil
}

func (checker) CheckDMARC(_ context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	return admin.CheckReport{Taken: true, Checks: []store.CheckResult{{Check: "dmarc", Result: "policy", Detail: r.Domain + " wants p=quarantine"}}}, nil
}

func (checker) CheckMessage(_ context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	report := admin.CheckReport{
		Checks: passedChecks, Results: "Authentication-Results: mail.example.org;\r\n\tspf=pass smtp.mailfrom=" + r.From + ";\r\n\tdkim=pass header.d=friends.example header.s=s2026 header.b=\"Xy7Tq2ab\";\r\n\tdmarc=pass header.from=friends.example",
		Reply: "250 2.0.0 accepted", Taken: true, Explained: []string{
			"asked friends.example for its SPF record: v=spf1 ip4:192.0.2.0/24 include:_spf.a-provider-with-a-long-name.example -all",
			"ip4:192.0.2.0/24 matches " + r.IP,
			"asked s2026._domainkey.friends.example for the key: v=DKIM1; k=rsa; p=" + strings.Repeat("MIIBIjANBgkqhkiG9w0BAQ", 16),
		},
	}
	switch {
	case strings.Contains(r.From, "lottery"):
		report.Checks, report.Taken, report.Reply = refusedChecks, false, "550 5.7.1 Refused: 203.0.113.99 is listed in zen.blocklist.example: see https://www.blocklist.example/query/ip/203.0.113.99"
	case strings.Contains(r.From, "later"):
		report.Taken, report.Reply = false, "451 4.7.0 Try again later"
	case strings.Contains(r.From, "shady"):
		report.Spam = true
	}
	return report, nil
}

// guessing has networks guess passwords until they may not log in.
func (s *site) guessing(blocks ...store.LoginBlock) {
	s.t.Helper()
	for _, b := range blocks {
		b.Since = s.now().Add(-5 * time.Minute)
		s.must(s.store.KeepLoginBlock(s.t.Context(), b))
	}
	s.must(s.guard.Load(s.t.Context()))
}

// guessers are two networks that guess.
func (s *site) guessers() []store.LoginBlock {
	return []store.LoginBlock{
		{Network: netip.MustParsePrefix("203.0.113.77/32"), Until: s.now().Add(20 * time.Minute), Failures: 27, Names: 1, Protocol: "submission"},
		{Network: netip.MustParsePrefix("2001:db8:aaaa:bbbb::/64"), Until: s.now().Add(3 * time.Hour), Failures: 270, Names: 132, Protocol: "web"},
	}
}
