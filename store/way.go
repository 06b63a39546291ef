package store

import (
	"net/netip"
	"time"
)

// Ways are what the admin has said about how mail leaves.
type Ways struct {
	Routes  []Route
	Sources []Source
	Paused  []Pause
	Backup  []string // domains whose mail we only hold
}

// For says whose mail a Route or a Source is for: one account's, else that of
// senders in a domain, else everybody's.
type For struct {
	Account AccountID // zero: not one account's
	Address string    // of Account, filled in by the backend
	Domain  string    // empty: not one domain's senders
}

// A Route leads mail for a domain to a server that the admin has chosen.
type Route struct {
	ID     int64
	Domain string // the recipients'; AnyDomain for all
	For    For
	Host   string // a name or an IP address; empty: where the domain's MX records lead
	Port   int
	TLS    TLSPolicy
	// User and Password are for AUTH; empty: none. The password is shown to
	// nobody.
	User, Password string
	Created        time.Time
}

// AnyDomain is the Domain of a Route for all recipients.
const AnyDomain = "*"

// A TLSPolicy says how a connection must be protected.
type TLSPolicy uint8

// The zero TLSPolicy takes what the server offers.
const (
	TLSMay  TLSPolicy = iota // TLS if it can be had, whatever the certificate
	TLSNone                  // never
	TLSMust                  // TLS with a valid certificate, or the mail waits
)

// A Source is an address of ours to send from, and the name to use with it.
type Source struct {
	IP      netip.Addr
	Name    string // in EHLO; empty: the server's own
	For     For
	Created time.Time
}

// A Pause keeps everything for a recipient domain here.
type Pause struct {
	Domain string
	Since  time.Time
}

// An STSPolicy is what a domain says about TLS to its servers (RFC 8461).
type STSPolicy struct {
	Domain  string
	ID      string   // of the TXT record it was fetched for
	Mode    string   // "enforce", "testing", "none"
	MX      []string // patterns
	Fetched time.Time
	Expires time.Time
}
