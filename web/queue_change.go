package web

import (
	"context"
	"fmt"
	"net/url"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// selected returns which of the queue a request means: the messages that are named,
// or all that its filter lets through.
func selected(values url.Values) admin.QueueSelection {
	s := filterIn(values.Get).selection()
	switch chosen := values["message"]; len(chosen) {
	case 0:
		s.All = values.Get("scope") == "all"
	case 1:
		s.Message = chosen[0]
	default:
		s.Messages = chosen
	}
	return s
}

// changeQueue carries out one of the queue's buttons.
func (p *pages) changeQueue(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	change := map[string]func(context.Context, admin.QueueSelection) (int64, error){
		"retry": p.Admin.RetryQueue, "hold": p.Admin.HoldQueue, "release": p.Admin.ReleaseQueue,
	}[v.field("do")]
	if change == nil {
		return errNoPage
	}
	return p.changeSelected(v, v.field("do"), v.back("/queue"), selected(v.r.PostForm), change)
}

// changeSelected does something to a part of the queue.
func (p *pages) changeSelected(v *visit, kind, to string, s admin.QueueSelection, change func(context.Context, admin.QueueSelection) (int64, error)) error {
	if v.field("scope") == "chosen" && s.Message == "" && s.Messages == nil {
		return v.leave(to, phrase.NothingTicked, "bad")
	}
	filter := filterIn(v.field)
	t := task{kind: kind, about: aboutSelection(filter, s), to: to, query: filter.query(), run: func(ctx context.Context) (int64, error) { return change(ctx, s) }}
	t.query.Set("queue", "yes")
	return v.carryOut(t)
}

func aboutSelection(filter queueFilter, s admin.QueueSelection) string {
	switch {
	case len(s.Messages) > 0:
		return phrase.Plural(int64(len(s.Messages)), "message", "messages")
	case filter.Message == "" && s.Message != "":
		return phrase.QueuedMessage(s.Message)
	case !filter.Any():
		return phrase.WholeQueue
	}
	return "mail" + filter.Text()
}

// told sends the browser on with what a button did, or with why it did nothing.
func (v *visit) told(to string, err error, notice string) error {
	switch {
	case hasMistake(err):
		text, _ := mistakeOf(err)
		return v.leave(to, text, "bad")
	case err != nil:
		return err
	}
	return v.done(to, notice)
}

// back is the page that a form wants to come back to.
func (v *visit) back(otherwise string) string {
	if b := local(v.field("back")); b != "/" {
		return b
	}
	return otherwise
}

// confirmReturn asks before mail goes back to its sender.
func (p *pages) confirmReturn(v *visit) error {
	query := v.r.URL.Query()
	selection := selected(query)
	if len(query["message"]) != 1 {
		return p.confirmReturnOfMany(v, selection)
	}
	id, err := store.ParseMessageID(selection.Message)
	if err != nil {
		return err
	}
	waiting, err := p.queueOf(v, id)
	if err != nil {
		return err
	}
	if len(waiting) == 0 {
		return v.leave(messageURL(id.String()), phrase.LeftTheQueue, "bad")
	}
	return v.confirm(returnLoss(waiting[0]))
}

func returnLoss(m queuedMessage) confirmPage {
	page := confirmPage{
		Title: phrase.ReturnOne(m.ID), Back: messageURL(m.ID), BackText: "Message " + m.ID,
		Action: "/queue/return", Hidden: []hiddenField{{"message", m.ID}}, Button: phrase.ReturnToSender, Drop: phrase.DropSilently,
		Lost: []string{phrase.ReturnedTo(m.From)},
	}
	if m.From == "" {
		page.Lost, page.Button = []string{phrase.ReportDropped}, "Drop it"
		page.Drop = ""
	}
	for _, r := range m.Recipients {
		page.Items = append(page.Items, r.To)
	}
	if len(page.Items) > recipientsShown {
		page.Items = append(page.Items[:recipientsShown], fmt.Sprintf("and %d more", len(m.Recipients)-recipientsShown))
	}
	return page
}

// confirmReturnOfMany says how much it is before it goes.
func (p *pages) confirmReturnOfMany(v *visit, selection admin.QueueSelection) error {
	query := v.r.URL.Query()
	filter, chosen := filterIn(query.Get), query["message"]
	switch {
	case query.Get("scope") == "chosen" && len(chosen) == 0:
		return v.leave(filter.url(0), phrase.NothingTicked, "bad")
	case !filter.Named() && !selection.All && len(chosen) == 0:
		return errNoPage
	}
	n, exact, err := p.Admin.CountQueue(v.r.Context(), selection)
	switch {
	case err != nil:
		return err
	case n == 0:
		return v.leave(filter.url(0), phrase.NothingQueued, "bad")
	}
	return v.confirm(returnOfMany(filter, chosen, n, exact))
}

// returnOfMany asks about the messages that were chosen, or about all that a filter
// lets through.
func returnOfMany(filter queueFilter, chosen []string, n int64, exact bool) confirmPage {
	page := confirmPage{
		Title: phrase.ReturnMany(n, exact), Back: filter.url(0), BackText: "Queue", Action: "/queue/return",
		Button: phrase.ReturnToSenders, Drop: phrase.DropSilently,
		Lost: []string{filter.part().Whole(), phrase.ReturnedToAll},
	}
	if len(chosen) == 0 {
		page.Hidden = filter.Hidden()
		return page
	}
	page.Lost[0] = phrase.Ticked(int64(len(chosen)))
	page.Items = chosen
	for _, id := range chosen {
		page.Hidden = append(page.Hidden, hiddenField{"message", id})
	}
	return page
}

// returnQueue returns mail to its senders, or drops it without a word.
func (p *pages) returnQueue(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	selection, to := selected(v.r.PostForm), "/queue"
	if len(v.r.PostForm["message"]) == 1 {
		id, err := store.ParseMessageID(selection.Message)
		if err != nil {
			return err
		}
		to = messageURL(id.String())
	}
	kind := "return"
	if selection.Message != "" {
		kind = "return1"
	}
	if selection.Bounce = v.field("do") != "drop"; !selection.Bounce {
		kind = "drop"
	}
	return p.changeSelected(v, kind, to, selection, p.Admin.CancelQueue)
}
