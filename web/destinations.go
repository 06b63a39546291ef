package web

import (
	"fmt"
	"net/url"
	"time"

	"postroom/store/admin"
	"postroom/web/phrase"
)

type destinationsPage struct {
	Destinations []destinationRow
	List         listing
	Summary      string
	Tone         string
	Domain       string // in the form
	Mistake      string
}

// A destinationRow is a destination as the list shows it.
type destinationRow struct {
	admin.Destination
	Tone      string
	Waits     int64  // recipients, whatever keeps them
	Tries     int64  // in vain, in a row
	QueueURL  string // empty for a relay
	Since     *moment
	Next      *moment
	Otherwise string // instead of Next
	Back      string
}

func (p *pages) showDestinations(v *visit) error { return p.destinationsPage(v, "", nil) }

func (p *pages) destinationsPage(v *visit, domain string, mistake error) error {
	list, query := v.listed("/destinations")
	part, err := p.Admin.ListDestinations(v.r.Context(), query)
	if err != nil {
		return err
	}
	fillList(&list, part.ListPart)
	page := destinationsPage{List: list, Domain: domain}
	page.Summary, page.Tone = summaryOf(part.Failing, part.Paused)
	for _, d := range part.Rows {
		page.Destinations = append(page.Destinations, destinationRowOf(d, v.r.URL.RequestURI(), p.Now()))
	}
	return v.showForm("destinations", "Destinations", &page, &page.Mistake, mistake)
}

func waits(d admin.Destination) int64 { return d.Waiting + d.Held + d.Sending }

// summaryOf says in one sentence how it stands with all destinations.
func summaryOf(failing, paused int64) (text, tone string) {
	switch {
	case failing > 0 && paused > 0:
		return fmt.Sprintf(phrase.SomeFailAndPaused, phrase.Plural(failing, "destination", "destinations"), countIs(paused)), "warn"
	case failing > 0:
		return fmt.Sprintf(phrase.SomeFail, phrase.Plural(failing, "destination", "destinations")), "warn"
	case paused > 0:
		return fmt.Sprintf(phrase.SomePaused, phrase.Plural(paused, "destination", "destinations"), phrase.IsAre(paused)), "warn"
	}
	return phrase.AllReached, "good"
}

func countIs(n int64) string { return phrase.Number(n) + " " + phrase.IsAre(n) }

func destinationRowOf(d admin.Destination, back string, now time.Time) destinationRow {
	row := destinationRow{Destination: d, Waits: waits(d), Tries: int64(d.Failures), Back: back}
	if d.Domain != "" {
		row.QueueURL = queueFilter{Domain: d.Domain}.url(0)
	}
	moment := func(at time.Time) *moment {
		m := newMoment(at, now)
		return &m
	}
	switch {
	case d.State == "paused":
		row.Tone, row.Since, row.Otherwise = "warn", moment(d.PausedSince), "when it is resumed"
	case d.State == "failing" && d.NextTry.After(now):
		row.Tone, row.Since, row.Next = "bad", moment(d.LastSuccess), moment(d.NextTry)
	case d.State == "failing":
		row.Tone, row.Since, row.Otherwise = "bad", moment(d.LastSuccess), "due now"
	default:
		row.Tone, row.Since, row.Otherwise = "good", moment(d.LastSuccess), "as each comes due"
	}
	if row.Otherwise != "" && row.Waits == 0 && d.State != "paused" {
		row.Otherwise = "nothing waits"
	}
	return row
}

// changeDestination carries out one of a destination's buttons, or the form that
// pauses a domain that may have no mail yet.
func (p *pages) changeDestination(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	domain, to := v.field("domain"), v.back("/destinations")
	switch v.field("do") {
	case "pause":
		err := p.Admin.PauseDestination(v.r.Context(), domain)
		if hasMistake(err) && v.field("back") == "" { // it was typed
			return p.destinationsPage(v, domain, err)
		}
		return v.told(to, err, fmt.Sprintf(phrase.DestinationPaused, domain))
	case "resume":
		err := p.Admin.ResumeDestination(v.r.Context(), domain)
		return v.told(to, err, fmt.Sprintf(phrase.DestinationGoesOn, domain))
	case "retry":
		n, err := p.Admin.RetryQueue(v.r.Context(), admin.QueueSelection{Domain: domain})
		return v.told(to, err, fmt.Sprintf(phrase.DestinationDue,
			phrase.Plural(n, "recipient", "recipients"), domain, phrase.IsAre(n)))
	}
	return errNoPage
}

func destinationsURL(domain string) string { return "/destinations?q=" + url.QueryEscape(domain) }
