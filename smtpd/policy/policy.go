// Package policy decides whom postroom takes mail from and for. Each check is a
// small function of what the client has said so far; a chain asks its checks in
// order and the first that objects decides.
//
// A check can only object. Permission to relay is not something a check can
// grant: the session settles it before any chain runs, so no arrangement of
// checks can turn postroom into an open relay.
package policy

import (
	"context"
	"io"
	"net/netip"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// A Client is what is known about the other end of a session.
type Client struct {
	Addr     netip.Addr
	Helo     string // empty before EHLO
	TLS      bool
	Account  store.AccountID // zero unless authenticated
	Hostname string          // our own name, as Authentication-Results gives it
	Memory   *Memory         // of the session; nil: it has none
}

// A Verdict is the opinion of a check. The zero Verdict is no objection.
type Verdict struct {
	Answer mail.Status // what the client is told; the zero Status means pass
	Reason string      // what the log and the trace are told
	Check  string      // which check objected, set by the chain

	// What a check found out, whether it objects or not. A chain gathers these
	// from all the checks it asked.

	Results []string            // for Authentication-Results, without its semicolon: "spf=pass smtp.mailfrom=example.org"
	Fields  []string            // whole header fields for the front of the message, each with its CRLF
	Checks  []store.CheckResult // for the trace, of a message that is taken or refused
	Delay   time.Duration       // a Connection check: greet the client only after this long

	// Allowed is set by the admin's own list: from then on no check of the chain
	// objects, and none is in the way that can't tell; what they would have said is
	// only noted.
	Allowed bool

	// Quiet says that an objection is one of many of its kind, of which the trace
	// has the first already.
	Quiet bool

	Authentic bool // the envelope's sender is proven: the client may send in the name of its domain
}

// Pass reports whether the verdict lets the session go on.
func (v Verdict) Pass() bool { return v.Answer == mail.Status{} }

// Object returns the verdict that answers the client with status. Whether the
// client should try again is the status's own to say.
func Object(status mail.Status, reason string) Verdict {
	return Verdict{Answer: status, Reason: reason}
}

// A Check judges one step of a session, described by T. An error means that the
// check could not tell; the session answers it with a temporary failure.
type Check[T any] struct {
	Name  string
	Judge func(ctx context.Context, client Client, step T) (Verdict, error)
}

// A Chain judges by asking its checks in order. The nil Chain lets everything
// pass.
type Chain[T any] []Check[T]

// Judge returns the first objection, or a Verdict that passes if there is none.
// Either has what the checks asked so far have found out.
func (chain Chain[T]) Judge(ctx context.Context, client Client, step T) (Verdict, error) {
	var found Verdict
	for _, check := range chain {
		v, err := check.Judge(ctx, client, step)
		found.gather(v)
		if found.Allowed {
			continue
		}
		if err != nil || !v.Pass() {
			found.Answer, found.Reason, found.Check, found.Quiet = v.Answer, v.Reason, check.Name, v.Quiet
			return found, err
		}
	}
	return found, nil
}

func (v *Verdict) gather(next Verdict) {
	v.Results = append(v.Results, next.Results...)
	if !v.Allowed { // later checks only mark what they have something against
		v.Fields = append(v.Fields, next.Fields...)
	}
	v.Checks = append(v.Checks, next.Checks...)
	v.Delay = max(v.Delay, next.Delay)
	v.Allowed = v.Allowed || next.Allowed
	v.Authentic = v.Authentic || next.Authentic
}

// A Recipient is one RCPT TO, of an envelope that stands so far.
type Recipient struct {
	Sender  mail.Address
	Address mail.Address
	Ours    bool // the domain is one of ours
}

// A Message is a message that has been read to its end and not yet accepted.
type Message struct {
	ID         store.MessageID
	Envelope   mail.Envelope
	Recipients []mail.Address
	Forwards   bool             // an alias leads one of them to another server
	Header     []byte           // as it came, every line with CRLF; only read it
	Shown      []byte           // what some programs take for the header: it goes on behind a line that is no field; nil: Header
	From       []mail.Address   // the addresses of the fields From in Shown; nil if they can't be read
	FromFields int              // how many fields From there are
	Size       int64            // octets as they came
	Open       func() io.Reader // the message as it came, header and all, anew each time
	Explain    *Explanation     // for the admin who asks; nil for mail on its way
}

// header returns what may be taken for the header by whoever reads the message.
func (m *Message) header() []byte {
	if m.Shown == nil {
		return m.Header
	}
	return m.Shown
}

// Rules are the chains one listener applies, one per step. The listener for
// other servers and the one for our own users have different Rules; neither
// needs exceptions for the other's clients.
type Rules struct {
	Connection Chain[struct{}]     // before the greeting
	Sender     Chain[mail.Address] // at MAIL
	Recipient  Chain[Recipient]    // at RCPT, once the address is known to be good
	Message    Chain[*Message]     // after the final dot
}
