package web

import (
	"fmt"
	"time"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// concernsShown bounds how many concerns the first page tells.
const concernsShown = 20

// concerning are the things that the server has found out by itself.
func concerning(concerns []admin.Concern, now time.Time) []problem {
	var found []problem
	for i, c := range concerns {
		if i == concernsShown && len(concerns) > concernsShown+1 {
			more := int64(len(concerns) - i)
			return append(found, problem{Text: fmt.Sprintf("And %s more; “postroom concerns” shows them all.", phrase.Number(more))})
		}
		since := newMoment(c.Since, now)
		found = append(found, problem{Text: c.Text, Cure: cureOf(c.Cure), URL: c.Cure, Since: &since})
	}
	return found
}

// cureOf names the page that helps with a concern.
func cureOf(path string) string {
	switch section(path) {
	case "certificate":
		return "See the certificate"
	case "domains":
		return "See what to do"
	case "lists":
		return "See who it is"
	}
	return "See more"
}
