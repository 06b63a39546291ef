package web

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
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
	return moment{at.In(now.Location()), relative(at, now)}
}

// ISO is for machines, Exact and Clock are for people, in the server's zone.
func (m moment) ISO() string   { return m.At.UTC().Format(time.RFC3339) }
func (m moment) Exact() string { return m.At.Format("Mon, 2 Jan 2006 15:04:05 MST") }
func (m moment) Clock() string { return m.At.Format("15:04:05") }

// relative says how far t is from now, in the largest unit that isn't zero.
func relative(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	switch {
	case d > -time.Second && d < 10*time.Second:
		return "just now"
	case d < 0:
		return "in " + span(-d)
	}
	return span(d) + " ago"
}

// span writes a duration in its largest unit, and in two where it is days.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < day:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	}
	return plural(int64(d/day), "day", "days")
}

// elapsed writes how long a step on a message's way took after the one before.
func elapsed(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return ""
	case d < time.Second:
		return "+" + strconv.Itoa(int(d/time.Millisecond)) + " ms"
	}
	return "+" + span(d)
}

// octets writes a size for people: 1 KB is 1000 octets, as in the configuration.
func octets(n int64) string {
	units := []string{"B", "KB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if i == 0 || f >= 99.95 {
		return fmt.Sprintf("%.0f %s", f, units[i])
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + units[i]
}

// number groups the digits of n by thousands, with a narrow space that doesn't
// break.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// plural returns n with the word that fits it.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

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

// sentence makes one of what was written to stand in the middle of another.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}

// URLs of the pages about one thing.
func accountURL(address string) string { return "/accounts/" + url.PathEscape(address) }
func aliasURL(source string) string    { return "/aliases/" + url.PathEscape(source) }
func domainURL(name string) string     { return "/domains/" + url.PathEscape(name) }
func messageURL(id string) string      { return "/messages/" + url.PathEscape(id) }
func searchURL(text string) string     { return "/messages?q=" + url.QueryEscape(text) }
