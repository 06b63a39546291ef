package web

import (
	"fmt"
	"strings"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// selected returns which of the queue a request means.
func selected(get func(string) string) admin.QueueSelection {
	s := filterIn(get).selection()
	s.Message, s.All = get("message"), get("scope") == "all"
	return s
}

// changeQueue carries out one of the queue's buttons.
func (p *pages) changeQueue(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	selection := selected(v.field)
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
	return v.told(v.back("/queue"), err, fmt.Sprintf("%s %s %s", phrase.Plural(n, "recipient", "recipients"), phrase.IsAre(n), what))
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
	selection := selected(v.r.URL.Query().Get)
	if selection.Message == "" {
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
		return v.leave(messageURL(id.String()), "This message isn’t in the queue any more; its way shows what happened.", "bad")
	}
	return v.confirm(returnLoss(waiting[0]))
}

func returnLoss(m queuedMessage) confirmPage {
	page := confirmPage{
		Title: "Return the message " + m.ID + "?", Back: messageURL(m.ID), BackText: "Message " + m.ID,
		Action: "/queue/return", Hidden: []hiddenField{{"message", m.ID}}, Button: "Return it to its sender", Drop: "Drop it, tell nobody",
		Lost: []string{fmt.Sprintf("It is not tried again. %s gets a report that says it could not be delivered to:", m.From)},
	}
	if m.From == "" {
		page.Lost, page.Button = []string{"It is not tried again. It is a report itself, so nobody is told; it is just dropped. It was for:"}, "Drop it"
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
	filter := filterIn(v.r.URL.Query().Get)
	if !filter.Named() && !selection.All {
		return errNoPage
	}
	n, exact, err := p.Admin.CountQueue(v.r.Context(), selection)
	switch {
	case err != nil:
		return err
	case n == 0:
		return v.leave(filter.url(0), "Nothing of that is in the queue any more.", "bad")
	}
	return v.confirm(returnOfMany(filter, n, exact))
}

func returnOfMany(filter queueFilter, n int64, exact bool) confirmPage {
	count := phrase.Plural(n, "recipient", "recipients")
	if !exact {
		count = "more than " + count
	}
	page := confirmPage{
		Title: "Return mail for " + count + "?", Back: filter.url(0), BackText: "Queue", Action: "/queue/return",
		Button: "Return it to its senders", Drop: "Drop it, tell nobody",
		Lost: []string{
			fmt.Sprintf("This is %s%s.", wholeOr(filter), strings.TrimSuffix(filter.Text(), ", held")),
			"It is not tried again. Each sender gets a report that says what could not be delivered to whom; what has no sender is just dropped.",
		},
	}
	for name, values := range filter.query() {
		page.Hidden = append(page.Hidden, hiddenField{name, values[0]})
	}
	if !filter.Named() {
		page.Hidden = append(page.Hidden, hiddenField{"scope", "all"})
	}
	return page
}

func wholeOr(filter queueFilter) string {
	switch {
	case filter.Held:
		return "all held mail in the queue"
	case filter.Named():
		return "all mail in the queue"
	}
	return "the whole queue"
}

// returnQueue returns mail to its senders, or drops it without a word.
func (p *pages) returnQueue(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	selection, to := selected(v.field), "/queue"
	if selection.Message != "" {
		id, err := store.ParseMessageID(selection.Message)
		if err != nil {
			return err
		}
		to = messageURL(id.String())
	}
	selection.Bounce = v.field("do") != "drop"
	n, err := p.Admin.CancelQueue(v.r.Context(), selection)
	what := "returned to the sender."
	switch {
	case !selection.Bounce:
		what = "dropped. Nobody is told."
	case n != 1 && selection.Message == "":
		what = "returned to their senders."
	}
	return v.told(to, err, fmt.Sprintf("%s %s %s", phrase.Plural(n, "recipient", "recipients"), phrase.IsAre(n), what))
}
