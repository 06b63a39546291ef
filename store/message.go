package store

import (
	"io"
	"net/netip"
	"time"

	"postroom/store/mail"
)

// An Acceptance is everything postroom takes responsibility for when it answers
// 250: one body, the maildrops it appears in and the recipients still to be
// sent to. A backend commits all of it or none.
type Acceptance struct {
	ID       MessageID // from the backend's NewMessageID
	At       time.Time
	Envelope mail.Envelope
	HeaderID string // the field Message-ID, without its brackets; empty if there is none
	Origin   Origin
	// Account is the account that submitted the message, zero if none did. The
	// backend refuses the acceptance with ErrDisabled if it has been disabled.
	Account AccountID
	// Device is the address of a client that submitted it without logging in, as a
	// device of Account. The backend refuses the acceptance with ErrNoDevice if it
	// isn't one any more.
	Device netip.Addr
	// Body gives the message as it is kept, our own header lines in front,
	// every line with CRLF. It is read once, from its start; another number of
	// octets than Size fails the acceptance.
	Body io.Reader
	Size int64

	Local    []LocalDelivery
	Outbound []Outbound
	Owed     []OwedReport
	// Authentic means that SPF or aligned DKIM has proven the envelope's sender.
	Authentic bool

	// Accepted holds the details of the event "accepted"; the backend fills in
	// Time and Kind and adds an event "delivered" or "queued" for each recipient.
	Accepted Event
	// Events are further events of this message, such as the results of checks.
	Events []Event
	// QuotaNotice is set on the one mail that tells an account how full its
	// maildrop is: accepting it marks the notice as sent.
	QuotaNotice *QuotaNotice
	// LimitNotice is the same of the mail that says that a sending limit is near.
	LimitNotice *LimitNotice
	// Answers asks for vacation notices to the envelope's sender.
	Answers []OwedAnswer
	// AnswerTo is set on a vacation notice: accepting it notes that its reader got
	// one, and fails with ErrNotFound if it isn't owed any more.
	AnswerTo *Answer
}

// Origin says who made a message.
type Origin uint8

// The zero Origin is another server's mail.
const (
	FromServer Origin = iota
	FromAccount
	FromUs // bounces and notices
)

// A LocalDelivery puts an accepted message into one account's maildrop. The
// first of several for the same account counts.
type LocalDelivery struct {
	Account   AccountID
	Recipient mail.Address // the address given at RCPT, for Delivered-To
}

// An Outbound asks for an accepted message to be sent to one remote recipient.
type Outbound struct {
	Sender    mail.Address // may differ from the envelope's when forwarding
	Recipient mail.Recipient
	Via       mail.Address // the address given at RCPT, if an alias or a forward led from there to Recipient
	Expires   time.Time    // zero: the backend's default after the acceptance
}

// An OwedReport asks for a report to the envelope's sender, who wanted to hear of
// success (RFC 3461 section 4.1).
type OwedReport struct {
	Recipient mail.Recipient // as it was given at RCPT
	Kind      Owed
}

// A Message is what is known of an accepted message besides its body.
type Message struct {
	ID       MessageID
	At       time.Time
	Envelope mail.Envelope
	HeaderID string
	Account  AccountID
	Size     int64 // octets of the body as kept
}

// A Body is the content of a stored message. It may be read slowly: no database
// lock is held between reads, only one chunk is in memory. A read fails with
// something else than io.EOF if the body can't be read to its end. It is not
// safe for use by several goroutines.
type Body struct {
	io.ReadCloser
	Size int64 // octets that a full read gives
}
