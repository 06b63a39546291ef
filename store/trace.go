package store

import (
	"net/netip"
	"time"
)

// An Event is one step on the way of a message. Its details are flat: each kind
// uses the few that it needs, and leaves the others out. No field ever holds a
// password or a part of a message's content.
type Event struct {
	Time      time.Time `json:"time,omitzero"`
	Kind      Kind      `json:"kind,omitempty"`
	Recipient string    `json:"recipient,omitempty"`

	// Who spoke to us: accepted, rejected, collected, deleted.
	Client   string `json:"client,omitempty"`   // address of the other end
	Helo     string `json:"helo,omitempty"`     // what it called itself
	Protocol string `json:"protocol,omitempty"` // the word of a Received field (ESMTPSA), "pop3", "pop3s", "local"
	Account  string `json:"account,omitempty"`  // who had logged in, or whose maildrop it is
	Device   string `json:"device,omitempty"`   // the network of which the client is a device of Account: nobody had logged in
	Size     int64  `json:"size,omitempty"`     // octets as kept

	// To whom we spoke: attempt, sent, deferred, bounced.
	Host string `json:"host,omitempty"`
	IP   string `json:"ip,omitempty"`
	TLS  string `json:"tls,omitempty"` // "TLS 1.3 TLS_AES_128_GCM_SHA256"; on an attempt without TLS "none"
	// Certificate is how the server's certificate was judged, and by what rule.
	Certificate string `json:"certificate,omitempty"`
	Source      string `json:"source,omitempty"` // the address and name that we came with, where the admin has set one
	Reply       string `json:"reply,omitempty"`  // the remote's own words, or ours to a client
	// Signed is an attempt's DKIM signatures: "example.org pr202611r, pr202611e"; or
	// why there are none where there should be.
	Signed  string     `json:"signed,omitempty"`
	Outcome string     `json:"outcome,omitempty"` // of an attempt: "sent", "deferred", "failed"; reported: "delivered", "relayed", "expanded"
	Next    *time.Time `json:"next,omitempty"`    // deferred, queued: when it is tried again

	// Checks is what the checks of a message found out: accepted, rejected.
	Checks []CheckResult `json:"checks,omitempty"`

	Via    string     `json:"via,omitempty"`    // queued: the alias that led to the recipient
	Reason string     `json:"reason,omitempty"` // in words, for the admin
	Report *MessageID `json:"report,omitempty"` // bounced, delayed, answered: the report or the notice; of its "accepted": what it is about
}

// A CheckResult is what one check makes of a message.
type CheckResult struct {
	Check  string `json:"check"`            // "spf", "dkim", "dmarc", "blocklist", "list" …
	Result string `json:"result"`           // the method's own word, "pass"; "listed", "allowed"
	Detail string `json:"detail,omitempty"` // in words, for the admin
}

// A Kind is the name of an event.
type Kind string

// The kinds of events.
const (
	Accepted  Kind = "accepted"
	Delivered Kind = "delivered" // into a maildrop
	Queued    Kind = "queued"
	Attempt   Kind = "attempt"
	Relayed   Kind = "sent" // a remote server took it
	Postponed Kind = "deferred"
	Bounced   Kind = "bounced"
	Delayed   Kind = "delayed"   // its sender was told that it is late
	Collected Kind = "collected" // RETR complete
	Deleted   Kind = "deleted"
	Rejected  Kind = "rejected"
	Held      Kind = "held"
	Released  Kind = "released"
	Hastened  Kind = "retry" // the admin asked for an attempt now
	Cancelled Kind = "cancelled"
	Reported  Kind = "reported" // its sender was told of a success
	Answered  Kind = "answered" // its sender got a vacation notice
)

// A Trail is the whole way of one message.
type Trail struct {
	ID       MessageID `json:"id"`
	HeaderID string    `json:"message_id"`
	At       time.Time `json:"time"`
	From     string    `json:"from"`
	To       []string  `json:"to"`
	Events   []Event   `json:"events"`
}

// A Refusal is a message, or an attempt at one, that we did not take. It is
// written when there is time, and may be lost in a crash.
type Refusal struct {
	ID       MessageID
	HeaderID string
	From     string
	To       []string
	Events   []Event // of kind Rejected
}

// A TrailQuery selects the trails that all of its fields select; the zero one
// selects every trail.
type TrailQuery struct {
	Text string       // an ID, a Message-ID with or without brackets, an address: what could be several is looked up as each
	ID   MessageID    // exactly this one
	Host string       // a host, or a domain that it is in: what a client called itself, whom we sent to
	IP   netip.Prefix // of a client, or of a server that we sent to
	// Outcome is the kind of an event that the trail has; but Queued and Held mean that
	// a recipient waits in the queue, or is held there, now.
	Outcome      Kind
	Since, Until time.Time // when the message came; Until itself is too late

	// Before and After are positions in the list: trails with smaller IDs, or larger
	// ones. At most one of them is set.
	Before, After MessageID
	Limit         int // zero: 100
}

// A TrailPage is a part of the trails that a query selects, newest first.
type TrailPage struct {
	Trails []Trail
	// Newer and Older are the positions to look further from, for After and Before;
	// zero where nothing is left.
	Newer, Older MessageID
	// Looked is set if the search was given up before the page was full or all was
	// looked at: it is how many trails were looked at. Looking further goes on.
	Looked int64
	// Unindexed is how many trails can't be found by all of their keys yet.
	Unindexed int64
	// Clipped is set if the host or the network stands for so many that only the first
	// of them were looked for.
	Clipped bool
}

// Counts are the numbers of the first page.
type Counts struct {
	Domains, Accounts, Aliases int64
	Queued, Held               int64     // recipients waiting in the queue; those of them that are held
	Oldest                     time.Time // when the oldest of the queue came in; zero if there is none
	Received, Delivered        int64     // today: messages accepted, entries put into maildrops
	Sent, Bounced, Rejected    int64     // today: recipients
}
