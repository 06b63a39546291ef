package web

import (
	"cmp"
	"strings"
	"time"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// concernsShown bounds how many concerns the first page tells.
const concernsShown = 20

// A concernsPage lists what the server has found out by itself, with what can be
// done about each kind of it.
type concernsPage struct {
	Concerns []problem
	List     listing
	Kinds    map[string]bool // that there are: blocklist, listed, dns, certificate, other
}

func (p *pages) showConcerns(v *visit) error {
	all, err := p.Admin.Concerns(v.r.Context())
	if err != nil {
		return err
	}
	page := concernsPage{Kinds: make(map[string]bool)}
	rows := make([]problem, len(all))
	for i, c := range all {
		rows[i] = concernProblem(c, p.Now())
		page.Kinds[concernKind(c)] = true
	}
	page.Concerns, page.List = part(v, rows, func(p problem) string { return p.Text })
	return v.show("concerns", "What needs you", page)
}

// concerning are the things that the server has found out by itself.
func concerning(concerns []admin.Concern, now time.Time) []problem {
	var found []problem
	for i, c := range concerns {
		if i == concernsShown && len(concerns) > concernsShown+1 {
			more := int64(len(concerns) - i)
			return append(found, problem{Text: phrase.MoreConcerns(more), Cure: "See all", URL: "/concerns"})
		}
		found = append(found, concernProblem(c, now))
	}
	return found
}

func concernProblem(c admin.Concern, now time.Time) problem {
	since := newMoment(c.Since, now)
	p := problem{Text: c.Text, Cure: cureOf(c.Cure), URL: c.Cure, Since: &since}
	if !strings.HasPrefix(c.Cure, "/") { // it has no page of its own
		p.Cure, p.URL = cureOf("/concerns"), "/concerns#"+concernKind(c)
	}
	return p
}

// concernKind says what a concern is about, by its key.
func concernKind(c admin.Concern) string {
	kind, _, _ := strings.Cut(c.Key, " ")
	switch kind {
	case "blocklist", "listed", "dns", "certificate":
		return kind
	}
	return "other"
}

// cures name the pages that help with a concern, by their section.
var cures = map[string]string{
	"certificate": "See the certificate", "domains": phrase.SeeWhatToDo, "concerns": phrase.SeeWhatToDo, "lists": phrase.SeeWhoItIs,
}

// cureOf names the page that helps with a concern.
func cureOf(path string) string { return cmp.Or(cures[section(path)], "See more") }
