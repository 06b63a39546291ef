package store

import (
	"net/netip"
	"time"
)

// A WebSession is a browser in which somebody has signed in, or which is only
// remembered from one page to the next.
type WebSession struct {
	ID      int64     // random; it doesn't open the session
	Account AccountID // zero: nobody has signed in
	Data    []byte    // the web page's own
	Began   time.Time
	Seen    time.Time // the last request; a few minutes may be missing
	Expires time.Time
	Client  string // the address of that request
	Agent   string // what the browser calls itself
}

// A TOTPKey is what an app that shows codes and this server share (RFC 6238).
type TOTPKey struct {
	Account AccountID
	Secret  []byte
	Created time.Time
	Step    int64 // of the last code that was taken; later ones alone are taken
}

// A Login is a time at which somebody has logged in.
type Login struct {
	Account     AccountID
	Protocol    string // "submission" (SMTP on any port), "pop3", "web"
	At          time.Time
	Client      netip.Addr
	AppPassword string // its name, empty for the account's password
}

// A LoginSource is where logins of an account came from, well or in vain.
type LoginSource struct {
	Network  netip.Prefix // an IPv4 address, or an IPv6 /64: who has one address of it has them all
	Failed   bool
	Protocol string // of the last one
	First    time.Time
	Last     time.Time
	Times    int64 // failed ones; of others zero, since they aren't counted
}
