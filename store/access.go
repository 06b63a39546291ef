package store

import "time"

// An AccessAction is what the admin wants done with mail from somebody.
type AccessAction uint8

// Allow lets mail pass whatever the checks say; Block refuses it.
const (
	Allow AccessAction = iota + 1
	Block
)

// An AccessEntry is one line of the admin's own lists.
type AccessEntry struct {
	// What is a network ("192.0.2.0/24", "2001:db8::/32", a single address with its
	// full length), a domain with all below it ("example.org", lower case, A-labels)
	// or an address ("eve@example.org").
	What    string
	Action  AccessAction
	Note    string
	Created time.Time
	Expires time.Time // zero: never
}

// Ended reports whether the entry counts no more.
func (e AccessEntry) Ended(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }
