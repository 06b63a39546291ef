package web

import (
	"fmt"
	"slices"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// accessEntry finds an entry by what its row's links name.
func (p *pages) accessEntry(v *visit, action, what string) (admin.AccessEntry, error) {
	entries, err := p.Admin.AccessEntries(v.r.Context(), "")
	if err != nil {
		return admin.AccessEntry{}, err
	}
	i := slices.IndexFunc(entries, func(e admin.AccessEntry) bool { return e.What == what && e.Action == action })
	if i < 0 {
		return admin.AccessEntry{}, errGone("entry")
	}
	return entries[i], nil
}

func (p *pages) showAccessChange(v *visit) error {
	query := v.r.URL.Query()
	e, err := p.accessEntry(v, query.Get("action"), query.Get("what"))
	if err != nil {
		return err
	}
	return v.change(p.accessChange(e, e.Note, asBefore), nil)
}

// asBefore is the choice that leaves the end of an entry as it is.
const asBefore = "same"

func (p *pages) accessChange(e admin.AccessEntry, note, expires string) changePage {
	ends := "as now: until it is removed"
	if !e.Expires.IsZero() {
		ends = "as now: it ends " + newMoment(e.Expires, p.Now()).Short
	}
	choices := append([]choice{{asBefore, ends, expires == asBefore}}, spans(expires)...)
	if e.Expires.IsZero() {
		choices = slices.Delete(choices, 1, 2) // the same once more
	}
	return changePage{
		Title: fmt.Sprintf(phrase.EntryTitle, e.What, accessWord(e.Action)), Back: "/lists", BackText: "Block and allow", Action: "/lists/change",
		Hidden: []hiddenField{{"action", e.Action}, {"what", e.What}},
		Fields: []formField{
			{Name: "expires", Label: "How long", Hint: "from now on", Choices: choices},
			{Name: "note", Label: "Note", Hint: "for you and other administrators", Value: note, Longest: 500},
		},
	}
}

func (p *pages) changeAccess(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	e, err := p.accessEntry(v, v.field("action"), v.field("what"))
	if err != nil {
		return err
	}
	note, expires := v.field("note"), v.field("expires")
	request := admin.ChangeAccess{Action: e.Action, What: e.What, Note: &note}
	if expires != asBefore {
		request.Expires = &expires
	}
	_, err = p.Admin.ChangeAccess(v.r.Context(), request)
	switch {
	case hasMistake(err):
		return v.change(p.accessChange(e, note, expires), err)
	case err != nil:
		return err
	}
	return v.done("/lists", fmt.Sprintf(phrase.EntryChanged, e.What))
}
