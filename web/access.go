package web

import (
	"fmt"
	"net/url"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// A listsPage holds the admin's own lists, and who is kept from logging in.
type listsPage struct {
	Entries []accessRow
	List    listing
	Guesses []guessRow
	Kept    int64 // networks, of which Guesses are the latest
	More    int64 // of them, that aren't shown
	Form    accessForm
	Mistake string
}

// An accessRow is an entry as the list shows it.
type accessRow struct {
	admin.AccessEntry
	Until                *moment // nil: for ever
	ChangeURL, RemoveURL string
}

// Word and Tone say what happens to mail from there.
func (r accessRow) Word() string { return accessWord(r.Action) }
func (r accessRow) Tone() string { return accessTone(r.Action) }

func accessWord(action string) string {
	if action == "allow" {
		return "allowed"
	}
	return "blocked"
}

func accessTone(action string) string {
	if action == "allow" {
		return "good"
	}
	return "bad"
}

// An accessForm is an entry as it is typed.
type accessForm struct {
	admin.AddAccess
	Spans []choice // for how long
}

// A choice is one of several.
type choice struct {
	Value, Text string
	Chosen      bool
}

// spans are the times after which an entry can end, with what was chosen.
func spans(chosen string) []choice {
	choices := []choice{{"", "until it is removed", false}, {"1d", "for a day", false}, {"7d", "for a week", false}, {"30d", "for 30 days", false}, {"365d", "for a year", false}}
	for i := range choices {
		choices[i].Chosen = choices[i].Value == chosen
	}
	return choices
}

func (p *pages) showLists(v *visit) error {
	return p.listsPage(v, admin.AddAccess{Action: "block"}, nil)
}

func (p *pages) listsPage(v *visit, form admin.AddAccess, mistake error) error {
	page := listsPage{Form: accessForm{form, spans(form.Expires)}}
	var query store.ListQuery
	page.List, query = v.listed("/lists")
	entries, err := p.Admin.ListAccess(v.r.Context(), query)
	if err != nil {
		return err
	}
	fillList(&page.List, entries)
	for _, e := range entries.Rows {
		page.Entries = append(page.Entries, p.accessRowOf(e))
	}
	if page.Guesses, page.More, err = p.guesses(v); err != nil {
		return err
	}
	page.Kept = int64(len(page.Guesses)) + page.More
	return v.showForm("lists", "Block and allow", &page, &page.Mistake, mistake)
}

func (p *pages) accessRowOf(e admin.AccessEntry) accessRow {
	names := url.Values{"action": {e.Action}, "what": {e.What}}
	row := accessRow{AccessEntry: e, ChangeURL: changeURL("/lists", names), RemoveURL: "/lists/remove?" + names.Encode()}
	if !e.Expires.IsZero() {
		until := newMoment(e.Expires, p.Now())
		row.Until = &until
	}
	return row
}

func (p *pages) addAccess(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	form := admin.AddAccess{Action: v.field("action"), What: v.field("what"), Note: v.field("note"), Expires: v.field("expires")}
	added, err := p.Admin.AddAccess(v.r.Context(), form)
	switch {
	case hasMistake(err):
		return p.listsPage(v, form, err)
	case err != nil:
		return err
	}
	return v.done("/lists", addedAccess(added))
}

// addedAccess says what an entry does from now on.
func addedAccess(e admin.AccessEntry) string {
	text := fmt.Sprintf(phrase.MailRefused, e.What)
	if e.Action == "allow" {
		text = fmt.Sprintf(phrase.MailTaken, e.What)
	}
	if e.Replaced != "" && e.Replaced != e.Action {
		text += fmt.Sprintf(phrase.WasBefore, accessWord(e.Replaced))
	}
	return text
}

func (p *pages) confirmAccess(v *visit) error {
	query := v.r.URL.Query()
	e, err := p.accessEntry(v, query.Get("action"), query.Get("what"))
	if err != nil {
		return err
	}
	return v.confirm(accessLoss(e))
}

// accessLoss says what the removal of an entry changes.
func accessLoss(e admin.AccessEntry) confirmPage {
	page := confirmPage{
		Title: "Block " + e.What + " no more?", Back: "/lists", BackText: "Block and allow",
		Action: "/lists/remove", Button: "Remove the entry", Hidden: []hiddenField{{"action", e.Action}, {"what", e.What}},
		Lost: []string{phrase.UnblockingTakes},
	}
	if e.Action == "allow" {
		page.Title = "Allow " + e.What + " no more?"
		page.Lost = []string{phrase.UnallowingJudges}
	}
	if e.Note != "" {
		page.Lost = append(page.Lost, "Its note: “"+e.Note+"”")
	}
	return page
}

func (p *pages) removeAccess(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	request := admin.RemoveAccess{Action: v.field("action"), What: v.field("what")}
	if err := p.Admin.RemoveAccess(v.r.Context(), request); err != nil {
		return err
	}
	return v.done("/lists", fmt.Sprintf(phrase.NotAnyMore, request.What, accessWord(request.Action)))
}
