package store

import (
	"fmt"
	"time"
)

// A Scope says whose sending is counted together.
type Scope uint8

// The scopes. Mail counts in all three.
const (
	AccountScope Scope = iota + 1
	DomainScope        // of the submitting account
	ServerScope
)

// An Owner is what an allowance belongs to.
type Owner struct {
	Scope Scope
	ID    int64 // an AccountID or a DomainID; 0 for the server
}

// Special values of a limit.
const (
	Unset   int64 = 0  // what the configuration says
	NoLimit int64 = -1 // none
)

// An Allowance is how much may be sent to other servers in a sliding hour and a
// sliding day. Each limit is positive, Unset or NoLimit.
type Allowance struct {
	MessagesPerHour   int64
	MessagesPerDay    int64
	RecipientsPerHour int64
	RecipientsPerDay  int64
}

// Or returns a with what is Unset taken from def.
func (a Allowance) Or(def Allowance) Allowance {
	for _, p := range []struct{ own, def *int64 }{
		{&a.MessagesPerHour, &def.MessagesPerHour},
		{&a.MessagesPerDay, &def.MessagesPerDay},
		{&a.RecipientsPerHour, &def.RecipientsPerHour},
		{&a.RecipientsPerDay, &def.RecipientsPerDay},
	} {
		if *p.own == Unset {
			*p.own = *p.def
		}
	}
	return a
}

// Limits returns the four limits: messages in an hour and in a day, recipients in
// an hour and in a day.
func (a Allowance) Limits() [4]Limit {
	return [4]Limit{
		{Messages, time.Hour, a.MessagesPerHour},
		{Messages, 24 * time.Hour, a.MessagesPerDay},
		{Recipients, time.Hour, a.RecipientsPerHour},
		{Recipients, 24 * time.Hour, a.RecipientsPerDay},
	}
}

// What limits count.
const (
	Messages   = "messages"
	Recipients = "recipients"
)

// A Limit is one of an allowance's.
type Limit struct {
	Counts string        // Messages or Recipients
	Per    time.Duration // an hour or a day
	Most   int64         // positive, Unset or NoLimit
}

// Allowances are the ones that count where an owner has none of its own. Unset is
// no limit.
type Allowances struct{ Account, Domain, Server Allowance }

// Of returns the allowance of a scope.
func (a Allowances) Of(s Scope) Allowance {
	switch s {
	case AccountScope:
		return a.Account
	case DomainScope:
		return a.Domain
	}
	return a.Server
}

// A LimitUse says how much of a limit is used.
type LimitUse struct {
	Limit           // Most is positive or NoLimit
	Own   bool      // the owner's own, not the default
	Used  int64     // in the hour or the day that ends now
	Frees time.Time // when more is left than now; zero: nothing is used, or there is no limit
}

// Left returns how much is left, NoLimit if there is no limit.
func (u LimitUse) Left() int64 {
	if u.Most == NoLimit {
		return NoLimit
	}
	return max(0, u.Most-u.Used)
}

// Reaches reports whether so many percent of the limit are used.
func (u LimitUse) Reaches(percent int64) bool {
	return u.Most > 0 && u.Used*100 >= u.Most*percent
}

// A Sending is how much somebody may send to other servers and has sent.
type Sending struct {
	Owner Owner
	Name  string    // an address, a domain; empty for the server
	Own   Allowance // what is set for the owner itself
	Uses  [4]LimitUse
}

// A LimitError says that a message would go over a limit. Nothing of it was
// counted.
type LimitError struct {
	Owner Owner
	Name  string // of the owner: an address, a domain; empty for the server
	Limit
	Used  int64     // in the hour or the day that ends now
	Asked int64     // by the message
	Frees time.Time // when there is room for the message again; zero: never, it is larger than the limit
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("over the limit of %d %s in %v", e.Most, e.Counts, e.Per)
}

// A LimitNotice is owed because somebody has used most of a limit: to the
// account's owner, or to the admins.
type LimitNotice struct {
	Owner  Owner
	Name   string // of the owner: an address, a domain; empty for the server
	Admins bool   // it is theirs
	To     []LocalDelivery
	Use    LimitUse // of the limit that is nearest to its end
}
