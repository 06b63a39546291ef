package web

import (
	"slices"
	"time"

	"postroom/store"
	"postroom/web/phrase"
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
	Checks []checkRow
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
	store.Bounced:   {"Failed for good", "bad"},
	store.Delayed:   {"It is late", "warn"},
	store.Collected: {"Collected", "good"},
	store.Deleted:   {"Deleted from the maildrop", "quiet"},
	store.Rejected:  {"Refused", "bad"},
	store.Held:      {"Held", "warn"},
	store.Released:  {"Released", "info"},
	store.Hastened:  {"An attempt was asked for", "info"},
	store.Cancelled: {"Taken out of the queue", "quiet"},
	store.Reported:  {"It arrived", "quiet"},
	store.Answered:  {"The sender got the vacation notice", "info"},
}

// tidings are the titles of events that a report told the sender of.
var tidings = map[store.Kind]struct{ title, tone string }{
	store.Bounced:  {"Failed: it went back to its sender", "bad"},
	store.Delayed:  {"The sender was told that it is late", "warn"},
	store.Reported: {"The sender was told that it arrived", "good"},
}

// successes say what the sender who asked for it was told.
var successes = map[string]string{
	"delivered": "The sender was told that it was delivered",
	"relayed":   "The sender was told that it was handed on to a server that reports no more",
	"expanded":  "The sender was told that it was sent on to several others",
}

// timeline turns a message's events into steps, in order.
func timeline(events []store.Event, now time.Time) []step {
	steps := make([]step, len(events))
	for i, e := range events {
		steps[i] = stepOf(e, now)
		if i > 0 && e.Kind != store.Attempt && e.Reply == events[i-1].Reply { // the attempt just said it
			steps[i].Reply = ""
		}
		if i > 0 && slices.Equal(e.Checks, events[i-1].Checks) { // one recipient after the other
			steps[i].Checks = nil
		}
		if i == 0 || !sameDay(steps[i].At.At, steps[i-1].At.At) {
			steps[i].Day = steps[i].At.At.Format("2 Jan 2006")
		}
		if i > 0 {
			steps[i].After = phrase.Elapsed(e.Time.Sub(events[i-1].Time))
		}
	}
	return steps
}

func sameDay(a, b time.Time) bool {
	return a.Format(time.DateOnly) == b.Format(time.DateOnly)
}

func stepOf(e store.Event, now time.Time) step {
	s := step{
		At: newMoment(e.Time, now), About: whose(e),
		Facts: factsOf(e, now), Checks: checkRowsOf(e.Checks), Reply: e.Reply, Speak: speaker(e),
	}
	s.Title, s.Tone = titleOf(e)
	if e.Report != nil {
		s.Link, s.LinkTo = messageURL(e.Report.String()), "The report to the sender"
		switch {
		case e.Kind == store.Accepted:
			s.LinkTo = "The message that this is about"
		case e.Kind == store.Answered:
			s.LinkTo = "The vacation notice"
		case e.Reason != "": // somebody else is told
			s.LinkTo = "The report"
		}
	}
	return s
}

func titleOf(e store.Event) (title, tone string) {
	if e.Kind == store.Attempt {
		return attempt(e)
	}
	w, known := words[e.Kind]
	if e.Report != nil && e.Reason == "" && tidings[e.Kind].title != "" {
		w = tidings[e.Kind]
		if text := successes[e.Outcome]; text != "" && e.Kind == store.Reported {
			w.title = text
		}
	}
	if !known {
		return string(e.Kind), "quiet"
	}
	return w.title, w.tone
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
