package web

import (
	"strings"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// A confirmPage asks before something is done that can't be undone, and says
// what would be lost.
type confirmPage struct {
	Title    string
	Back     string // the page to return to
	BackText string
	Mistake  string
	Lost     []string // sentences
	Items    []string
	Blocked  []link // what has to be done before, instead of the button
	Action   string
	Hidden   []hiddenField
	Type     string // what is to be typed, empty for nothing
	Button   string
	Keep     string // what not doing it is called; empty: "Keep it"
	Mild     bool   // nothing is lost, and it can be changed back: the button warns of nothing
	Drop     string // another button, which does it without telling anybody; empty for none
}

type hiddenField struct{ Name, Value string }

// errTyped says that what was to be typed wasn't.
var errTyped = &admin.Error{Kind: admin.Invalid, Text: phrase.NotTyped}

// typed reports whether what a confirmation asks for was typed.
func (v *visit) typed(want string) bool {
	return strings.EqualFold(strings.TrimSpace(v.field("typed")), want)
}

func (v *visit) confirm(page confirmPage) error { return v.show("confirm", page.Title, page) }
