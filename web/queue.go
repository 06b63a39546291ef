package web

import (
	"fmt"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// How much of the queue one page shows: messages, and recipients of each. A
// message's own page shows more of them.
const (
	waitingListed = 25
	waitingOfEach = 5
)

type queuePage struct {
	Domain     string // only this one
	Messages   []queuedMessage
	Count      int64 // messages
	Recipients int64
	List       listing
}

// A queuedMessage is one message with the recipients it still waits for.
type queuedMessage struct {
	ID, From         string
	Created, Expires time.Time
	Recipients       []queuedRecipient
	More             int    // recipients that aren't shown
	Waiting, Held    bool   // some of them
	Back             string // the page to return to
}

type queuedRecipient struct {
	To, Status, Tone string
	Attempts         int
	Next             *moment
	Otherwise        string // instead of Next
	LastReply        string
}

func (p *pages) showQueue(v *visit) error {
	page := queuePage{Domain: strings.TrimSpace(v.r.URL.Query().Get("domain"))}
	items, err := p.Admin.Queue(v.r.Context(), admin.QueueSelection{Domain: page.Domain})
	if err != nil && !hasMistake(err) { // what isn't a domain matches nothing
		return err
	}
	page.Messages = byMessage(items, v.r.URL.RequestURI(), p.Now())
	page.Count, page.Recipients = int64(len(page.Messages)), int64(len(items))
	page.List = listing{Path: v.r.URL.Path, query: v.r.URL.Query()}
	page.Messages = shorten(paged(page.Messages, waitingListed, &page.List), waitingOfEach)
	return v.show("queue", "Queue", page)
}

// shorten leaves at most n recipients of each message.
func shorten(messages []queuedMessage, n int) []queuedMessage {
	for i := range messages {
		m := &messages[i]
		shown := min(len(m.Recipients), n)
		m.More = len(m.Recipients) - shown
		m.Recipients = m.Recipients[:shown]
	}
	return messages
}

// queueOf returns what waits of one message.
func (p *pages) queueOf(v *visit, id store.MessageID) ([]queuedMessage, error) {
	items, err := p.Admin.Queue(v.r.Context(), admin.QueueSelection{Message: id.String()})
	return byMessage(items, messageURL(id.String()), p.Now()), err
}

// byMessage gathers the recipients of each message, in the order in which the
// messages first appear.
func byMessage(items []admin.QueueItem, back string, now time.Time) []queuedMessage {
	var messages []queuedMessage
	index := make(map[store.MessageID]int)
	for _, item := range items {
		i, ok := index[item.ID]
		if !ok {
			i = len(messages)
			index[item.ID] = i
			messages = append(messages, queuedMessage{
				ID: item.ID.String(), From: item.From, Created: item.Created, Expires: item.Expires, Back: back,
			})
		}
		m := &messages[i]
		m.Recipients = append(m.Recipients, recipientOf(item, now))
		m.Held = m.Held || item.Status == "held"
		m.Waiting = m.Waiting || item.Status != "held"
	}
	return messages
}

func recipientOf(item admin.QueueItem, now time.Time) queuedRecipient {
	r := queuedRecipient{To: item.To, Status: item.Status, Attempts: item.Attempts, LastReply: item.LastReply, Tone: "info"}
	switch {
	case item.Status == "held":
		r.Tone, r.Otherwise = "warn", "when it is released"
	case item.Status == "sending":
		r.Tone, r.Otherwise = "good", "at this moment"
	case !item.NextAttempt.After(now):
		r.Otherwise = "due now"
	default:
		next := newMoment(item.NextAttempt, now)
		r.Next = &next
	}
	return r
}

// changeQueue carries out one of the queue's buttons.
func (p *pages) changeQueue(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	selection := admin.QueueSelection{Message: v.field("message"), Domain: v.field("domain"), All: v.field("scope") == "all"}
	var n int64
	var err error
	var what string
	switch v.field("do") {
	case "retry":
		n, err = p.Admin.RetryQueue(v.r.Context(), selection)
		what = "due now. What other servers answer is shown as soon as they do."
	case "hold":
		n, err = p.Admin.HoldQueue(v.r.Context(), selection)
		what = "held, and not sent before being released."
	case "release":
		n, err = p.Admin.ReleaseQueue(v.r.Context(), selection)
		what = "released."
	default:
		return errNoPage
	}
	back := "/queue"
	if b := local(v.field("back")); b != "/" {
		back = b
	}
	switch {
	case hasMistake(err):
		text, _ := mistakeOf(err)
		return v.leave(back, text, "bad")
	case err != nil:
		return err
	}
	return v.done(back, fmt.Sprintf("%s %s %s", plural(n, "recipient", "recipients"), isAre(n), what))
}

// confirmReturn asks before a message goes back to its sender.
func (p *pages) confirmReturn(v *visit) error {
	id, err := store.ParseMessageID(v.r.URL.Query().Get("message"))
	if err != nil {
		return err
	}
	waiting, err := p.queueOf(v, id)
	if err != nil {
		return err
	}
	if len(waiting) == 0 {
		return v.leave(messageURL(id.String()), "This message isn’t in the queue any more; its way shows what happened.", "bad")
	}
	return v.confirm(returnLoss(waiting[0]))
}

func returnLoss(m queuedMessage) confirmPage {
	page := confirmPage{
		Title: "Return the message " + m.ID + "?", Back: messageURL(m.ID), BackText: "Message " + m.ID,
		Action: "/queue/return", Hidden: []hiddenField{{"message", m.ID}}, Button: "Return it to its sender",
		Lost: []string{fmt.Sprintf("It is not tried again. %s gets a report that says it could not be delivered to:", m.From)},
	}
	if m.From == "" {
		page.Lost, page.Button = []string{"It is not tried again. It is a report itself, so nobody is told; it is just dropped. It was for:"}, "Drop it"
	}
	for _, r := range m.Recipients {
		page.Items = append(page.Items, r.To)
	}
	if len(page.Items) > recipientsShown {
		page.Items = append(page.Items[:recipientsShown], fmt.Sprintf("and %d more", len(m.Recipients)-recipientsShown))
	}
	return page
}

func (p *pages) returnQueue(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	id, err := store.ParseMessageID(v.field("message"))
	if err != nil {
		return err
	}
	n, err := p.Admin.CancelQueue(v.r.Context(), admin.QueueSelection{Message: id.String(), Bounce: true})
	if err != nil {
		return err
	}
	return v.done(messageURL(id.String()), fmt.Sprintf("%s %s returned to the sender.", plural(n, "recipient", "recipients"), isAre(n)))
}
