package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"postroom/store/admin"
)

// acmePause is the most time between two looks at which certificates are needed:
// domains come and go while the server runs.
const acmePause = 10 * time.Minute

// acmeLimit is how long the authority may take for one certificate.
const acmeLimit = 5 * time.Minute

// An acmeClient gets certificates from a certificate authority (RFC 8555) and
// renews them, for our own name and for those that web clients ask for.
type acmeClient struct {
	certs   *certificates
	log     *slog.Logger
	domains func(context.Context) ([]admin.Domain, error)
	lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	bound   func(service string) net.Addr // where a service listens; nil: it doesn't
	settle  time.Duration                 // how long other DNS servers may take to follow the one that we update
}

// look gets what is missing and renews what is due. It returns when to look
// again.
func (a *acmeClient) look(ctx context.Context, conf *Config) time.Time {
	again := a.certs.now().Add(acmePause)
	if !conf.usesACME() {
		return again
	}
	wanted := a.wanted(ctx, conf)
	a.certs.keepOnly(wanted)
	for _, w := range wanted {
		if !w.here {
			continue
		}
		if a.isDue(ctx, conf, w.name) {
			a.get(ctx, conf, w.name)
		}
		if ctx.Err() != nil {
			return again
		}
		if next := a.certs.nextTry(w.name); next.Before(again) {
			again = next
		}
	}
	return again
}

// A wantedName is one that web or mail clients look for us under.
type wantedName struct {
	name string
	here bool // DNS leads it to us: only then can the authority find us there
}

// wanted returns our own name, whatever DNS says of it: without its certificate
// nothing works, so that the authority's words are worth having. Those of our
// domains' web services follow: asking for one that doesn't lead here would only
// use up what the authority allows.
func (a *acmeClient) wanted(ctx context.Context, conf *Config) []wantedName {
	list := []wantedName{{conf.certificateName(), true}}
	if len(conf.Listen.HTTPS) == 0 {
		return list
	}
	domains, err := a.domains(ctx)
	if err != nil {
		a.log.Error("cannot see which domains need certificates", "err", err)
	}
	for _, d := range domains {
		if d.Backup {
			continue
		}
		for _, service := range []string{"mta-sts.", "autoconfig.", "autodiscover."} {
			if name := service + d.Name; name != conf.certificateName() {
				list = append(list, wantedName{name, a.leadsHere(ctx, name, conf.certificateName())})
			}
		}
	}
	return list
}

// leadsHere reports whether DNS leads name to us: every address is this machine's,
// or one of those of our own name, which may be a gateway's.
func (a *acmeClient) leadsHere(ctx context.Context, name, hostname string) bool {
	addrs, err := a.lookup(ctx, name)
	if err != nil || len(addrs) == 0 {
		return false
	}
	known, _ := a.lookup(ctx, hostname) // without any, those of this machine count
	return !slices.ContainsFunc(addrs, func(ip netip.Addr) bool { return !slices.Contains(known, ip) && !isOwnAddress(ip) })
}

// isDue reports whether a certificate is to be got for name now.
func (a *acmeClient) isDue(ctx context.Context, conf *Config, name string) bool {
	h, now := a.certs.find(name), a.certs.now()
	if now.Before(h.next) {
		return false
	}
	if h.cert == nil || !now.Before(renewal(h.cert.Leaf)) {
		return true
	}
	if now.Before(h.asked) {
		return false
	}
	a.certs.ask(name, now.Add(6*time.Hour))
	return a.isCalledBack(ctx, conf, h.cert)
}

// renewal is when a certificate is renewed: with a third of its time left.
func renewal(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3)
}

// retryAfter is how long to wait after so many failures in a row. Let's Encrypt
// takes five failures an hour for one name.
func retryAfter(failures int) time.Duration {
	waits := []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour}
	return waits[min(failures, len(waits))-1]
}

// get gets the certificate for name, or notes why it can't be had.
func (a *acmeClient) get(ctx context.Context, conf *Config, name string) {
	limited, cancel := context.WithTimeout(ctx, acmeLimit)
	defer cancel()
	cert, err := a.obtain(limited, conf, name, a.certs.find(name).failures)
	if ctx.Err() != nil {
		return // a stop is no failure
	}
	if err != nil {
		next := a.certs.fail(name, err)
		a.log.Error("cannot get a certificate", "name", name, "err", explain(err), "full", oneLine(err.Error()), "next", next)
		return
	}
	a.certs.take(name, cert)
	a.log.Info("has a new certificate", "name", name, "issuer", issuerOf(cert.Leaf), "ends", cert.Leaf.NotAfter)
}

// explain returns what the authority says was wrong, if it said anything.
func explain(err error) string {
	problem, ok := errors.AsType[acme.Problem](err)
	if !ok {
		return oneLine(err.Error())
	}
	var said []string
	for _, p := range problem.Subproblems {
		said = append(said, p.Detail)
	}
	return oneLine(fmt.Sprintf("the certificate authority says: %s", cmp.Or(strings.Join(append([]string{problem.Detail}, said...), "; "), problem.Type)))
}
