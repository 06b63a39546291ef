package dsn

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"postroom/store/mail"
)

// maxWords bounds the octets that servers have said about all recipients, where
// that leaves a sentence for each.
const maxWords = 32 << 10

// share is how many octets of a server's words are shown for each recipient.
func (r Report) share() int { return min(1000, max(300, maxWords/len(r.Recipients))) }

// status is the machine's part: a block about the message, and one for each
// recipient (RFC 3464 section 2; RFC 6533 if it is in UTF-8).
func status(r Report, global bool) []byte {
	b := &bytes.Buffer{}
	field(b, "Reporting-MTA", "dns; "+r.Hostname)
	if r.EnvelopeID != "" {
		line(b, "Original-Envelope-Id", ascii(mail.Printable(r.EnvelopeID, 200), global))
	}
	date(b, "Arrival-Date", r.in(r.Arrival))
	for _, to := range r.Recipients {
		b.WriteString("\r\n")
		block(b, r, to, global)
	}
	return b.Bytes()
}

// block is about one recipient.
func block(b *bytes.Buffer, r Report, to Recipient, global bool) {
	if original := originalOf(r, to); original != "" {
		line(b, "Original-Recipient", ascii(original, global))
	}
	known := r.known(to)
	line(b, "Final-Recipient", addressType(known)+"; "+known.String())
	field(b, "Action", string(r.Action))
	field(b, "Status", code(r.Action, to.Status))
	if to.Remote != "" {
		field(b, "Remote-MTA", "dns; "+ascii(mail.Printable(to.Remote, 255), false))
	}
	limit := r.share()
	switch {
	case r.Action.IsSuccess(): // nothing to be diagnosed
	case to.Words != "":
		field(b, "Diagnostic-Code", "smtp; "+ascii(mail.Printable(to.Words, limit), global))
	case to.Detail != "":
		field(b, "Diagnostic-Code", "x-postroom; "+ascii(mail.Printable(to.Detail, limit), global))
	}
	date(b, "Last-Attempt-Date", r.in(to.LastAttempt))
	if r.Trace != "" {
		field(b, "Final-Log-ID", ascii(mail.Printable(r.Trace, 100), false))
	}
	if r.Action == Delayed {
		date(b, "Will-Retry-Until", r.in(to.RetryUntil))
	}
}

// originalOf is the address that the sender meant, with its type: what ORCPT
// says, else for the owner of an alias the alias.
func originalOf(r Report, to Recipient) string {
	kind, address, ok := strings.Cut(to.Original, ";")
	switch {
	case ok:
		return mail.Printable(kind+"; "+address, 500)
	case r.toOwner() && !to.Via.IsNull():
		return addressType(to.Via) + "; " + to.Via.String()
	}
	return ""
}

func date(b *bytes.Buffer, name string, at time.Time) {
	if !at.IsZero() {
		field(b, name, at.Format(dateLayout))
	}
}

func addressType(a mail.Address) string {
	if a.IsASCII() {
		return "rfc822"
	}
	return "utf-8"
}

// code returns the status with the class that the action has (RFC 3463 section
// 2).
func code(action Action, status [3]int) string {
	switch action {
	case Delayed:
		status[0] = 4
	case Relayed:
		status = [3]int{2, 1, 9} // "relayed to a system that does not speak this protocol"
	case Delivered, Expanded:
		status = [3]int{2, 1, 5}
	default:
		status[0] = 5
	}
	return fmt.Sprintf("%d.%d.%d", status[0], status[1], status[2])
}

// ascii replaces what a report that isn't in UTF-8 can't hold.
func ascii(s string, global bool) string {
	if global {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, s)
}
