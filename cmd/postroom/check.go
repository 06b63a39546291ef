package main

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroom/smtpd"
	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/admin"
	"postroom/store/mail"
	"postroom/store/sqlite"
)

// A checker asks the live checks about mail that might come: what they would look
// at is looked at, and nothing is taken, counted or written down.
type checker struct {
	store   *sqlite.Store
	conf    func() *Config
	network func() *network
	log     *slog.Logger
}

// checkTimeout bounds everything that one question makes us ask.
const checkTimeout = time.Minute

// CheckSPF asks whether a client may send in the name of a sender.
func (c *checker) CheckSPF(ctx context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	client, err := c.client(r)
	if err != nil {
		return admin.CheckReport{}, err
	}
	var sender mail.Address
	if r.From != "" {
		if sender, err = mail.ParseAddress(r.From); err != nil {
			return admin.CheckReport{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return c.report(c.authentication().ExamineSPF(ctx, client, sender), "fail", "softfail", "temperror", "permerror"), nil
}

// CheckDKIM verifies the signatures of a message. One that is good is enough.
func (c *checker) CheckDKIM(ctx context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	report := c.report(c.authentication().ExamineDKIM(ctx, smtpd.MessageOf(r.Message)), "fail", "neutral", "policy", "temperror", "permerror")
	report.Taken = report.Taken || slices.ContainsFunc(report.Checks, func(c store.CheckResult) bool { return c.Result == "pass" })
	return report, nil
}

// CheckDMARC finds the policy of a domain.
func (c *checker) CheckDMARC(ctx context.Context, r admin.CheckRequest) (admin.CheckReport, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return c.report(c.authentication().ExamineDMARC(ctx, r.Domain), "temperror", "permerror"), nil
}

// client is what a session would know of the other end.
func (c *checker) client(r admin.CheckRequest) (policy.Client, error) {
	ip, err := netip.ParseAddr(r.IP)
	return policy.Client{Addr: ip, Helo: r.Helo, Hostname: c.conf().Name()}, err
}

// authentication has all its checks on, whatever the configuration says: somebody
// asks.
func (c *checker) authentication() *policy.Authentication {
	a := authentication(c.conf(), c.store, c.network().names)
	a.SPF, a.DKIM, a.DMARC = policy.Mark, policy.Mark, policy.Mark
	return a
}

// report tells an examination of one check. It isn't content with the bad results.
func (c *checker) report(e policy.Examination, bad ...string) admin.CheckReport {
	r := admin.CheckReport{Checks: e.Checks, Spam: e.Spam, Explained: e.Explained, Taken: e.Answer == mail.Status{}}
	if len(e.Results) > 0 {
		r.Results = "Authentication-Results: " + c.conf().Name() + ";\r\n\t" + strings.Join(e.Results, ";\r\n\t") + "\r\n"
	}
	for _, check := range e.Checks {
		r.Taken = r.Taken && !slices.Contains(bad, check.Result)
	}
	return r
}
