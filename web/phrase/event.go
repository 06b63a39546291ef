package phrase

// An Event is one step of a message's way, as its title tells it. Kind and Outcome are
// the trace's words.
type Event struct {
	Kind, Outcome string
	Told          bool // the message's own sender got a report about it
}

// An eventTitle says what happened and how to take it.
type eventTitle struct{ text, tone string }

var eventTitles = map[string]eventTitle{
	"accepted":  {"Accepted", "info"},
	"delivered": {"Delivered into the maildrop", "good"},
	"queued":    {"Queued for sending", "info"},
	"attempt":   {"Attempt", "quiet"},
	"sent":      {"Sent: the other server took it", "good"},
	"deferred":  {"Put off: it will be tried again", "warn"},
	"bounced":   {"Failed for good", "bad"},
	"delayed":   {"It is late", "warn"},
	"collected": {"Collected", "good"},
	"deleted":   {"Deleted from the maildrop", "quiet"},
	"rejected":  {"Refused", "bad"},
	"held":      {"Held", "warn"},
	"released":  {"Released", "info"},
	"retry":     {"An attempt was asked for", "info"},
	"cancelled": {"Taken out of the queue", "quiet"},
	"reported":  {"It arrived", "quiet"},
	"answered":  {"The sender got the vacation notice", "info"},
}

// tidings are the titles of events that a report told the sender of.
var tidings = map[string]eventTitle{
	"bounced":  {"Failed: it went back to its sender", "bad"},
	"delayed":  {"The sender was told that it is late", "warn"},
	"reported": {"The sender was told that it arrived", "good"},
}

// successes say what the sender who asked for it was told.
var successes = map[string]string{
	"delivered": "The sender was told that it was delivered",
	"relayed":   "The sender was told that it was handed on to a server that reports no more",
	"expanded":  "The sender was told that it was sent on to several others",
}

// attempts are the titles of attempts by their outcome.
var attempts = map[string]eventTitle{
	"sent":     {"Attempt: taken", "good"},
	"deferred": {"Attempt: not now", "warn"},
	"failed":   {"Attempt: refused", "bad"},
}

// Title says what happened, and how to take it: good, info, warn, bad or quiet. An
// event of an unknown kind is called by it.
func (e Event) Title() (text, tone string) {
	title, known := eventTitles[e.Kind]
	if !known {
		return e.Kind, "quiet"
	}
	if tiding, ok := tidings[e.Kind]; ok && e.Told {
		title = tiding
		if success, ok := successes[e.Outcome]; ok && e.Kind == "reported" {
			title.text = success
		}
	}
	if attempt, ok := attempts[e.Outcome]; ok && e.Kind == "attempt" {
		title = attempt
	}
	return title.text, title.tone
}

// What the link from an event to another message is called.
const (
	ReportToSender   = "The report to the sender"
	ReportToOther    = "The report"
	ReportedMessage  = "The message that this is about"
	NoticeOfVacation = "The vacation notice"
)
