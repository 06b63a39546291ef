package web

import (
	"strings"
	"time"

	"postroom/store"
)

// A step is one event of a message's way as the timeline shows it.
type step struct {
	At     moment
	Day    string // written where a day begins
	After  string // how long after the step before: "+3 min"
	Title  string
	Tone   string
	About  string // the recipient or account that it is about
	Facts  []fact
	Reply  string // somebody's own words
	Speak  string // whose words they are
	Link   string // a page that tells more
	LinkTo string
}

// A fact is one detail of a step.
type fact struct {
	Name, Value string
	Code        bool // the value is a name or number of machines
}

// words says for each kind of event what happened and how to take it.
var words = map[store.Kind]struct{ title, tone string }{
	store.Accepted:  {"Accepted", "info"},
	store.Delivered: {"Delivered into the maildrop", "good"},
	store.Queued:    {"Queued for sending", "info"},
	store.Attempt:   {"Attempt", "quiet"},
	store.Relayed:   {"Sent: the other server took it", "good"},
	store.Postponed: {"Put off: it will be tried again", "warn"},
	store.Bounced:   {"Failed: it went back to its sender", "bad"},
	store.Delayed:   {"The sender was told that it is late", "warn"},
	store.Collected: {"Collected", "good"},
	store.Deleted:   {"Deleted from the maildrop", "quiet"},
	store.Rejected:  {"Refused", "bad"},
	store.Held:      {"Held", "warn"},
	store.Released:  {"Released", "info"},
	store.Hastened:  {"An attempt was asked for", "info"},
	store.Cancelled: {"Taken out of the queue", "quiet"},
}

// timeline turns a message's events into steps, in order.
func timeline(events []store.Event, now time.Time) []step {
	steps := make([]step, len(events))
	for i, e := range events {
		steps[i] = stepOf(e, now)
		if i > 0 && e.Kind != store.Attempt && e.Reply == events[i-1].Reply { // the attempt just said it
			steps[i].Reply = ""
		}
		if i == 0 || !sameDay(steps[i].At.At, steps[i-1].At.At) {
			steps[i].Day = steps[i].At.At.Format("2 Jan 2006")
		}
		if i > 0 {
			steps[i].After = elapsed(e.Time.Sub(events[i-1].Time))
		}
	}
	return steps
}

func sameDay(a, b time.Time) bool {
	return a.Format(time.DateOnly) == b.Format(time.DateOnly)
}

func stepOf(e store.Event, now time.Time) step {
	w, known := words[e.Kind]
	if !known {
		w.title, w.tone = string(e.Kind), "quiet"
	}
	s := step{
		At: newMoment(e.Time, now), Title: w.title, Tone: w.tone, About: whose(e),
		Facts: factsOf(e, now), Reply: e.Reply, Speak: speaker(e),
	}
	if e.Kind == store.Attempt {
		s.Title, s.Tone = attempt(e)
	}
	if e.Report != nil {
		s.Link, s.LinkTo = messageURL(e.Report.String()), "The report to the sender"
		if e.Kind == store.Accepted {
			s.LinkTo = "The message that this report is about"
		}
	}
	return s
}

func attempt(e store.Event) (title, tone string) {
	switch e.Outcome {
	case "sent":
		return "Attempt: taken", "good"
	case "deferred":
		return "Attempt: not now", "warn"
	case "failed":
		return "Attempt: refused", "bad"
	}
	return "Attempt", "quiet"
}

// factsOf lists the details of an event, who first and how after.
func factsOf(e store.Event, now time.Time) []fact {
	var facts []fact
	add := func(name, value string, code bool) {
		if value != "" {
			facts = append(facts, fact{Name: name, Value: value, Code: code})
		}
	}
	if whose(e) == e.Account && e.Recipient != e.Account {
		add("Sent to", e.Recipient, false)
	}
	if whose(e) != e.Account {
		add("Signed in as", e.Account, false)
	}
	add("Client", e.Client, true)
	add("Called itself", e.Helo, true)
	add("Protocol", strings.ToUpper(e.Protocol), false)
	add("Host", e.Host, true)
	add("At address", e.IP, true)
	add("Encryption", encryption(e), false)
	if e.Size > 0 {
		add("Size", octets(e.Size), false)
	}
	add("Because", e.Reason, false)
	if e.Next != nil {
		add("Next attempt", planned(*e.Next, now), false)
	}
	return facts
}

// encryption says how a connection was protected, nothing for an event that had
// none.
func encryption(e store.Event) string {
	switch {
	case e.TLS == "none" && e.Outcome == "sent", e.Kind == store.Accepted && e.TLS == "" && plain(e.Protocol):
		return "none: anybody on the way could read it"
	}
	return e.TLS
}

// planned says when something is to happen, or was.
func planned(at, now time.Time) string {
	m := newMoment(at, now)
	text := m.Clock()
	if !sameDay(m.At, now) {
		text = m.Exact()
	}
	if at.After(now) {
		text += " (" + m.Short + ")"
	}
	return text
}

// plain reports whether a protocol word says that there was no TLS
// (RFC 3848 for those of SMTP).
func plain(protocol string) bool {
	switch strings.ToUpper(protocol) {
	case "SMTP", "ESMTP", "ESMTPA", "UTF8SMTP", "UTF8SMTPA":
		return true
	}
	return false
}

// speaker says whose words an event's reply is.
func speaker(e store.Event) string {
	switch {
	case e.Kind == store.Accepted || e.Kind == store.Rejected:
		return "We answered"
	case e.Host != "":
		return e.Host + " answered"
	}
	return "In words"
}
