// Package dsn writes delivery status notifications (RFC 3464, in the frame of
// RFC 6522): what a sender gets to read when a message could not be delivered,
// or is late, or has arrived and that was asked for. It says what happened in the
// words of people first, and for programs after that.
package dsn

import (
	"io"
	"time"

	"postroom/store/mail"
)

// A Report is about one message and some of its recipients, who share one
// Action.
type Report struct {
	Hostname string       // of the server that reports: ours
	ID       string       // its Message-ID, without brackets
	At       time.Time    // when it is written; its zone is that of all times in the report
	To       mail.Address // the sender of the message, unless Sender is set
	// Sender is the sender of the message if it is not the one who is told: To is
	// then who answers for the alias that forwarded it (Via of the recipients).
	Sender mail.Address
	Action Action

	Arrival    time.Time // when the message came to us
	EnvelopeID string    // ENVID, if it had one
	HeaderID   string    // its Message-ID, without brackets; empty if it has none
	Trace      string    // the name under which our own records have it
	Subject    string    // Message is asked for it if this is empty
	Recipients []Recipient

	// Message gives the message that this is about, with CRLF line ends; nil if
	// it can't be had. Size is how many octets it has.
	Message io.Reader
	Size    int64
	Return  mail.Return
	// SevenBit means that the report must reach a server that may not take 8-bit
	// content: nobody would hear of it if that refused the report.
	SevenBit bool
}

// An Action is what happened, as RFC 3464 2.3.3 calls it.
type Action string

// The actions that are reported.
const (
	Failed    Action = "failed"
	Delayed   Action = "delayed"
	Delivered Action = "delivered" // into a mailbox of ours
	Relayed   Action = "relayed"   // to a server that doesn't report (RFC 3461 5.2.2)
	Expanded  Action = "expanded"  // to the several addresses of an alias (RFC 3461 5.2.7)
)

// IsSuccess reports whether an action is one that the sender had to ask for.
func (a Action) IsSuccess() bool { return a != Failed && a != Delayed }

// A Recipient is one that a report is about.
type Recipient struct {
	Address  mail.Address // to whom we sent
	Original string       // ORCPT as "type;address", or empty
	// Via is the address that the sender wrote to, if we forward from there to
	// Address. The sender isn't told of Address: that is the business of those who
	// forward. What a remote server says may name it all the same.
	Via    mail.Address
	Status [3]int // RFC 3463; the class is made to fit the action
	Cause  Cause
	// GivenUp means that nothing has said no for good: we have tried until the
	// message's time was up.
	GivenUp bool
	Backup  bool   // we hold the mail of the recipient's domain while its own server is down
	Relay   string // the server that our admin lets this mail leave through, if any
	// Remote is the host that spoke, or that was spoken to, and Words what it
	// said; empty if no server has said anything.
	Remote string
	Words  string
	// Detail says what went wrong if Words is empty, or besides them.
	Detail      string
	LastAttempt time.Time // zero: there was none
	Since       time.Time // how long it has been tried: since then
	RetryUntil  time.Time // Delayed: when it is given up
}

// A Document is a report as it goes out.
type Document struct {
	Body     []byte // the whole message
	EightBit bool   // it has octets above 127: BODY=8BITMIME
	UTF8     bool   // its header has: SMTPUTF8
}

// Compose writes a report. It fails only if the message can't be read.
func Compose(r Report) (Document, error) {
	if !r.To.IsASCII() {
		r.SevenBit = false // SMTPUTF8 brings 8BITMIME with it (RFC 6531 3.1)
	}
	o, err := readOriginal(r)
	if err != nil {
		return Document{}, err
	}
	if r.Subject == "" {
		r.Subject = o.subject
	}
	d := &document{sevenBit: r.SevenBit}
	d.add("Notification", "text/plain; charset=utf-8", []byte(text(r)))
	kind := "message/delivery-status"
	global := isGlobal(r, o)
	if global {
		kind = "message/global-delivery-status"
	}
	d.add("Delivery report", kind, status(r, global))
	if o.text != nil {
		d.add(o.description(r), o.kind(global), o.text)
	}
	body := d.write(r)
	return Document{Body: body, EightBit: !isASCII(body), UTF8: !r.To.IsASCII()}, nil
}

// isGlobal reports whether the machine's part needs UTF-8 (RFC 6533): for an
// address, or for the header of the message.
func isGlobal(r Report, o original) bool {
	for _, to := range r.Recipients {
		if !r.known(to).IsASCII() || !isASCII([]byte(to.Original)) {
			return true
		}
	}
	return !r.To.IsASCII() || o.utf8Header
}

// toOwner reports whether the report goes to who answers for an alias.
func (r Report) toOwner() bool { return !r.Sender.IsNull() }

// known is a recipient's address as the reader of the report knows it.
func (r Report) known(to Recipient) mail.Address {
	if to.Via.IsNull() || r.toOwner() {
		return to.Address
	}
	return to.Via
}

// forwarded reports whether the reader wrote to another address than the one
// that this is about.
func (r Report) forwarded(to Recipient) bool { return r.known(to) != to.Address }

// in puts all times of a report into its zone.
func (r Report) in(t time.Time) time.Time { return t.In(r.At.Location()) }
