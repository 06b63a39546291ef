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
		s.Link, s.LinkTo = messageURL(e.Report.String()), phrase.ReportToSender
		switch {
		case e.Kind == store.Accepted:
			s.LinkTo = phrase.ReportedMessage
		case e.Kind == store.Answered:
			s.LinkTo = phrase.NoticeOfVacation
		case e.Reason != "": // somebody else is told
			s.LinkTo = phrase.ReportToOther
		}
	}
	return s
}

func titleOf(e store.Event) (title, tone string) {
	// A report with a reason went to somebody else than the message's sender.
	return phrase.Event{Kind: string(e.Kind), Outcome: e.Outcome, Told: e.Report != nil && e.Reason == ""}.Title()
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
