package main

import (
	"crypto/tls"
	"errors"
	"maps"
	"slices"
	"time"

	"postroom/store/admin"
)

// find returns what is known of the certificate for name from the authority.
func (c *certificates) find(name string) held {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.acme[name]; h != nil {
		return *h
	}
	return held{source: admin.CertificateACME}
}

// change changes what is known of the certificate for name, and shows the result.
func (c *certificates) change(name string, change func(*held)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.acme == nil {
		c.acme = make(map[string]*held)
	}
	if c.acme[name] == nil {
		c.acme[name] = &held{source: admin.CertificateACME}
	}
	change(c.acme[name])
	c.publish()
}

// take shows cert for name from now on.
func (c *certificates) take(name string, cert *tls.Certificate) {
	c.change(name, func(h *held) { *h = held{cert: cert, source: admin.CertificateACME} })
}

// fail notes that there was no getting a certificate for name, and returns when it
// is tried again.
func (c *certificates) fail(name string, err error) (next time.Time) {
	now := c.now()
	c.change(name, func(h *held) {
		h.failures++
		h.trouble, h.failed, h.next = errors.New(explain(err)), now, now.Add(retryAfter(h.failures))
		next = h.next
	})
	return next
}

// ask notes when the authority is asked next whether it wants a renewal.
func (c *certificates) ask(name string, next time.Time) {
	c.change(name, func(h *held) { h.asked = next })
}

// nextTry returns when something is to be done about the certificate for name.
func (c *certificates) nextTry(name string) time.Time {
	h := c.find(name)
	if h.cert == nil {
		return h.next
	}
	if due := renewal(h.cert.Leaf); due.After(h.next) {
		return due
	}
	return h.next
}

// keepOnly forgets the certificates for names that aren't wanted any more. Those
// that don't lead here at the moment are shown until they end.
func (c *certificates) keepOnly(wanted []wantedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	maps.DeleteFunc(c.acme, func(name string, h *held) bool {
		i := slices.IndexFunc(wanted, func(w wantedName) bool { return w.name == name })
		return i < 0 || !wanted[i].here && (h.cert == nil || now.After(h.cert.Leaf.NotAfter))
	})
	c.publish()
}
