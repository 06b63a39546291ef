package smtpclient

import (
	"context"
	"io"
	"strconv"
	"strings"

	"postroom/store/mail"
)

// maxRecipients is how many recipients any server takes in one transaction (RFC
// 5321 4.5.3.1.8).
const maxRecipients = 100

// A Message is one message to some recipients at one destination.
type Message struct {
	From     mail.Address
	To       []mail.Recipient
	Envelope mail.Envelope // its EightBit, UTF8, Return, ID and TLS count
	Size     int64         // octets that Open's reader gives
	// Open opens the message, with CRLF line ends. It may be called again: to
	// look whether the content fits the server, and for each transaction.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// A Result is what came of a Send.
type Result struct {
	Answers []Answer // one for each recipient, in order
	// Elsewhere means that the host would not hear of the recipients who are
	// neither taken nor refused: the next host may.
	Elsewhere bool
	// Stale means that a connection which had been used before was found closed:
	// a new one to the same host may do, for those same recipients.
	Stale bool
	// Trouble means that the connection, not the message, was what failed: lost,
	// timed out, ended with 421 or with what isn't SMTP. It is never set together
	// with Stale.
	Trouble bool
}

// Send sends a message: in one transaction, or in several if the server wants
// fewer recipients in each. Everything that the server says is in the Result. An
// error is our own trouble, such as a body that can't be read; the connection is
// closed then, without the final dot. If ctx ends, reading the message fails; to
// end a wait for the server, end the context of Dial.
func (c *Conn) Send(ctx context.Context, m Message) (Result, error) {
	result := Result{Answers: make([]Answer, len(m.To))}
	if m.Envelope.TLS == mail.TLSRequired && !c.protects() {
		none(result.Answers, errNeedsTLS)
		return result, nil
	}
	rest, utf8, err := c.fitting(ctx, m, result.Answers)
	for len(rest) > 0 && err == nil {
		n := min(len(rest), c.maxRecipients())
		t := &transaction{conn: c, message: m, utf8: utf8, to: rest[:n], answers: result.Answers}
		err = t.run(ctx)
		c.messages++
		result.Elsewhere, result.Stale, result.Trouble = t.elsewhere, t.stale, t.trouble && !t.stale
		again := t.postponed()
		if t.stopped || !c.Usable() || len(again) == n {
			t.giveUp(rest[n:])
			break
		}
		rest = append(again, rest[n:]...)
	}
	return result, err
}

// maxRecipients respects what the server says of itself (RFC 9422).
func (c *Conn) maxRecipients() int {
	for limit := range strings.FieldsSeq(c.extensions["LIMITS"]) {
		value, ok := strings.CutPrefix(strings.ToUpper(limit), "RCPTMAX=")
		if n, err := strconv.Atoi(value); ok && err == nil && n > 0 {
			return min(n, maxRecipients)
		}
	}
	return maxRecipients
}

// protects reports whether a message that requires TLS may go over the connection
// (RFC 8689 section 4.2.1).
func (c *Conn) protects() bool { return c.Verified && c.Offers("REQUIRETLS") }

// Offers reports whether the server has an extension, named as in its EHLO reply.
func (c *Conn) Offers(extension string) bool {
	_, ok := c.extensions[extension]
	return ok
}
