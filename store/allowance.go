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

// A SentCount is how much has been sent in the hour and in the day that end now.
type SentCount struct {
	MessagesInHour, MessagesInDay     int64
	RecipientsInHour, RecipientsInDay int64
}

// A LimitError says that a message would go over a limit. Nothing of it was
// counted.
type LimitError struct {
	Owner  Owner
	Name   string        // of the owner: an address, a domain; empty for the server
	Counts string        // "messages" or "recipients"
	Limit  int64         // so many
	Per    time.Duration // in an hour or in a day
	Frees  time.Time     // when there is room for the message again; zero: never, it is larger than the limit
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("over the limit of %d %s in %v", e.Limit, e.Counts, e.Per)
}
