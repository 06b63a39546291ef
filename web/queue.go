package web

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// How much of the queue one page shows: messages, and recipients of each. A
// message's own page shows more of them. The page looks at so many recipients at
// most, however long the queue is.
const (
	waitingListed = 25
	waitingOfEach = 5
	waitingRead   = 1000
)

type queuePage struct {
	Filter   queueFilter
	Messages []queuedMessage
	Title    string // how much it is
	All      string // what the buttons for all of it touch
	Here     string // this page, for coming back
	First    string // URLs of other pages, empty where there is none
	Next     string
}

func (p *pages) showQueue(v *visit) error {
	query := v.r.URL.Query()
	filter := filterIn(query.Get)
	after, err := strconv.ParseInt(query.Get("after"), 10, 64)
	if err != nil || after < 0 {
		after = 0
	}
	page := queuePage{Filter: filter, Here: filter.url(store.QueueID(after))}
	part, err := p.queuePart(v, filter, store.QueueID(after), page.Here)
	if err != nil && !hasMistake(err) { // what isn't a domain or an address matches nothing
		return err
	}
	page.Messages = shorten(part.messages, waitingOfEach)
	if after != 0 {
		page.First = filter.url(0)
	}
	if part.next != 0 {
		page.Next = filter.url(part.next)
	}
	if len(page.Messages) > 0 {
		if err := p.countQueue(v, &page, part); err != nil {
			return err
		}
	}
	return v.show("queue", "Queue", page)
}

// countQueue says how much there is, of which the page shows a part.
func (p *pages) countQueue(v *visit, page *queuePage, part queuePart) error {
	if page.First == "" && page.Next == "" {
		page.Title = phrase.Plural(int64(part.read), "recipient", "recipients") + " of " +
			phrase.Plural(int64(len(part.messages)), "message", "messages") + page.Filter.Text()
		page.All = "All " + phrase.Number(int64(part.read)) + ":"
		return nil
	}
	n, exact, err := p.Admin.CountQueue(v.r.Context(), page.Filter.selection())
	if err != nil {
		return err
	}
	count := phrase.Plural(n, "recipient", "recipients")
	if !exact {
		count = "More than " + count
	}
	page.Title, page.All = count+page.Filter.Text(), fmt.Sprintf(phrase.AllOfThem, strings.ToLower(count))
	return nil
}

// A queuePart is the part of the queue that one page is about.
type queuePart struct {
	messages []queuedMessage
	read     int           // recipients
	next     store.QueueID // behind which the rest lies, zero if there is none
}

var errEnough = errors.New("enough for one page")

// queuePart reads a page's part of the queue: it ends between two messages, unless
// one alone fills it.
func (p *pages) queuePart(v *visit, filter queueFilter, after store.QueueID, here string) (queuePart, error) {
	selection := filter.selection()
	selection.After = after
	var items []admin.QueueItem
	var messages int
	err := p.Admin.EachQueueItem(v.r.Context(), selection, func(item admin.QueueItem) error {
		another := len(items) == 0 || items[len(items)-1].ID != item.ID
		if another && messages == waitingListed || len(items) == waitingRead {
			return errEnough
		}
		if another {
			messages++
		}
		items = append(items, item)
		return nil
	})
	part := queuePart{read: len(items)}
	if errors.Is(err, errEnough) {
		err, part.next = nil, items[len(items)-1].Position
	}
	part.messages = byMessage(items, here, p.Now())
	return part, err
}

// queueOf returns what waits of one message.
func (p *pages) queueOf(v *visit, id store.MessageID) ([]queuedMessage, error) {
	items, err := p.Admin.Queue(v.r.Context(), admin.QueueSelection{Message: id.String()})
	return byMessage(items, messageURL(id.String()), p.Now()), err
}

// A queuedMessage is one message with the recipients it still waits for.
type queuedMessage struct {
	ID, From         string
	Created, Expires time.Time
	Recipients       []queuedRecipient
	More             int    // recipients that aren't shown
	Waiting          bool   // some of them can be sent
	Held             bool   // some of them can be released
	Back             string // the page to return to
	Tick             bool   // it can be ticked, to do something to several
}

// Ticked returns m with a box.
func (m queuedMessage) Ticked() queuedMessage {
	m.Tick = true
	return m
}

type queuedRecipient struct {
	To, Via      string
	Status, Tone string
	Why          []link // it is held
	Attempts     int
	Next         *moment
	Otherwise    string // instead of Next
	LastReply    string
	heldBy       []string
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
		m.Held = m.Held || slices.Contains(item.HeldBy, "admin") || slices.Contains(item.HeldBy, "restore")
		m.Waiting = m.Waiting || item.Status != "held"
	}
	return messages
}

func recipientOf(item admin.QueueItem, now time.Time) queuedRecipient {
	r := queuedRecipient{
		To: item.To, Via: item.Via, Status: item.Status, Attempts: item.Attempts,
		LastReply: item.LastReply, Tone: "info", heldBy: item.HeldBy,
	}
	switch {
	case item.Status == "held":
		r.Tone, r.Why, r.Otherwise = "warn", whyHeld(item), "when "+letGo(item.HeldBy)
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

// whyHeld says what holds an item, with the page where that can be changed if it
// is another one.
func whyHeld(item admin.QueueItem) []link {
	var why []link
	for _, by := range item.HeldBy {
		switch by {
		case "admin":
			why = append(why, link{Text: "by an administrator"})
		case "restore":
			why = append(why, link{Text: "came out of a backup"})
		case "pause":
			why = append(why, link{Text: "destination is paused", URL: destinationsURL(item.Domain)})
		case "account":
			l := link{Text: "account is disabled"}
			if item.Account != "" {
				l.URL = accountURL(item.Account)
			}
			why = append(why, l)
		}
	}
	return why
}
