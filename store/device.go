package store

import (
	"net/netip"
	"time"
)

// A Device is a network, often of a single address, whose machines can't log in:
// what they submit counts as sent by an account.
type Device struct {
	Network netip.Prefix
	Account AccountID
	Created time.Time
}
