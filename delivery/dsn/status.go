package dsn

import (
	"fmt"
	"strings"
	"time"

	"postroom/store/mail"
)

// status writes the machine's part: a block about the message, and one for each
// recipient (RFC 3464 section 2; RFC 6533 if it is in UTF-8).
func (d *document) status(r Report, global bool) {
	d.field("Reporting-MTA", "dns; "+r.Hostname)
	if r.EnvelopeID != "" {
		d.field("Original-Envelope-Id", ascii(mail.Printable(r.EnvelopeID, 200), global))
	}
	d.date("Arrival-Date", r.Arrival)
	for _, recipient := range r.Recipients {
		d.b.WriteString("\r\n")
		d.recipient(r.Action, recipient, global)
	}
}

func (d *document) recipient(action Action, r Recipient, global bool) {
	if kind, address, ok := strings.Cut(r.Original, ";"); ok {
		d.field("Original-Recipient", ascii(mail.Printable(kind+"; "+address, 500), global))
	}
	d.field("Final-Recipient", addressType(r.Address)+"; "+r.Address.String())
	d.field("Action", string(action))
	d.field("Status", status(action, r.Status))
	if r.Remote != "" {
		d.field("Remote-MTA", "dns; "+r.Remote)
	}
	switch {
	case r.Words != "":
		d.field("Diagnostic-Code", "smtp; "+ascii(r.Words, global))
	case r.Detail != "":
		d.field("Diagnostic-Code", "x-postroom; "+ascii(r.Detail, global))
	}
	d.date("Last-Attempt-Date", r.LastAttempt)
	if action == Delayed {
		d.date("Will-Retry-Until", r.RetryUntil)
	}
}

func (d *document) date(name string, at time.Time) {
	if !at.IsZero() {
		d.field(name, at.Format(dateLayout))
	}
}

func addressType(a mail.Address) string {
	if a.IsASCII() {
		return "rfc822"
	}
	return "utf-8"
}

// status returns the code with the class that the action has (RFC 3463 section
// 2).
func status(action Action, code [3]int) string {
	class := 5
	if action == Delayed {
		class = 4
	}
	return fmt.Sprintf("%d.%d.%d", class, code[1], code[2])
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
