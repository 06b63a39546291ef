package web

import (
	"html/template"
	"net/url"
	"strings"
	"time"

	"postroom/web/phrase"
)

// A moment is a point in time as pages show it: relative for reading, exact for
// certainty. The zero moment is shown as "never".
type moment struct {
	At    time.Time
	Short string // "3 min ago"
}

func newMoment(at, now time.Time) moment {
	if at.IsZero() {
		return moment{at, "never"}
	}
	return moment{at.In(now.Location()), phrase.Relative(at, now)}
}

// ISO is for machines, Exact and Clock are for people, in the server's zone.
func (m moment) ISO() string   { return m.At.UTC().Format(time.RFC3339) }
func (m moment) Exact() string { return m.At.Format("Mon, 2 Jan 2006 15:04:05 MST") }
func (m moment) Clock() string { return m.At.Format("15:04:05") }

// mailbox writes an address so that a narrow column breaks it behind the @.
func mailbox(address string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(address), "@", "@<wbr>"))
}

// hostname writes the name of a host or a domain so that a narrow column breaks it
// behind a dot, and in front of a port.
func hostname(name string) template.HTML {
	return template.HTML(strings.NewReplacer(".", ".<wbr>", ":", "<wbr>:").Replace(template.HTMLEscapeString(name)))
}

// whom writes an address, a domain or a network so that a narrow column breaks it
// where it has parts.
func whom(what string) template.HTML {
	if strings.Contains(what, "@") {
		return mailbox(what)
	}
	return hostname(what)
}

// URLs of the pages about one thing.
func accountURL(address string) string { return "/accounts/" + url.PathEscape(address) }
func aliasURL(source string) string    { return "/aliases/" + url.PathEscape(source) }
func domainURL(name string) string     { return "/domains/" + url.PathEscape(name) }
func messageURL(id string) string      { return "/messages/" + url.PathEscape(id) }
func searchURL(text string) string     { return "/messages?q=" + url.QueryEscape(text) }
