package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"postroom/store/admin"
)

// A limitsPage shows the server's limits, and whose mail comes near one.
type limitsPage struct {
	Server limitsCard
	Near   []limitsRow
	List   listing
}

// A limitsRow is what somebody has sent, against the limits.
type limitsRow struct {
	Name, URL string
	Domain    bool
	Bars      []limitBar
	Fullest   int // percent of the limit that is used most
}

// A limitBar is one limit, with how much of it is used.
type limitBar struct {
	Name    string // "Messages an hour"
	Used    int64
	Limit   *int64 // nil: none
	Left    *int64
	Own     bool // not the configuration's
	Percent int
	Frees   *moment
}

// Tone says how near the limit is.
func (b limitBar) Tone() string {
	switch {
	case b.Percent >= 100:
		return "bad"
	case b.Percent >= nearlyFull:
		return "warn"
	}
	return ""
}

// Bar returns how much of the bar is filled.
func (b limitBar) Bar() int { return min(b.Percent, 100) }

func (p *pages) showLimits(v *visit) error { return p.limitsPage(v, nil) }

func (p *pages) limitsPage(v *visit, typed *typedLimits) error {
	all, err := p.Admin.AllLimits(v.r.Context())
	if err != nil {
		return err
	}
	var rows []limitsRow
	for _, l := range all {
		if l.Scope != "server" {
			rows = append(rows, limitsRowOf(l, p.Now()))
		}
	}
	slices.SortStableFunc(rows, func(a, b limitsRow) int {
		return cmp.Or(cmp.Compare(b.Fullest, a.Fullest), cmp.Compare(a.Name, b.Name))
	})
	var page limitsPage
	page.Near, page.List = partAt(v, "/limits", rows, func(r limitsRow) string { return r.Name })
	if page.Server, err = p.limitsCard(v, "server", "/limits", typed); err != nil {
		return err
	}
	return v.showAs(typed.code(), "limits", "Limits", page)
}

func limitsRowOf(l admin.Limits, now time.Time) limitsRow {
	row := limitsRow{Name: l.Name, Domain: l.Scope == "domain", Bars: barsOf(l, now)}
	switch l.Scope {
	case "account":
		row.URL = accountURL(l.Name) + "#limits"
	case "domain":
		row.URL = domainURL(l.Name) + "#limits"
	case "server":
		row.Name, row.URL = "this server", "/limits"
	}
	for _, b := range row.Bars {
		row.Fullest = max(row.Fullest, b.Percent)
	}
	return row
}

// barsOf returns the four limits, in the order of the form.
func barsOf(l admin.Limits, now time.Time) []limitBar {
	return []limitBar{
		barOf("Messages an hour", l.MessagesPerHour, now), barOf("Messages a day", l.MessagesPerDay, now),
		barOf("Recipients an hour", l.RecipientsPerHour, now), barOf("Recipients a day", l.RecipientsPerDay, now),
	}
}

func barOf(name string, l admin.Limit, now time.Time) limitBar {
	b := limitBar{Name: name, Used: l.Used, Limit: l.Limit, Left: l.Left, Own: l.Source == "own"}
	if l.Limit != nil && *l.Limit > 0 {
		b.Percent = int(min(l.Used*100 / *l.Limit, 999))
	}
	if !l.Frees.IsZero() {
		frees := newMoment(l.Frees, now)
		b.Frees = &frees
	}
	return b
}

// A limitsCard shows the limits of an account, a domain or the server, and a form
// to change them.
type limitsCard struct {
	Action  string // where the form goes
	Bars    []limitBar
	Wider   []limitsRow // the limits that the same mail counts in
	Fields  []limitField
	Own     bool // some of them aren't the configuration's
	Server  bool
	Mistake string
}

// A limitField is a limit in the form.
type limitField struct {
	ID, Name, Value string
	Otherwise       string // what an empty one means
	Wrong           bool   // it can't be what was typed
}

// typedLimits is a form of limits that couldn't be carried out.
type typedLimits struct {
	admin.SetLimit
	mistake error
}

// text returns what was wrong, empty if nothing was typed.
func (t *typedLimits) text() string {
	if t == nil {
		return ""
	}
	text, _ := mistakeOf(t.mistake)
	return text
}

// code returns the status of a page with the form.
func (t *typedLimits) code() int {
	if t == nil {
		return http.StatusOK
	}
	_, code := mistakeOf(t.mistake)
	return code
}

func (p *pages) limitsCard(v *visit, name, page string, typed *typedLimits) (limitsCard, error) {
	l, err := p.Admin.Limits(v.r.Context(), name)
	if err != nil {
		return limitsCard{}, err
	}
	now := p.Now()
	card := limitsCard{Action: strings.TrimSuffix(page, "/limits") + "/limits", Bars: barsOf(l, now), Server: l.Scope == "server", Fields: fieldsOf(l)}
	for _, w := range l.Within {
		card.Wider = append(card.Wider, limitsRowOf(w, now))
	}
	for _, b := range card.Bars {
		card.Own = card.Own || b.Own
	}
	if typed != nil {
		card.Mistake = typed.text()
		for i, value := range []string{typed.MessagesPerHour, typed.MessagesPerDay, typed.RecipientsPerHour, typed.RecipientsPerDay} {
			card.Fields[i].Value, card.Fields[i].Wrong = value, !isLimit(value)
		}
	}
	return card, nil
}

// isLimit reports whether a text may be a limit; what it may be in full is for the
// operation to say.
func isLimit(text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	n, err := strconv.ParseInt(text, 10, 64)
	return text == "" || text == "none" || text == "default" || err == nil && n > 0
}

func fieldsOf(l admin.Limits) []limitField {
	return []limitField{
		fieldOf("messages_per_hour", "Messages an hour", l.MessagesPerHour), fieldOf("messages_per_day", "Messages a day", l.MessagesPerDay),
		fieldOf("recipients_per_hour", "Recipients an hour", l.RecipientsPerHour), fieldOf("recipients_per_day", "Recipients a day", l.RecipientsPerDay),
	}
}

// fieldOf shows a limit of one's own as it is typed, and the configuration's as
// what an empty field means.
func fieldOf(id, name string, l admin.Limit) limitField {
	value := "none"
	if l.Limit != nil {
		value = fmt.Sprint(*l.Limit)
	}
	if l.Source == "own" {
		return limitField{ID: id, Name: name, Value: value, Otherwise: "configuration"}
	}
	return limitField{ID: id, Name: name, Otherwise: "configuration: " + value}
}
