package store

import (
	"math"
	"time"

	"postroom/store/mail"
)

// A Domain is one that we take mail for.
type Domain struct {
	ID      DomainID
	Name    string // lower case, A-labels
	Backup  bool   // we only hold its mail until its own server is up
	Listed  bool   // of a backup domain: only the recipients that the admin has named are taken
	Created time.Time
}

// An Account is someone who can log in and own a maildrop.
type Account struct {
	ID       AccountID
	Address  mail.Address
	Name     string // a person's name, may be empty
	Secret   Secret
	Quota    int64 // octets; 0 means none
	Admin    bool
	Disabled bool
	Refuse   bool // while disabled: mail for it is refused
	Created  time.Time
	Usage    Usage
	// TwoFactor is since when the web page asks for a code besides the password.
	// Zero: it doesn't.
	TwoFactor time.Time
}

// A Standing says what an account may do at the moment.
type Standing uint8

// A disabled account can't log in or send, and its queue is held. Mail for it
// still arrives, unless it is refused.
const (
	Enabled Standing = iota
	Disabled
	DisabledRefusing
)

// Standing returns the standing that a's flags mean.
func (a Account) Standing() Standing {
	switch {
	case !a.Disabled:
		return Enabled
	case a.Refuse:
		return DisabledRefusing
	}
	return Disabled
}

// A Secret is what is kept of a password; none of it gives the password back.
// The zero Secret lets nobody in.
type Secret struct {
	Hash  string // argon2id in PHC string format
	SCRAM string // stored keys for SCRAM-SHA-256, empty unless turned on
}

// An AppPassword is a password for one mail program: 128 random bits, of which
// only a SHA-256 is kept. It doesn't open the web page.
type AppPassword struct {
	ID       int64
	Account  AccountID
	Name     string // which program it is for
	Hash     [32]byte
	Created  time.Time
	LastUsed time.Time // zero: never; kept to the hour
}

// An Alias leads from one address to others. A Source without a local part is
// the catch-all of its domain.
type Alias struct {
	Source  mail.Address
	Targets []mail.Address
	Created time.Time
}

// A Destination is where mail for one recipient goes once aliases are
// and forwards are resolved: into a local account or out to a remote address.
type Destination struct {
	Account AccountID    // zero when remote
	Remote  mail.Address // null when local
}

// Unlimited is the room of an account that has no quota.
const Unlimited = math.MaxInt64

// A Resolution is the answer to "where does mail for this address go?".
type Resolution struct {
	Ours         bool          // the domain is one of ours; else Destinations holds the address itself
	Backup       bool          // ours, and we only hold its mail: Destinations holds the address itself
	Destinations []Destination // each once
	// Direct is the account that the address itself names (its tag aside), zero
	// if an alias, a catch-all or a role leads on. Quota is judged for it alone.
	// If its mail is forwarded, it is zero unless a copy is kept.
	Direct AccountID
	Room   int64 // octets left in Direct's maildrop, 0 or less if it is full; Unlimited without a quota
	// Forwarders are the accounts on the way whose mail goes on to others without
	// a copy. They aren't among Destinations.
	Forwarders []AccountID
}
