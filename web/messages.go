package web

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postroom/store"
)

// How many messages a list shows.
const (
	listed     = 100 // on the page of messages
	glimpsed   = 8   // on the overview
	recipients = 3   // of one message in a list
)

// How much of a message for very many its page shows. postroom trace gives all.
const (
	recipientsShown = 40
	stepsFirst      = 20
	stepsLast       = 60
)

type messagesPage struct {
	Query    string
	Messages []messageRow
	Found    int64
	Limited  bool // there may be more
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
	query := strings.TrimSpace(v.r.URL.Query().Get("q"))
	trails, err := p.find(v, query)
	if err != nil {
		return err
	}
	page := messagesPage{
		Query: query, Messages: rowsOf(trails, p.Now()),
		Found: int64(len(trails)), Limited: len(trails) >= listed,
	}
	return v.show("messages", "Messages", page)
}

// find returns the messages that a search means, the latest for an empty one.
func (p *pages) find(v *visit, query string) ([]store.Trail, error) {
	if query == "" {
		return p.Admin.RecentTrails(v.r.Context(), listed)
	}
	trails, err := p.Admin.Trace(v.r.Context(), query)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return trails, err
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
	trails, err := p.Admin.Trace(v.r.Context(), id.String())
	if err != nil {
		return store.Trail{}, err
	}
	i := slices.IndexFunc(trails, func(t store.Trail) bool { return t.ID == id })
	if i < 0 {
		return store.Trail{}, errNoPage
	}
	return trails[i], nil
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
