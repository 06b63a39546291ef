// Package srs rewrites the senders of forwarded mail (Sender Rewriting Scheme),
// so that a server that asks the sender's domain about us (SPF, RFC 7208) finds
// one of our own domains instead, and finds the way back for bounces.
//
// A sender bob@far.example becomes
//
//	SRS0=HASH=DAY=far.example=bob@alias.example
//
// and one that another forwarder has rewritten already, as
// SRS0=tail@forwarder.example or SRS1=hash=forwarder.example==tail@other.example,
//
//	SRS1=DAYHASH=forwarder.example==tail@alias.example
//
// so that addresses don't grow with each forwarder, and bounces go from us
// straight to the first, who knows what to make of them. DAY is when it was made,
// HASH proves that it was made by us. Nothing is kept: the address says it all.
//
// An address is often longer than the 64 octets before the @ that every server has
// to take (RFC 5321 section 4.5.3.1.1; these are minima, and other forwarders'
// addresses are as long). There is no shorter form that could be reversed without
// a memory, so up to the 254 octets of a whole address they are simply longer;
// mail.ParseAddress takes them.
package srs

import (
	"crypto/hmac"
	"errors"
	"strings"
	"time"

	"postroom/store/mail"
)

// MaxAge is how many days after the one on which it was made an address leads back.
const MaxAge = 21

// maxAddress is how long an address can be (RFC 5321 section 4.5.3.1.3, less its
// angle brackets).
const maxAddress = 254

// Why an address doesn't lead back. To others both are an unknown address.
var (
	ErrForged  = errors.New("the address was not made by us")
	ErrExpired = errors.New("the address has expired")
)

// A Rewriter makes senders that lead back to us, and reads them. It may be used by
// many goroutines at once; its fields are not changed after the first use.
type Rewriter struct {
	// Secrets: what the first has signed is made, what any of them has signed is
	// believed. There must be one.
	Secrets [][]byte
	Now     func() time.Time // nil: time.Now
}

// Is reports whether an address has the form of a rewritten one, whoever has made
// it.
func Is(a mail.Address) bool {
	_, zero := tail(a.Local, "srs0")
	_, one := tail(a.Local, "srs1")
	return zero || one
}

// Forward returns the sender with which mail of sender is to leave in the name of
// domain. It reports false if there is no such address: sender is null, or the
// result would be longer than an address can be.
func (r *Rewriter) Forward(sender mail.Address, domain string) (mail.Address, bool) {
	if sender.IsNull() {
		return mail.Address{}, false
	}
	p := parts{kind: '0', host: sender.Domain, rest: sender.Local, domain: domain, day: r.today()}
	if host, rest, ok := firstForwarder(sender); ok {
		p.kind, p.host, p.rest = '1', host, rest
	}
	made := mail.Address{Local: p.local(p.hash(r.Secrets[0])), Domain: domain}
	return made, len(made.String()) <= maxAddress
}

// firstForwarder returns who has rewritten an address first, and what follows
// "SRS0" in the address there.
func firstForwarder(a mail.Address) (host, rest string, ok bool) {
	if rest, ok = tail(a.Local, "srs0"); ok {
		return a.Domain, rest, true
	}
	if rest, ok = tail(a.Local, "srs1"); !ok {
		return "", "", false
	}
	_, rest, _ = strings.Cut(rest[1:], "=") // another's hash says nothing to us
	host, rest, _ = strings.Cut(rest, "=")
	host, err := mail.ParseDomain(host)
	return host, rest, err == nil && isSeparator(rest)
}

// tail returns what follows the prefix of a rewritten address, from the separator
// on. Others use any of the three.
func tail(local, prefix string) (rest string, ok bool) {
	if len(local) < len(prefix) || fold(local[:len(prefix)]) != prefix {
		return "", false
	}
	return local[len(prefix):], isSeparator(local[len(prefix):])
}

func isSeparator(s string) bool { return s != "" && strings.IndexByte("=+-", s[0]) >= 0 }

// Reverse returns where mail for an address goes that Forward has made: to the
// sender, or to the forwarder who knows the sender. It fails with ErrForged if we
// haven't made it, with ErrExpired if that was too long ago. Who has changed the
// case of letters on the way has changed it in the local part of the result.
func (r *Rewriter) Reverse(a mail.Address) (mail.Address, error) {
	p, hash, ok := parse(a)
	if !ok {
		return mail.Address{}, ErrForged
	}
	age := r.date(&p)
	if !r.made(p, hash) {
		return mail.Address{}, ErrForged
	}
	if age > MaxAge {
		return mail.Address{}, ErrExpired
	}
	// The text was an address when we signed it, but for the case of its letters.
	original, err := mail.ParseAddress(p.original().String())
	if err != nil {
		return mail.Address{}, ErrForged
	}
	return original, nil
}

// made reports whether the hash is ours.
func (r *Rewriter) made(p parts, hash string) bool {
	ok := false
	for _, secret := range r.Secrets {
		ok = hmac.Equal([]byte(fold(hash)), []byte(fold(p.hash(secret)))) || ok
	}
	return ok
}
