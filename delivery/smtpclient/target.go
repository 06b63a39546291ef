package smtpclient

import (
	"crypto/tls"
	"net/netip"
)

// A Target is one address of one host, and how it is to be spoken to.
type Target struct {
	Host     string // its name, or its IP address in words
	At       netip.AddrPort
	Hostname string     // our name in EHLO; empty: the Client's
	Source   netip.Addr // our address; zero: the kernel's choice
	Security Security
	Auth     *Credentials // nil: no login
	Implicit bool         // TLS from the first byte (RFC 8314), whatever the Level
}

// Security says how a connection must be protected.
type Security struct {
	Level Level
	// Judge says in words how the certificate fits, or in its error why it
	// doesn't. nil: it must be valid for the host by the usual authorities
	// (PKIX). Below Verify its judgement is only noted.
	Judge func(tls.ConnectionState) (judgement string, err error)
	// Why is the rule that demands this, in words: "MTA-STS policy of
	// example.net".
	Why string
	// Name is the one that the server is asked for a certificate for (SNI);
	// empty: the host's.
	Name string
}

// A Level says what a connection without protection means. From Encrypt on it is
// not used.
type Level uint8

// The zero Level takes what the server offers.
const (
	May     Level = iota // TLS if it can be had, whatever the certificate (RFC 7435)
	None                 // no STARTTLS
	Encrypt              // TLS, whatever the certificate
	Verify               // TLS with a certificate that fits
)

// demands reports whether the connection must be encrypted.
func (s Security) demands() bool { return s.Level >= Encrypt }

// requiredBy ends a sentence about what is missing.
func (s Security) requiredBy() string {
	if !s.demands() || s.Why == "" {
		return ""
	}
	return " (required by " + s.Why + ")"
}
