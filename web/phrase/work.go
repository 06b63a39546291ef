package phrase

import (
	"fmt"
	"time"
)

// A deed is what long work does to many things.
type deed struct {
	running, one, many string // "Holding", "recipient", "recipients"
	done               string // behind "3 recipients are"
	after              string // a sentence more once it is done
}

var deeds = map[string]deed{
	"retry":   {"Trying again", "recipient", "recipients", "due now", "What other servers answer is shown as soon as they do."},
	"hold":    {"Holding", "recipient", "recipients", "held, and not sent before being released", ""},
	"release": {"Releasing", "recipient", "recipients", "released", ""},
	"return":  {"Returning", "recipient", "recipients", "returned to the sender", ""},
	"return1": {"Returning", "recipient", "recipients", "returned to the sender", ""}, // of one message
	"drop":    {"Dropping", "recipient", "recipients", "dropped", "Nobody is told."},
	"remove":  {"Removing", "account", "accounts", "removed, with all mail", ""},
	"disable": {"Disabling", "account", "accounts", "disabled: no more logging in or sending, and what they had in the queue is held", ""},
	"enable":  {"Enabling", "account", "accounts", "enabled again", ""},
}

// Working names some work: "Holding mail for example.net".
func Working(kind, about string) string { return deeds[kind].running + " " + about }

// Worked says what some work has done to n things.
func Worked(kind string, n int64) string {
	d := deeds[kind]
	done := d.done
	if n != 1 && kind == "return" {
		done = "returned to their senders"
	}
	text := fmt.Sprintf("%s %s %s.", Plural(n, d.one, d.many), IsAre(n), done)
	if d.after != "" {
		text += " " + d.after
	}
	return text
}

// Steps says how far some work is. What is counted can be other things than those
// that are done at the end: an account is removed message by message.
func Steps(kind string, done, total int64) string {
	if total == 0 {
		return "It is about to begin."
	}
	d := deeds[kind]
	if kind == "remove" { // message by message
		return fmt.Sprintf("%s of %s so far.", Number(done), Plural(total, "message", "messages"))
	}
	return fmt.Sprintf("%s of %s so far.", Number(done), Plural(total, d.one, d.many))
}

// Stopped says what some work has done, to n things in so many steps of all, that was
// stopped.
func Stopped(kind string, n, steps, all int64) string {
	if kind == "remove" {
		return fmt.Sprintf("It was stopped. %s %s removed by then, and %s deleted in all: an account that is still here has the rest of its mail.",
			Plural(n, "account", "accounts"), IsAre(n), Plural(steps, "message", "messages"))
	}
	text := "It was stopped. " + Worked(kind, n)
	if left := all - steps; left > 0 {
		d := deeds[kind]
		return text + " The rest, " + Plural(left, d.one, d.many) + ", is as it was."
	}
	return text + " The rest is as it was."
}

// Failed says what some work has done that failed.
func Failed(kind string, n int64, why string) string {
	return "It ended early: " + why + " " + Worked(kind, n) + " The rest is as it was."
}

// TimeLeft guesses how long some work goes on.
func TimeLeft(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < 2*time.Second:
		return "It is nearly done."
	}
	return "About " + Span(d) + " more."
}

// NotTyped says that what was to be typed, to confirm something, wasn't.
const NotTyped = "What was typed is not what the page asks for. Nothing was removed."

// NothingTicked says that a button for what is ticked was used without ticking
// anything.
const NothingTicked = "Nothing was ticked, so nothing was done. Tick what is meant first."

// What is said of work that isn't known any more.
const (
	WorkRestarted     = "The server was started anew"
	WorkRestartedText = "That ended this work. What it had done by then is kept; the rest is as it was. Nothing goes on by itself: begin it again for the rest."
	WorkForgotten     = "This work is over"
	WorkForgottenText = "It ended more than an hour ago, so how it ended isn’t remembered any more. What it did is kept."
)

// QueueNow says how much there is of a part of the queue.
func QueueNow(n, held int64, exact bool, which string) string {
	count := "Now there " + IsAre(n) + " " + Plural(n, "recipient", "recipients")
	if !exact {
		count = "Now there are more than " + Plural(n, "recipient", "recipients")
	}
	return count + which + " in the queue, and " + Number(held) + " of them " + IsAre(held) + " held."
}
