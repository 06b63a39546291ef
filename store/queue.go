package store

import (
	"time"

	"postroom/store/mail"
)

// A QueueItem is one remote recipient of one message: a delivery.
type QueueItem struct {
	ID        QueueID
	Message   MessageID
	Sender    mail.Address // the envelope sender to send with
	Recipient mail.Recipient
	Domain    string // the recipient's, the destination's key
	Account   AccountID
	Envelope  mail.Envelope // the message's own
	HeaderID  string
	Size      int64
	Created   time.Time
	Expires   time.Time
	Due       time.Time
	Attempts  int // rounds so far
	LastReply string
	Hold      Hold
	Cancel    bool // the admin wants it returned to its sender: fail it without an attempt
	Delayed   bool // its sender has been told that it is late
	Sending   bool // claimed at the moment
}

// Hold is the set of reasons why an item is not sent. The zero Hold is none.
type Hold uint8

// An item is sent again when the last reason is gone.
const (
	HeldByAdmin    Hold = 1 << iota
	HeldForAccount      // the submitting account is disabled
	HeldByRestore       // the queue came out of a backup
)

// A ClaimRequest asks for due items that nobody else is working on.
type ClaimRequest struct {
	Now   time.Time
	Limit int
	Busy  []string // recipient domains to leave alone
}

// An Outcome says what one round of attempts did to one queue item.
type Outcome struct {
	Item      QueueID
	Message   MessageID
	Recipient mail.Address
	Result    Result
	Retry     time.Time // when Deferred
	Reply     string    // the remote's words, else what went wrong, in one line
	Delayed   bool      // the settlement's Reports tell its sender that it is late
	// Events are the events of this round in order: an "attempt" for each host
	// tried, then what came of it ("sent", "deferred", "bounced", "delayed").
	Events []Event
}

// A Result is the fate of a queue item after a round of attempts.
type Result uint8

// There is no zero Result: an Outcome that nobody filled in is an error.
const (
	Sent        Result = iota + 1 // a remote server took responsibility
	Deferred                      // try again at Retry
	Failed                        // never; its report, if one is owed, is in Reports
	Interrupted                   // we stopped it ourselves: as if never tried
)

// A Settlement records the outcomes of finished rounds together with the
// reports they cause, so that no failure can be lost between the two.
type Settlement struct {
	At       time.Time
	Outcomes []Outcome
	Reports  []Acceptance
}

// A QueueFilter selects queue items. Its fields narrow each other; the zero
// QueueFilter selects all.
type QueueFilter struct {
	Message MessageID
	Domain  string
	Sender  string // Key of the envelope's sender
	Account AccountID
	Limit   int // zero: no limit
}
