package policy

import (
	"context"

	"postroom/store/mail"
)

// spamField marks a message for whoever sorts it.
const spamField = "X-Spam: yes\r\n"

// A Mode says what is made of a check's result.
type Mode int

// The modes.
const (
	Off     Mode = iota // the check isn't made
	Mark                // its result stands in Authentication-Results and in the trace
	Enforce             // and mail is refused that the owner of its domain wants refused
)

// An Authentication finds out whether mail comes from whom it says: by SPF, DKIM
// and DMARC together. It must not be copied after the first use, and may be used by
// many goroutines at once.
type Authentication struct {
	DNS              Resolver
	SPF, DKIM, DMARC Mode
	OwnDomains       bool // who says to be of a domain of ours must pass its SPF
	Forwards         bool // look at what is forwarded, in whatever mode
	Ours             func(ctx context.Context, domain string) (bool, error)
}

// Check returns the check of messages. It judges mail of nobody who has logged in.
func (a *Authentication) Check() Check[*Message] {
	return Check[*Message]{Name: "authentication", Judge: func(ctx context.Context, client Client, m *Message) (Verdict, error) {
		return Verdict{}, nil
	}}
}

// ExamineSPF says what SPF makes of a sender's coming from a client.
func (a *Authentication) ExamineSPF(ctx context.Context, client Client, sender mail.Address) Examination {
	return Examination{}
}

// ExamineDKIM says what becomes of each signature of a message. Only Header and
// Open of m are needed.
func (a *Authentication) ExamineDKIM(ctx context.Context, m *Message) Examination {
	return Examination{}
}

// ExamineDMARC says which policy a domain has, and where it comes from. The result
// is "none", "quarantine" or "reject", "absent" where there is no record, or
// "temperror".
func (a *Authentication) ExamineDMARC(ctx context.Context, domain string) Examination {
	return Examination{}
}
