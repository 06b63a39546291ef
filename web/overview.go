package web

import (
	"fmt"
	"slices"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

type overviewPage struct {
	Verdict  string
	Problems []problem
	Today    []figure
	Now      []figure
	Recent   []messageRow
	Next     *problem // what to do while there is no mail
	Certs    []certificateRow
}

// A problem is one sentence and the page that cures it, if one does.
type problem struct {
	Text, Cure, URL string
	Since           *moment
}

// A figure is a number of the first page.
type figure struct {
	Name string
	N    int64
	Note string
	Tone string
	URL  string
	At   *moment
}

func (p *pages) showOverview(v *visit) error {
	ctx := v.r.Context()
	counts, err := p.Admin.Counts(ctx)
	if err != nil {
		return err
	}
	recent, err := p.Admin.RecentTrails(ctx, glimpsed)
	if err != nil {
		return err
	}
	accounts, err := p.Admin.Accounts(ctx)
	if err != nil {
		return err
	}
	concerns, err := p.Admin.Concerns(ctx)
	if err != nil {
		return err
	}
	certs, err := p.certificates(v)
	if err != nil {
		return err
	}
	now := p.Now()
	page := overviewPage{
		Certs:    certs,
		Problems: slices.Concat(problems(counts, now), filling(accounts), concerning(concerns, now)),
		Today:    figuresOfToday(counts), Now: figuresOfNow(counts, now),
		Recent: rowsOf(recent, now), Next: nextStep(counts),
	}
	page.Verdict = verdict(len(page.Problems) + max(0, len(concerns)-concernsShown-1))
	return v.show("overview", "Overview", page)
}

// lateAfter is how old mail in the queue may be before it is a problem: what is
// put off for a while by other servers is not.
const lateAfter = 4 * time.Hour

// problems are what an admin should look at now.
func problems(c store.Counts, now time.Time) []problem {
	var found []problem
	if c.Domains == 0 {
		found = append(found, problem{Text: "There is no domain, so mail from outside is refused.", Cure: "Add a domain", URL: "/domains#add"})
	} else if c.Accounts == 0 {
		found = append(found, problem{Text: "There is no account to receive mail.", Cure: "Add an account", URL: "/accounts#add"})
	}
	if c.Held > 0 {
		found = append(found, problem{
			Text: fmt.Sprintf("%s in the queue %s held and not sent.", phrase.Plural(c.Held, "recipient", "recipients"), phrase.IsAre(c.Held)),
			Cure: "See why", URL: "/queue?held=yes",
		})
	}
	if age := now.Sub(c.Oldest); !c.Oldest.IsZero() && age > lateAfter {
		found = append(found, problem{
			Text: fmt.Sprintf("The oldest mail in the queue has been waiting for %s.", phrase.Span(age)),
			Cure: "See what other servers say", URL: "/queue",
		})
	}
	return found
}

// filling are the accounts that come near their quota: one alone by name.
func filling(accounts []admin.Account) []problem {
	var full []accountRow
	for _, a := range accounts {
		if row := rowOf(a); row.Percent >= nearlyFull {
			full = append(full, row)
		}
	}
	switch len(full) {
	case 0:
		return nil
	case 1:
		return []problem{{Text: fmt.Sprintf("%s has used %d %% of its quota.", full[0].Address, full[0].Percent), Cure: "Look at the account", URL: full[0].URL}}
	}
	return []problem{{
		Text: fmt.Sprintf("%d accounts have used %d %% of their quota or more.", len(full), nearlyFull),
		Cure: "Look at the fullest first", URL: "/accounts?sort=full",
	}}
}

func verdict(problems int) string {
	switch problems {
	case 0:
		return "All is well."
	case 1:
		return "One thing needs you."
	}
	return fmt.Sprintf("%d things need you.", problems)
}

func figuresOfToday(c store.Counts) []figure {
	return []figure{
		{Name: "Received", N: c.Received, Note: "messages accepted"},
		{Name: "Delivered", N: c.Delivered, Note: "into maildrops"},
		{Name: "Sent", N: c.Sent, Note: "to other servers"},
		{Name: "Bounced", N: c.Bounced, Note: "back to senders", Tone: toneIf(c.Bounced > 0, "bad")},
		{Name: "Refused", N: c.Rejected, Note: "at the door"},
	}
}

func figuresOfNow(c store.Counts, now time.Time) []figure {
	queued := figure{Name: "In the queue", N: c.Queued, Note: "nothing waits", URL: "/queue"}
	if !c.Oldest.IsZero() {
		oldest := newMoment(c.Oldest, now)
		queued.At, queued.Tone = &oldest, toneIf(now.Sub(c.Oldest) > lateAfter, "warn")
	}
	return []figure{
		queued,
		{Name: "Held", N: c.Held, Note: "of the queue", URL: "/queue?held=yes", Tone: toneIf(c.Held > 0, "warn")},
		{Name: "Accounts", N: c.Accounts, Note: "people and programs", URL: "/accounts"},
		{Name: "Aliases", N: c.Aliases, Note: "further addresses", URL: "/aliases"},
		{Name: "Domains", N: c.Domains, Note: "ours", URL: "/domains"},
	}
}

func toneIf(yes bool, tone string) string {
	if yes {
		return tone
	}
	return ""
}

// nextStep says what leads to the first mail.
func nextStep(c store.Counts) *problem {
	if c.Domains == 0 || c.Accounts == 0 { // the problems say it
		return nil
	}
	return &problem{Text: "Set up a mail program with one of the accounts and send a message; its way will be shown here.", Cure: "See the accounts", URL: "/accounts"}
}
