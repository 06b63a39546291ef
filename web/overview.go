package web

import (
	"cmp"
	"slices"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

type overviewPage struct {
	Verdict  string
	Problems []problem
	Spans    []span
	Graphs   []graph
	Now      []figure
	Ages     []ageRow
	Disk     diskCard
	Backup   *backupCard
	Recent   []messageRow
	Next     *problem // what to do while there is no mail
	Certs    []certificateRow
	Steps    int64 // of the guide that are still to be done
}

// A diskCard says how much space there is.
type diskCard struct {
	store.Disk
	Free    string
	Percent int64 // used
	Tone    string
}

// A backupCard says where the last backup went.
type backupCard struct {
	store.BackupNote
	When moment
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
	over := cmp.Or(v.r.URL.Query().Get("over"), admin.OverDay)
	o, err := p.Admin.Overview(ctx, over)
	if hasMistake(err) { // somebody has typed it
		return v.leave("/", "", "")
	}
	if err != nil {
		return err
	}
	recent, err := p.Admin.RecentTrails(ctx, glimpsed)
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
		Problems: slices.Concat(problems(o.Counts, now), shortages(o), concerning(concerns, now)),
		Spans:    spansOf(over), Graphs: graphsOf(o.Traffic, over),
		Now: figuresOfNow(o.Counts, now), Ages: agesOf(o.Ages), Disk: diskCardOf(o.Condition.Disk),
		Recent: rowsOf(recent, now), Next: nextStep(o.Counts),
	}
	if b := o.Condition.Backup; b != nil {
		page.Backup = &backupCard{*b, newMoment(b.At, now)}
	}
	if page.Steps, err = p.guideLeft(v); err != nil {
		return err
	}
	page.Verdict = phrase.Needs(len(page.Problems) + max(0, len(concerns)-concernsShown-1))
	return v.show("overview", "Overview", page)
}

// lateAfter is how old mail in the queue may be before it is a problem: what is
// put off for a while by other servers is not.
const lateAfter = 4 * time.Hour

// problems are what an admin should look at now.
func problems(c store.Counts, now time.Time) []problem {
	var found []problem
	if c.Domains == 0 {
		found = append(found, problem{Text: phrase.NoDomain, Cure: "Add a domain", URL: "/domains#add"})
	} else if c.Accounts == 0 {
		found = append(found, problem{Text: phrase.NoAccount, Cure: "Add an account", URL: "/accounts#add"})
	}
	if c.Held > 0 {
		found = append(found, problem{Text: phrase.HeldInQueue(c.Held), Cure: "See why", URL: "/queue?held=yes"})
	}
	if age := now.Sub(c.Oldest); !c.Oldest.IsZero() && age > lateAfter {
		found = append(found, problem{Text: phrase.OldestWaits(age), Cure: phrase.SeeWhatIsSaid, URL: "/queue"})
	}
	return found
}

// shortages are what comes to an end: room, rights to send, ways out.
func shortages(o admin.Overview) []problem {
	var found []problem
	c := o.Condition
	if card := diskCardOf(c.Disk); card.Tone != "" {
		found = append(found, problem{Text: phrase.LowDisk(c.Disk.Free, c.Disk.Reserve), Cure: phrase.SeeWhatToDo, URL: "#disk"})
	}
	if c.Fulls > 0 {
		p := problem{Text: phrase.Fullness(c.Fulls, c.Full[0].Address, c.Full[0].Percent, nearlyFull), Cure: phrase.SeeFullest, URL: "/accounts?sort=full"}
		if c.Fulls == 1 {
			p.Cure, p.URL = phrase.SeeAccount, accountURL(c.Full[0].Address)
		}
		found = append(found, p)
	}
	if len(o.Near) > 0 {
		row := limitsRowOf(o.Near[0], time.Time{})
		found = append(found, problem{Text: phrase.NearLimit(int64(len(o.Near)), row.Name, int64(row.Fullest), nearlyFull), Cure: "See the limits", URL: "/limits"})
	}
	if c.Fails > 0 {
		found = append(found, problem{Text: phrase.Unreachable(c.Fails, c.Failing[0].Destination), Cure: phrase.SeeWhatTheySay, URL: "/destinations?q=failing"})
	}
	return found
}

// diskCardOf warns while there is still time.
func diskCardOf(d store.Disk) diskCard {
	card := diskCard{Disk: d, Free: phrase.Free(d.Free, d.Size)}
	if d.Size > 0 {
		card.Percent = (d.Size - d.Free) * 100 / d.Size
	}
	switch {
	case d.Free < d.Reserve:
		card.Tone = "bad"
	case d.Free < 2*d.Reserve:
		card.Tone = "warn"
	}
	return card
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
	return &problem{Text: phrase.FirstMail, Cure: "See the accounts", URL: "/accounts"}
}
