package store

import "postroom/store/mail"

// A Hop is one step of working out where mail for an address goes, or whether an
// account may send as it: what an address was found to be.
type Hop struct {
	Depth   int // how many aliases led here
	Address mail.Address
	Kind    HopKind
	Tagged  bool           // found only without its tag
	Keeps   bool           // of what is forwarded, a copy stays
	To      []mail.Address // where an alias or a forward leads; which accounts an address or a role names
}

// A HopKind says what an address was found to be.
type HopKind string

// The kinds of Hops.
const (
	HopAccount  HopKind = "account"
	HopRefuses  HopKind = "refuses" // an account that takes no mail
	HopAlias    HopKind = "alias"
	HopCatchAll HopKind = "catch_all"
	HopForward  HopKind = "forward" // an account that has its mail sent on
	HopGranted  HopKind = "granted" // an address that the admin lets an account send as
	HopRole     HopKind = "role"    // postmaster, abuse: the admins read it
	HopBackup   HopKind = "backup"  // of a domain whose mail we hold
	HopRemote   HopKind = "remote"
	HopNobody   HopKind = "nobody"
	HopLoop     HopKind = "loop" // an alias that was passed before
	HopDeep     HopKind = "deep" // an alias at the end of too long a chain
)
