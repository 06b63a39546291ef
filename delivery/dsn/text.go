package dsn

import (
	"fmt"
	"strings"
	"time"

	"postroom/store/mail"
)

// A Cause is what went wrong, in the classes that a sender can act on.
type Cause uint8

// The causes. The zero Cause is that the receiver refused the message.
const (
	Refused     Cause = iota
	NoAddress         // the address, or its domain, doesn't exist
	Full              // the mailbox is full
	Unreachable       // no server could be reached, or none would answer
	Unfit             // the message can't be sent that way: size, 8-bit, UTF-8
	Returned          // our administrator returned it
)

// text is the part for people. Its first sentence says what happened.
func text(r Report) string {
	var b strings.Builder
	for i, recipient := range r.Recipients {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(mail.Printable(first(r, recipient), 950) + "\r\n") // in one line, to be found by programs too
		if q := quote(recipient); q != "" {
			b.WriteString("\r\n" + q)
		}
	}
	b.WriteString("\r\n")
	paragraph(&b, about(r))
	b.WriteString("\r\n")
	for _, advice := range advices(r) {
		paragraph(&b, advice)
	}
	fmt.Fprintf(&b, "\r\n-- \r\nThe mail system at %s\r\n", r.Hostname)
	return b.String()
}

// first is the sentence that says what happened.
func first(r Report, to Recipient) string {
	address := to.Address.String()
	if r.Action == Delayed {
		return fmt.Sprintf("Your message to %s has not been delivered yet: %s.", address, waiting(r, to))
	}
	switch to.Cause {
	case NoAddress:
		return fmt.Sprintf("Your message could not be delivered to %s: %s.", address, missing(to))
	case Full:
		return fmt.Sprintf("Your message could not be delivered to %s: the mailbox is full.", address)
	case Unreachable:
		return fmt.Sprintf("Your message could not be delivered to %s: %s.", address, waiting(r, to))
	case Unfit:
		return fmt.Sprintf("Your message can't be sent to %s in this form: %s.", address, unfit(to.Status))
	case Returned:
		return fmt.Sprintf("Your message to %s was not sent: the administrator of this mail system returned it.", address)
	}
	if to.Words == "" {
		return fmt.Sprintf("Your message could not be delivered to %s: %s.", address, strings.TrimSuffix(to.Detail, "."))
	}
	return fmt.Sprintf("Your message could not be delivered to %s: the receiving server refused it, saying \"%s\".", address, mail.Printable(to.Words, 300))
}

func missing(to Recipient) string {
	switch to.Status {
	case [3]int{5, 1, 2}:
		return fmt.Sprintf("the domain %s does not exist", to.Address.Domain)
	case [3]int{5, 1, 10}:
		return fmt.Sprintf("the domain %s takes no mail at all", to.Address.Domain)
	case [3]int{5, 4, 4}:
		return fmt.Sprintf("the domain %s has no mail server", to.Address.Domain)
	}
	return "this address does not exist there"
}

// waiting says for how long nothing has helped.
func waiting(r Report, to Recipient) string {
	long := duration(r.At.Sub(to.Since))
	if to.Words != "" {
		return "its mail server has not taken it for " + long
	}
	return fmt.Sprintf("its mail server could not be reached for %s", long)
}

func unfit(status [3]int) string {
	switch {
	case status[1] == 3 && status[2] == 4 || status[1] == 2 && status[2] == 3:
		return "it is too large for the receiving server"
	case status[1] == 6 && status[2] == 3:
		return "it has 8-bit content, which the receiving server does not take"
	case status[1] == 6 && status[2] == 7:
		return "it needs internationalized mail (SMTPUTF8), which the receiving server does not take"
	}
	return "the receiving server does not take it"
}

// quote shows what was said, by whom and when.
func quote(to Recipient) string {
	var b strings.Builder
	switch {
	case to.Words != "" && to.Remote != "":
		fmt.Fprintf(&b, "The server %s answered%s:\r\n", to.Remote, at(to.LastAttempt))
	case to.Words != "":
		fmt.Fprintf(&b, "The server answered%s:\r\n", at(to.LastAttempt))
	case to.Detail != "" && to.Cause != Returned && to.Cause != Refused:
		fmt.Fprintf(&b, "What went wrong%s:\r\n", at(to.LastAttempt))
	default:
		return ""
	}
	words := to.Words
	if words == "" {
		words = to.Detail
	}
	b.WriteString("\r\n")
	for _, line := range wrap(words, 200) {
		b.WriteString("    " + line + "\r\n")
	}
	return b.String()
}

func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(" at 15:04 on 2 January 2006 (MST)")
}

// about says which message it was.
func about(r Report) string {
	which := "The message"
	if r.Subject != "" {
		which = fmt.Sprintf("The message %q", r.Subject)
	}
	if !r.Arrival.IsZero() {
		which += " was handed to us" + at(r.Arrival)
		return which + "."
	}
	return which + "."
}

// advices say what the sender can do, each once.
func advices(r Report) []string {
	if r.Action == Delayed {
		until := "for some days"
		if t := r.Recipients[0].RetryUntil; !t.IsZero() {
			until = "until" + strings.TrimPrefix(at(t), " at")
		}
		return []string{"You need not do anything: we keep trying " + until + ", and tell you if we give up."}
	}
	var list []string
	seen := make(map[Cause]bool)
	for _, to := range r.Recipients {
		if advice := advice(to.Cause); !seen[to.Cause] && advice != "" {
			list = append(list, advice)
		}
		seen[to.Cause] = true
	}
	return list
}

func advice(c Cause) string {
	switch c {
	case NoAddress:
		return "Please check the address for a mistake, and send the message again."
	case Full:
		return "Please tell the recipient in another way, or try again later."
	case Unreachable:
		return "We have given up. If the address is right, please try again later, or reach the recipient in another way."
	case Unfit:
		return "Please send it in another form, or reach the recipient in another way."
	case Returned:
		return "Please ask your administrator why."
	}
	return "Please read what the server says; only the people who run it can change its mind."
}

// duration says a time in words: its largest unit, or hours up to two days.
func duration(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return count(int(d.Round(24*time.Hour)/(24*time.Hour)), "day")
	case d >= 90*time.Minute:
		return count(int(d.Round(time.Hour)/time.Hour), "hour")
	case d >= time.Minute:
		return count(int(d.Round(time.Minute)/time.Minute), "minute")
	}
	return count(max(1, int(d/time.Second)), "second")
}

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// paragraph writes s in lines of at most 76 octets, where it has blanks.
func paragraph(b *strings.Builder, s string) {
	for _, line := range wrap(mail.Printable(s, 2000), 76) {
		b.WriteString(line + "\r\n")
	}
}

func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		for len(word) > 900 {
			cut := runeStart(word, 900)
			lines, word = append(lines, word[:cut]), word[cut:]
		}
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
