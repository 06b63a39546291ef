package phrase

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

// AnyAge and OlderThan name the ages that mail of the queue can be asked to have.
const AnyAge = "Any age"

// OlderThan names one of them: "4h".
func OlderThan(age string) string { return "Older than " + ages[age] }

var ages = map[string]string{"1h": "an hour", "4h": "4 hours", "1d": "a day", "3d": "3 days"}
