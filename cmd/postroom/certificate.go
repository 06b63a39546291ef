package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postroom/store/admin"
)

// A certificates holds the certificates that all services show. They can be
// replaced while the services run. Whatever goes wrong with a better one, there
// is always one to show once load has returned.
type certificates struct {
	now func() time.Time
	log *slog.Logger

	mu       sync.Mutex
	hostname string
	own      held             // of files, or self-signed: for every name that has none of its own
	acme     map[string]*held // from a certificate authority, by name

	loaded chan struct{} // capacity 1: load was asked for, so whatever failed may be tried again

	shown atomic.Pointer[shownCertificates] // made of the fields above
}

// A held certificate, and what is in the way of a better one.
type held struct {
	cert   *tls.Certificate // nil: none yet
	source string           // as in admin.Certificate
	file   string           // of source "file"
	read   fileStamps       // what the files were when they were read

	trouble  error
	failed   time.Time
	next     time.Time // no try before it; of "file": zero, it is read whenever it changes
	failures int       // in a row
	asked    time.Time // when the authority is asked next whether it wants a renewal
}

// A shownCertificates is what handshakes look at.
type shownCertificates struct {
	byName   map[string]*tls.Certificate
	fallback *tls.Certificate
}

// choose returns the certificate for the name that a client asks for, which may
// be empty.
func (s *shownCertificates) choose(name string) *tls.Certificate {
	if cert := s.byName[strings.ToLower(strings.TrimSuffix(name, "."))]; cert != nil {
		return cert
	}
	return s.fallback
}

func newCertificates(log *slog.Logger) *certificates {
	return &certificates{now: time.Now, log: log, loaded: make(chan struct{}, 1)}
}

// tryAgain has whatever has failed tried again at once: the admin has changed
// something.
func (c *certificates) tryAgain() {
	select {
	case c.loaded <- struct{}{}:
	default: // it has been told already
	}
}

// config returns the TLS configuration that all services share. Ciphers and
// curves are Go's choice, which follows what is known about them.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if shown := c.shown.Load(); shown != nil && shown.fallback != nil {
				return shown.choose(hello.ServerName), nil
			}
			return nil, errors.New("no certificate yet")
		},
	}
}

// publish makes what handshakes look at. Its caller holds mu.
func (c *certificates) publish() {
	shown := &shownCertificates{byName: make(map[string]*tls.Certificate), fallback: c.own.cert}
	for name, h := range c.acme {
		if h.cert != nil {
			shown.byName[name] = h.cert
		}
	}
	if cert := shown.byName[c.hostname]; cert != nil {
		shown.fallback = cert
	}
	c.shown.Store(shown)
}

// names returns the names that a certificate from an authority is shown for.
func (c *certificates) names() []string {
	shown := c.shown.Load()
	if shown == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(shown.byName))
}

// status tells how the certificates stand, that of our own name first.
func (c *certificates) status() []admin.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	var list []admin.Certificate
	if h := c.acme[c.hostname]; h == nil || h.cert == nil {
		first := c.own
		if h != nil { // why there is none from the authority matters more than anything about the stopgap
			first.trouble, first.failed, first.next = h.trouble, h.failed, h.next
		}
		list = append(list, first.status(c.hostname, now))
	} else {
		list = append(list, h.status(c.hostname, now))
	}
	for _, name := range slices.Sorted(maps.Keys(c.acme)) {
		if name != c.hostname {
			list = append(list, c.acme[name].status(name, now))
		}
	}
	return list
}

// status describes h, which is for name.
func (h *held) status(name string, now time.Time) admin.Certificate {
	s := admin.Certificate{Names: []string{name}, Source: h.source, File: h.file, Failed: h.failed, NextTry: h.next}
	if h.trouble == nil {
		s.Failed, s.NextTry = time.Time{}, time.Time{}
	} else {
		s.Error = oneLine(h.trouble.Error())
	}
	if h.cert == nil {
		return s
	}
	leaf := h.cert.Leaf
	s.Names, s.Issuer = namesOf(leaf), issuerOf(leaf)
	s.NotBefore, s.NotAfter = leaf.NotBefore, leaf.NotAfter
	s.DaysLeft = daysLeft(leaf, now)
	return s
}

// namesOf returns all names of a certificate.
func namesOf(leaf *x509.Certificate) []string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 && leaf.Subject.CommonName != "" {
		names = append(names, leaf.Subject.CommonName)
	}
	return names
}

// issuerOf names who has signed a certificate.
func issuerOf(leaf *x509.Certificate) string {
	who := append(slices.Clone(leaf.Issuer.Organization), leaf.Issuer.CommonName)
	return strings.Join(slices.DeleteFunc(who, func(s string) bool { return s == "" }), ", ")
}

// daysLeft returns how many whole days a certificate is still good for; after its
// end it is negative.
func daysLeft(leaf *x509.Certificate, now time.Time) int {
	left := leaf.NotAfter.Sub(now)
	if left < 0 {
		return -1 - int(-left/day)
	}
	return int(left / day)
}
