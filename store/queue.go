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
	Domain    string // the recipient's
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

	Origin    string       // domain of Sender, empty for the null sender
	Via       mail.Address // the address given at RCPT, if an alias or a forward led from there to the recipient
	Owed      Owed         // nothing is to be sent but this report
	Authentic bool         // the envelope's sender is proven: it may be told of a forward that fails
	Ours      bool         // we have written it: a report, a notice
}

// Lane returns the lane that an item is in.
func (i QueueItem) Lane() Lane {
	class := Fresh
	switch {
	case i.Cancel || i.Owed != 0:
		class = Paperwork
	case i.Attempts > 0:
		class = Retried
	}
	return Lane{Domain: i.Domain, Account: i.Account, Origin: i.Origin, Class: class}
}

// A Lane is a part of the queue whose items are alike to whoever schedules them:
// they take the same way, and nobody minds which of them goes first.
type Lane struct {
	Domain  string    // the recipients'
	Account AccountID // who submitted them, zero if nobody did
	Origin  string    // domain of their envelopes' senders
	Class   Class
}

// A Class says what is to be done with the items of a lane.
type Class uint8

// Fresh mail goes before what has been tried; Paperwork needs no server.
const (
	Fresh Class = iota
	Retried
	Paperwork // reports that are owed, and what is to be returned to its sender
)

// A LaneDue says when the earliest item of a lane comes due.
type LaneDue struct {
	Lane
	Due time.Time
	// Hasten means that the admin wants it now, whatever is known of the
	// destination.
	Hasten bool
}

// QueueChanges are what has happened to the queue since somebody last asked.
type QueueChanges struct {
	Lanes []LaneDue // each lane once; something in it may come due earlier than was known
	Ways  bool      // routes, sources, pauses or backup domains have changed
}

// A LaneClaim asks for due items of one lane that nobody else is working on.
type LaneClaim struct {
	Lane Lane
	Now  time.Time
	// Works bounds the messages, PerWork the recipients of each. A message with
	// more of them counts as several works.
	Works, PerWork int
	// Together, if not nil, asks for the other due recipients of the claimed
	// messages too, as far as they are in lanes for which it returns true.
	Together func(Lane) bool
	// Late, if not nil, asks only for items whose time is up at Now, and for
	// those that came in at or before *Late and whose senders haven't been told,
	// due or not.
	Late *time.Time
}

// Claimed are items that are the caller's to settle.
type Claimed struct {
	Items []QueueItem // those of a message together
	// Next is when the earliest item of the lane that is left comes due; zero if
	// there is none. It is not known after a claim with Late.
	Next time.Time
}

// Owed is a report that is owed for a recipient to whom nothing is to be sent.
type Owed uint8

// The zero Owed is none.
const (
	OwedDelivered Owed = iota + 1 // it is in a maildrop
	OwedExpanded                  // it was sent on to several others (RFC 3461 5.2.7)
)

// Health is what is known of a destination.
type Health struct {
	Destination string // its key
	Host        string // the last one spoken to
	Failures    int    // rounds in a row in which no server could be reached
	LastSuccess time.Time
	LastFailure time.Time
	NextTry     time.Time // zero: at once
	Reply       string    // the remote's words, else what went wrong
}

// A DestinationQueue is how much waits for one recipient domain.
type DestinationQueue struct {
	Domain                 string
	Waiting, Held, Sending int64
	Oldest                 time.Time
}

// A DestinationRow is a destination in the list of them.
type DestinationRow struct {
	Destination string // its key
	// Health is what is known of it, or of the one that it follows. Its Destination is
	// empty where nothing is known.
	Health
	Queue       DestinationQueue // at it as a recipient domain; all counts are zero if it is none
	PausedSince time.Time        // zero: it isn't
}

// A DestinationPart is a part of all destinations.
type DestinationPart struct {
	ListPart[DestinationRow]
	Failing, Paused int64 // of all, but for those that only lead to others
}

// A Leading says what is different for a destination because mail goes another way
// than to its recipients' domain.
type Leading struct {
	Destination string // its key
	Waits       int64  // what goes there from other domains
	Follows     string // the destination that it is doing as well as; empty: it counts itself
	Led         bool   // its own mail goes elsewhere, some at least
}

// A LaneQueue is how much of a lane waits to be sent, held mail aside.
type LaneQueue struct {
	Lane
	Waiting, Sending int64
}

// Hold is the set of reasons why an item is not sent. The zero Hold is none.
type Hold uint8

// An item is sent again when the last reason is gone.
const (
	HeldByAdmin    Hold = 1 << iota
	HeldForAccount      // the submitting account is disabled
	HeldByRestore       // the queue came out of a backup
	HeldByPause         // the recipient's domain is paused; never kept with the item
)

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
	Told                          // nothing was to be sent; the report that was owed is in Reports
)

// A Settlement records the outcomes of finished rounds together with the
// reports they cause, so that no failure can be lost between the two.
type Settlement struct {
	At       time.Time
	Outcomes []Outcome
	Reports  []Acceptance
	Health   []Health // of the destinations of which something new is known
}

// A QueueFilter selects queue items. Its fields narrow each other; the zero
// QueueFilter selects all.
type QueueFilter struct {
	Message  MessageID
	Messages []MessageID // nil: any
	Domain   string
	Sender   string // Key of the envelope's sender
	Account  AccountID
	Held     bool      // only what is held
	Before   time.Time // only what came in before; zero: at any time
	Reply    string    // only where the last reply holds this, whatever the case
	After    QueueID   // only later items, for going through them in pages
	Limit    int       // zero: no limit
}
