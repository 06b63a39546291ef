package dsn

import (
	"fmt"
	"strings"

	"postroom/store/mail"
)

// Bounds of the part for people; the machine's part has all.
const (
	maxListed = 100 // addresses in one list
	maxQuotes = 5   // of different words, in one group
)

// maxInSentence is how many octets of a server's words fit into the first
// sentence.
const maxInSentence = 300

// text is the part for people. Its first sentence says what happened.
func text(r Report) string {
	var b strings.Builder
	for i, g := range groups(r) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		r.group(&b, g)
	}
	paragraph(&b, r.about())
	fmt.Fprintf(&b, "\r\n-- \r\nThe mail system at %s\r\nThis report was written by a program; nobody reads what answers it.\r\n", r.Hostname)
	return b.String()
}

// group says what happened to some recipients, what can be done, and who said
// what.
func (r Report) group(b *strings.Builder, g group) {
	names := r.names(g.to)
	phrase, all := enumerate(names)
	b.WriteString(mail.Printable(r.sentence(g, phrase), 950) + "\r\n") // in one line, to be found by programs too
	if !all {
		list(b, names)
	}
	paragraph(b, r.advice(g.to[0]))
	for i, q := range g.quotes {
		if i == maxQuotes {
			paragraph(b, fmt.Sprintf("What else was said, about %s, stands in the part of this report for programs.", count(len(g.quotes)-i, "more recipient")))
			return
		}
		r.quote(b, q, len(g.quotes) > 1)
	}
}

func list(b *strings.Builder, names []string) {
	b.WriteString("\r\n")
	for i, name := range names {
		if i == maxListed {
			fmt.Fprintf(b, "    and %d more\r\n", len(names)-i)
			return
		}
		b.WriteString("    " + name + "\r\n")
	}
}

// sentence says what happened to a group.
func (r Report) sentence(g group, names string) string {
	to, several := g.to[0], len(r.names(g.to)) > 1
	if r.forwarded(to) {
		names += pick(several, ", which forward their mail to other addresses", ", which forwards its mail to another address")
	}
	switch r.Action {
	case Delivered:
		return fmt.Sprintf("Your message has been delivered to %s.", names)
	case Relayed:
		return fmt.Sprintf("Your message to %s has been handed to the next mail server.", names)
	case Expanded:
		return fmt.Sprintf("Your message to %s has been sent on to everybody behind %s.", names, pick(several, "these addresses", "this address"))
	}
	why := r.reason(to, several) + r.saying(g) + r.tried(to)
	switch {
	case r.Action == Delayed:
		return fmt.Sprintf("Your message to %s has not been delivered yet: %s.", names, why)
	case r.toOwner():
		sources, _ := enumerate(aliases(g.to))
		return fmt.Sprintf("A message from %s to %s could not be forwarded to %s: %s.", shown(r.Sender), sources, names, why)
	case to.Cause == Unfit:
		return fmt.Sprintf("Your message can't be sent to %s in this form: %s.", names, why)
	case to.Cause == Returned:
		return fmt.Sprintf("Your message to %s was not sent: %s.", names, why)
	}
	return fmt.Sprintf("Your message could not be delivered to %s: %s.", names, why)
}

// saying quotes in the sentence what the receiver gave as its reason, if it said
// the same about all.
func (r Report) saying(g group) string {
	to := g.to[0]
	if !to.Cause.isRefusal() || to.Words == "" || len(g.quotes) > 1 {
		return ""
	}
	return fmt.Sprintf(", saying \"%s\"", mail.Printable(to.Words, maxInSentence))
}

// quote shows what was said, by whom and when.
func (r Report) quote(b *strings.Builder, q quotation, several bool) {
	to := q.to[0]
	words := to.Words
	if words == "" {
		words = to.Detail
		if words == "" || to.Cause == Returned || to.Cause.isRefusal() {
			return // the sentence says it
		}
	}
	paragraph(b, r.speaker(q, several)+":")
	b.WriteString("\r\n")
	for _, line := range wrap(mail.Printable(words, r.share()), 200) { // words that are searched for are better not torn
		b.WriteString("    " + line + "\r\n")
	}
}

// speaker introduces a quotation.
func (r Report) speaker(q quotation, several bool) string {
	to, about := q.to[0], ""
	if names := r.names(q.to); several && len(names) > 1 {
		about = fmt.Sprintf(" about %s and %d more", names[0], len(names)-1)
	} else if several {
		about = " about " + names[0]
	}
	switch {
	case to.Words != "" && to.Remote != "":
		return fmt.Sprintf("The server %s answered%s%s", shownDomain(to.Remote), about, r.at(to.LastAttempt))
	case to.Words != "":
		return fmt.Sprintf("The server answered%s%s", about, r.at(to.LastAttempt))
	case several:
		return fmt.Sprintf("What went wrong%s%s", strings.Replace(about, " about ", " for ", 1), r.at(to.LastAttempt))
	}
	return "What went wrong" + r.at(to.LastAttempt)
}

// about says which message it was.
func (r Report) about() string {
	which := "The message"
	if r.Subject != "" {
		which = `The message "` + mail.Printable(r.Subject, 200) + `"`
	}
	which += " was handed to us" + r.at(r.Arrival)
	if r.Trace != "" {
		which += fmt.Sprintf("; our records have it as %s", mail.Printable(r.Trace, 100))
	}
	return which + ". This report is only about the recipients that are named above."
}
