package web

import (
	"fmt"
	"slices"
	"time"

	"postroom/store"
)

// How many messages a list shows.
const (
	listed     = 50 // on a page of messages
	glimpsed   = 8  // on the overview
	recipients = 3  // of one message in a list
)

// How much of a message for very many its page shows. postroom trace gives all.
const (
	recipientsShown = 40
	stepsFirst      = 20
	stepsLast       = 60
)

type messagesPage struct {
	Form     searchForm
	Messages []messageRow
	// Understood is what was looked for, in words; empty if it is every message.
	Understood string
	Looked     int64 // the search was given up after so many
	Unindexed  int64
	Clipped    bool
	Newest     string // URLs, empty where there is no such page
	Newer      string
	Older      string
}

// A messageRow is one message in a list.
type messageRow struct {
	ID, URL string
	At      moment
	From    string
	To      []string
	More    int // recipients that aren't shown
	States  []tally
}

func (p *pages) showMessages(v *visit) error {
	query := v.r.URL.Query()
	page := messagesPage{Form: searchIn(query.Get)}
	search := page.Form.search()
	search.Newer, search.Older = query.Get("newer"), query.Get("older")
	found, err := p.Admin.SearchTrace(v.r.Context(), search)
	if hasMistake(err) {
		return v.showForm("messages", "Messages", &page, &page.Form.Mistake, err)
	}
	if err != nil {
		return err
	}
	page.Messages = rowsOf(found.Trails, p.Now())
	page.Looked, page.Unindexed, page.Clipped = found.Looked, found.Unindexed, found.Clipped
	if page.Form.Any() {
		page.Understood = found.Understood
	}
	if search.Newer != "" || search.Older != "" {
		page.Newest = page.Form.url("", "")
	}
	if found.Newer != "" {
		page.Newer = page.Form.url("newer", found.Newer)
	}
	if found.Older != "" {
		page.Older = page.Form.url("older", found.Older)
	}
	return v.show("messages", "Messages", page)
}

func rowsOf(trails []store.Trail, now time.Time) []messageRow {
	rows := make([]messageRow, len(trails))
	for i, t := range trails {
		to := t.To[:min(len(t.To), recipients)]
		rows[i] = messageRow{
			ID: t.ID.String(), URL: messageURL(t.ID.String()), At: newMoment(t.At, now),
			From: t.From, To: to, More: len(t.To) - len(to), States: tallyOf(fatesOf(t.Events)),
		}
	}
	return rows
}

type messagePage struct {
	ID, HeaderID string
	At           moment
	From         string
	To           []string
	Size         int64
	Whereabouts  string
	Tone         string
	States       []tally
	Fates        []fateRow
	Queue        []queuedMessage
	Steps        []step
	MoreTo       int    // recipients that aren't shown
	Sender       []link // what can be done about who sent it
}

// A fateRow is a fate as a table shows it.
type fateRow struct {
	fate
	Since moment
	Text  string
}

func (p *pages) showMessage(v *visit) error {
	trail, err := p.trail(v, v.r.PathValue("id"))
	if err != nil {
		return err
	}
	waiting, err := p.queueOf(v, trail.ID)
	if err != nil {
		return err
	}
	page := messageOf(trail, waiting, p.Now())
	return v.show("message", "Message "+page.ID, page)
}

// trail finds the trail of the message with an ID.
func (p *pages) trail(v *visit, text string) (store.Trail, error) {
	id, err := store.ParseMessageID(text)
	if err != nil {
		return store.Trail{}, err
	}
	return p.Admin.Trail(v.r.Context(), id)
}

// messageOf reads a message's page out of its trail, and out of the queue, which
// knows best what waits.
func messageOf(t store.Trail, waiting []queuedMessage, now time.Time) messagePage {
	fates := fatesOf(t.Events)
	for i := range fates {
		fates[i].reconcile(waiting)
	}
	page := messagePage{
		ID: t.ID.String(), HeaderID: t.HeaderID, At: newMoment(t.At, now), From: t.From, To: t.To,
		Whereabouts: whereabouts(fates, now), Tone: "quiet",
		States: tallyOf(fates), Steps: timeline(t.Events, now), Queue: waiting, Sender: senderLinks(t),
	}
	if len(page.States) > 0 {
		page.Tone = page.States[0].State.Tone()
	}
	for _, f := range fates {
		page.Fates = append(page.Fates, fateRow{f, newMoment(f.At, now), f.text(now)})
	}
	for _, e := range t.Events {
		page.Size = max(page.Size, e.Size)
	}
	page.bound()
	return page
}

// bound leaves out the middle of what is too long for a page.
func (page *messagePage) bound() {
	slices.SortStableFunc(page.Fates, func(a, b fateRow) int {
		return slices.Index(states, a.State) - slices.Index(states, b.State)
	})
	page.MoreTo = max(0, len(page.To)-recipientsShown)
	page.To = page.To[:len(page.To)-page.MoreTo]
	page.Fates = page.Fates[:min(len(page.Fates), recipientsShown)]
	page.Queue = shorten(page.Queue, recipientsShown)
	if left := len(page.Steps) - stepsFirst - stepsLast; left > 0 {
		gap := step{Title: fmt.Sprintf("%d further steps; “postroom trace %s” shows them all", left, page.ID), Tone: "quiet", At: page.Steps[stepsFirst].At}
		page.Steps = slices.Concat(page.Steps[:stepsFirst], []step{gap}, page.Steps[stepsFirst+left:])
	}
}
