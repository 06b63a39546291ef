package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// certificatePage is where the web page shows the certificates.
const certificatePage = "/certificate"

// concernPrefix begins the keys of all concerns about certificates.
const concernPrefix = "certificate "

// concerns is the part of the store that keeps what the admin should know.
type concerns interface {
	Raise(ctx context.Context, c store.Concern) error
	Clear(ctx context.Context, key string) error
	Concerns(ctx context.Context) ([]store.Concern, error)
}

// keepCertificates looks after the certificates until ctx ends: files that have
// changed, certificates to be got or renewed, and what the admin should know.
func (sv *server) keepCertificates(ctx context.Context) error {
	sv.monitor.registry.MustRegister(newCertificateCollector(sv.certs.status))
	client := sv.acmeClient()
	for {
		conf := sv.conf.Load()
		if err := sv.certs.refresh(conf); err != nil {
			sv.log.Error("cannot renew the certificate", "err", err)
		}
		again := client.look(ctx, conf)
		sv.noteConcerns(ctx)
		pause := time.NewTimer(max(again.Sub(sv.certs.now()), time.Second))
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-sv.certs.loaded:
			pause.Stop()
		case <-pause.C:
		}
	}
}

// acmeClient returns the client of the certificate authority.
func (sv *server) acmeClient() *acmeClient {
	return &acmeClient{
		certs:   sv.certs,
		log:     sv.log.With("service", "certificate"),
		domains: sv.admin.Domains,
		lookup:  sv.lookupHost,
		bound:   sv.bound,
		settle:  15 * time.Second,
	}
}

// noteConcerns tells the admin what is wrong with the certificates, and takes back
// what isn't any more.
func (sv *server) noteConcerns(ctx context.Context) {
	now := worries(sv.certs.status(), sv.conf.Load().certificateName(), sv.certs.now())
	if err := noteConcerns(ctx, sv.store, now, sv.log); err != nil && ctx.Err() == nil {
		sv.log.Error("cannot note what is wrong with the certificates", "err", err)
	}
}

func noteConcerns(ctx context.Context, c concerns, now []store.Concern, log *slog.Logger) error {
	before, err := c.Concerns(ctx)
	if err != nil {
		return err
	}
	for _, w := range now {
		told := slices.ContainsFunc(before, func(old store.Concern) bool { return old.Key == w.Key && old.Text == w.Text })
		if !told { // with the days that are left it changes once a day
			log.Warn("something for the admin to know", "concern", w.Key, "text", w.Text)
		}
		if err := c.Raise(ctx, w); err != nil {
			return err
		}
	}
	for _, old := range before {
		still := slices.ContainsFunc(now, func(w store.Concern) bool { return w.Key == old.Key })
		if still || !strings.HasPrefix(old.Key, concernPrefix) {
			continue
		}
		if err := c.Clear(ctx, old.Key); err != nil {
			return err
		}
		log.Info("a concern is over", "concern", old.Key)
	}
	return nil
}

// worries returns what is wrong with certificates of this status: a concern for
// each that is.
func worries(list []admin.Certificate, hostname string, now time.Time) []store.Concern {
	var found []store.Concern
	for i, c := range list {
		name := hostname
		if i > 0 {
			name = c.Names[0]
		}
		if text := worry(c, name, i == 0, now); text != "" {
			found = append(found, store.Concern{Key: concernPrefix + name, Text: text, Cure: certificatePage})
		}
	}
	return found
}

// worry says in one sentence what is wrong with the certificate for name, which
// may be our own; empty: nothing.
func worry(c admin.Certificate, name string, own bool, now time.Time) string {
	switch {
	case c.Error != "" && c.NotAfter.IsZero():
		return fmt.Sprintf("There is no certificate for %s: %s.", name, clause(c.Error))
	case c.Error != "" && c.Source == admin.CertificateSelfSigned:
		return fmt.Sprintf("The certificate for %s is only a self-signed one: %s.", name, clause(c.Error))
	case c.Error != "":
		return fmt.Sprintf("The certificate for %s, which ends %s, can't be renewed: %s.", name, ends(c, now), clause(c.Error))
	case c.NotAfter.IsZero() || c.Source == admin.CertificateSelfSigned:
		return ""
	case isEnding(c, now):
		return fmt.Sprintf("The certificate for %s ends %s.", name, ends(c, now))
	case own && !covers(c.Names, name):
		return fmt.Sprintf("The certificate is for %s, not for %s, which is this server's name.", strings.Join(c.Names, ", "), name)
	}
	return ""
}

// clause returns an error's text as the end of a sentence without its full stop.
func clause(text string) string { return strings.TrimRight(text, ". ") }

// isEnding reports whether a certificate should have been replaced by now. An
// authority may give some that are good for a few days only.
func isEnding(c admin.Certificate, now time.Time) bool {
	limit := 14 * day
	if c.Source == admin.CertificateACME {
		limit = min(limit, c.NotAfter.Sub(c.NotBefore)/6)
	}
	return c.NotAfter.Sub(now) < limit
}

// ends says when a certificate ends, or ended.
func ends(c admin.Certificate, now time.Time) string {
	date := c.NotAfter.UTC().Format(time.DateOnly)
	switch {
	case !c.NotAfter.After(now):
		return fmt.Sprintf("on %s (it is over)", date)
	case c.DaysLeft == 0:
		return fmt.Sprintf("within a day (at %s)", c.NotAfter.UTC().Format("2006-01-02 15:04 UTC"))
	case c.DaysLeft == 1:
		return fmt.Sprintf("tomorrow (on %s)", date)
	}
	return fmt.Sprintf("in %d days (on %s)", c.DaysLeft, date)
}

// covers reports whether one of the names, which may begin with a star, is name.
func covers(names []string, name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) || strings.EqualFold(n, "*."+parent) })
}
