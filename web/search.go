package web

import (
	"net/url"
	"strings"

	"postroom/store/admin"
)

// A searchForm is what the form of the messages' page holds.
type searchForm struct {
	Text, Host, IP string
	Since, Until   string
	Outcome        string
	Mistake        string
}

// Outcomes are the choices of the form.
func (f searchForm) Outcomes() []string { return admin.Outcomes() }

// Any reports whether anything is looked for; Single, whether by more than the text.
func (f searchForm) Any() bool { f.Mistake = ""; return f != searchForm{} }

// Single reports whether a filter beside the text is set.
func (f searchForm) Single() bool { f.Text = ""; return f.Any() }

func searchIn(get func(string) string) searchForm {
	field := func(name string) string { return strings.TrimSpace(get(name)) }
	return searchForm{
		Text: field("q"), Host: field("host"), IP: field("ip"),
		Since: field("since"), Until: field("until"), Outcome: field("outcome"),
	}
}

// search is the operation that the form asks for.
func (f searchForm) search() admin.TraceSearch {
	return admin.TraceSearch{Text: f.Text, Host: f.Host, IP: f.IP, Since: f.Since, Until: f.Until, Outcome: f.Outcome, Limit: listed}
}

// url is the page of what the form finds, from a position on.
func (f searchForm) url(end, position string) string {
	query := make(url.Values)
	for name, value := range map[string]string{
		"q": f.Text, "host": f.Host, "ip": f.IP, "since": f.Since, "until": f.Until, "outcome": f.Outcome, end: position,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) == 0 {
		return "/messages"
	}
	return "/messages?" + query.Encode()
}
