package phrase

import "strings"

// A QueuePart is the part of the queue that somebody asked for.
type QueuePart struct {
	Message, Domain, Sender string
	Age                     string // "4h"
	Reply                   string
	Held                    bool
}

// Text says which part it is, behind a number of recipients or behind "mail".
func (p QueuePart) Text() string {
	var text string
	if p.Message != "" {
		text += " of the message " + p.Message
	}
	if p.Domain != "" {
		text += " for " + p.Domain
	}
	if p.Sender != "" {
		text += " from " + p.Sender
	}
	if p.Age != "" {
		text += ", older than " + ages[p.Age]
	}
	if p.Reply != "" {
		text += ", last answered “" + p.Reply + "”"
	}
	if p.Held {
		text += ", held"
	}
	return text
}

// Whole says that all of it is meant, in a sentence.
func (p QueuePart) Whole() string {
	all := "all mail in the queue"
	switch {
	case p == QueuePart{}:
		all = WholeQueue
	case p.Held:
		all = "all held mail in the queue"
	}
	return "This is " + all + strings.TrimSuffix(p.Text(), ", held") + "."
}

// WholeQueue names the queue where no part of it is meant.
const WholeQueue = "the whole queue"

// QueuedMessage names one message of the queue.
func QueuedMessage(id string) string { return "the message " + id }

// What is asked and said where mail goes back to its sender.
const (
	ReturnToSender  = "Return it to its sender"
	ReturnToSenders = "Return it to its senders"
	DropSilently    = "Drop it, tell nobody"
	ReportDropped   = "It is not tried again. It is a report itself, so nobody is told; it is just dropped. It was for:"
	ReturnedToAll   = "It is not tried again. Each sender gets a report that says what could not be delivered to whom; what has no sender is just dropped."
	LeftTheQueue    = "This message isn’t in the queue any more; its way shows what happened."
	NothingQueued   = "Nothing of that is in the queue any more."
)

// ReturnOne asks whether to return one message.
func ReturnOne(id string) string { return "Return the message " + id + "?" }

// ReturnMany asks whether to return the mail for many recipients.
func ReturnMany(recipients int64, exact bool) string {
	count := Plural(recipients, "recipient", "recipients")
	if !exact {
		count = "more than " + count
	}
	return "Return mail for " + count + "?"
}

// ReturnedTo says what the return of a message means; whom it was for follows.
func ReturnedTo(sender string) string {
	return "It is not tried again. " + sender + " gets a report that says it could not be delivered to:"
}

// Ticked introduces the messages that were ticked.
func Ticked(messages int64) string {
	return "This is the " + Plural(messages, "message", "messages") + " that you ticked:"
}

// AnyAge and OlderThan name the ages that mail of the queue can be asked to have.
const AnyAge = "Any age"

// OlderThan names one of them: "4h".
func OlderThan(age string) string { return "Older than " + ages[age] }

var ages = map[string]string{"1h": "an hour", "4h": "4 hours", "1d": "a day", "3d": "3 days"}
