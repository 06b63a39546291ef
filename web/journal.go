package web

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// changesListed is how many entries of the journal one page has.
const changesListed = 50

type journalPage struct {
	Form    journalForm
	Mistake string
	Entries []journalRow
	Newest  string // URLs, empty where there is no such page
	Older   string
}

// A journalForm is what is looked for in the journal, as it was typed.
type journalForm struct {
	Who, About, Action string
	Since, Until       string // days
}

// Any reports whether anything is looked for.
func (f journalForm) Any() bool { return f != journalForm{} }

// Single reports whether a filter beside the subject is set.
func (f journalForm) Single() bool { f.About = ""; return f.Any() }

// Kinds are what the form lets choose.
func (f journalForm) Kinds() [][2]string { return phrase.ChangeKinds }

func journalFormIn(get func(string) string) journalForm {
	field := func(name string) string { return strings.TrimSpace(get(name)) }
	return journalForm{field("who"), field("about"), field("action"), field("since"), field("until")}
}

func (f journalForm) search() admin.JournalSearch {
	return admin.JournalSearch{Who: f.Who, About: f.About, Action: f.Action, Since: f.Since, Until: f.Until, Limit: changesListed + 1}
}

// url is the page of what the form finds, from below an entry on; 0 for the newest.
func (f journalForm) url(below store.ChangeID) string {
	query := make(url.Values)
	for name, value := range map[string]string{
		"who": f.Who, "about": f.About, "action": f.Action, "since": f.Since, "until": f.Until,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if below != 0 {
		query.Set("below", strconv.FormatInt(int64(below), 10))
	}
	if len(query) == 0 {
		return "/journal"
	}
	return "/journal?" + query.Encode()
}

// changesURL is the page of what was changed about something.
func changesURL(about string) string { return journalForm{About: about}.url(0) }

func entryURL(id store.ChangeID) string { return fmt.Sprintf("/journal/%d", id) }

// A journalRow is an entry of the journal in words.
type journalRow struct {
	admin.JournalEntry
	URL      string
	At       moment
	Sentence string
	From     string // how it was asked for, and from where
}

func (p *pages) journalRow(e admin.JournalEntry) journalRow {
	from := e.Actor.Via
	if e.Actor.Client != "" {
		from += ", " + e.Actor.Client
	}
	return journalRow{e, entryURL(e.ID), newMoment(e.At, p.Now()), changeOf(e).Sentence(), from}
}

func changeOf(e admin.JournalEntry) phrase.Change {
	return phrase.Change{
		Who: e.Actor.Name, Via: e.Actor.Via, Action: e.Action, Subject: e.Subject,
		Before: e.Before, After: e.After, Recipients: e.Recipients, Undoes: int64(e.Undoes),
	}
}

func (p *pages) showJournal(v *visit) error {
	query := v.r.URL.Query()
	page := journalPage{Form: journalFormIn(query.Get)}
	search := page.Form.search()
	if below, err := strconv.ParseInt(query.Get("below"), 10, 64); err == nil && below > 0 {
		search.Below, page.Newest = store.ChangeID(below), page.Form.url(0)
	}
	entries, err := p.Admin.Journal(v.r.Context(), search)
	if hasMistake(err) {
		return v.showForm("journal", "Journal", &page, &page.Mistake, err)
	}
	if err != nil {
		return err
	}
	if len(entries) > changesListed {
		entries = entries[:changesListed]
		page.Older = page.Form.url(entries[changesListed-1].ID)
	}
	for _, e := range entries {
		page.Entries = append(page.Entries, p.journalRow(e))
	}
	return v.show("journal", "Journal", page)
}

type entryPage struct {
	journalRow
	Values   []phrase.Value
	More     string // URL of the other changes about the same
	UndoURL  string // empty: WhyNot says why
	Undone   string // URLs of the entries that undid it, and that it undid
	UndidURL string
}

func (p *pages) showEntry(v *visit) error {
	entry, err := p.entryAt(v)
	if err != nil {
		return err
	}
	page := entryPage{journalRow: p.journalRow(entry), Values: changeOf(entry).Values(), More: changesURL(entry.Subject)}
	if entry.WhyNot == "" {
		page.UndoURL = page.URL + "/undo"
	}
	if entry.UndoneBy != 0 {
		page.Undone = entryURL(entry.UndoneBy)
	}
	if entry.Undoes != 0 {
		page.UndidURL = entryURL(entry.Undoes)
	}
	return v.show("journal_entry", "Entry "+strconv.FormatInt(int64(entry.ID), 10), page)
}

// entryAt finds the entry that the path names.
func (p *pages) entryAt(v *visit) (admin.JournalEntry, error) {
	id, err := entryID(v)
	if err != nil {
		return admin.JournalEntry{}, err
	}
	return p.Admin.JournalEntry(v.r.Context(), id)
}

func entryID(v *visit) (store.ChangeID, error) {
	id, err := strconv.ParseInt(v.r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, errNoPage
	}
	return store.ChangeID(id), nil
}

// confirmUndo says what would be changed back. What can't be is said on the entry's
// own page.
func (p *pages) confirmUndo(v *visit) error {
	id, err := entryID(v)
	if err != nil {
		return err
	}
	plan, err := p.Admin.PlanUndo(v.r.Context(), id)
	if hasMistake(err) {
		return p.notUndone(v, id, err)
	}
	if err != nil {
		return err
	}
	return v.confirm(undoLoss(plan))
}

func undoLoss(plan admin.UndoPlan) confirmPage {
	url := entryURL(plan.Entry.ID)
	undo := phrase.Undo{Change: changeOf(plan.Entry), Now: plan.Now, Then: plan.Then, Recipients: plan.Recipients}
	page := confirmPage{
		Title: phrase.UndoTitle, Back: url, BackText: "Entry " + strconv.FormatInt(int64(plan.Entry.ID), 10),
		Lost:   []string{changeOf(plan.Entry).Sentence() + ".", undo.Does()},
		Items:  undo.Items(),
		Action: url + "/undo", Button: "Undo it", Keep: phrase.LeaveAsItIs, Mild: plan.Lost == "",
	}
	if plan.Lost != "" {
		page.Lost = append(page.Lost, plan.Lost)
	}
	return page
}

func (p *pages) undo(v *visit) error {
	id, err := entryID(v)
	if err != nil {
		return err
	}
	entry, err := p.Admin.Undo(v.r.Context(), id)
	if hasMistake(err) {
		return p.notUndone(v, id, err)
	}
	if err != nil {
		return err
	}
	return v.done(entryURL(id), phrase.Undone(changeOf(entry)))
}

// notUndone goes to the entry that can't be undone, if there is one, and says why.
func (p *pages) notUndone(v *visit, id store.ChangeID, err error) error {
	text, code := mistakeOf(err)
	if _, missing := p.Admin.JournalEntry(v.r.Context(), id); missing != nil {
		return failure{code, phrase.NotUndone, text}
	}
	return v.leave(entryURL(id), text, "bad")
}
