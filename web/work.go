package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// patience is how long a button is waited for: what ends in that time is told at
// once, for the rest there is a page that shows how far it is.
const patience = 300 * time.Millisecond

// A task is what a button does that may take long.
type task struct {
	kind  string // of phrase.Working
	about string // "mail for example.net"
	to    string // the page that shows what has become of it
	// query lets the page of the work say how things are after a restart, which has
	// forgotten the work itself.
	query url.Values
	run   func(context.Context) (int64, error)
	done  string // what is said at once if it is done soon; empty: phrase.Worked
}

// carryOut does a task. What takes long goes on when the browser leaves.
func (v *visit) carryOut(t task) error {
	w, err := v.Admin.BeginWork(v.r.Context(), admin.NewWork{Kind: t.kind, About: t.about, To: t.to, By: v.user.Address.String(), Run: t.run})
	if err != nil {
		return v.told(t.to, err, "")
	}
	if w, err = v.Admin.AwaitWork(v.r.Context(), w.ID, patience); err != nil {
		return err
	}
	switch w.State {
	case admin.WorkRunning, admin.WorkStopped:
		return v.leave(workURL(w.ID, t), "", "")
	case admin.WorkFailed:
		if !hasMistake(w.Err) && w.Changed > 0 { // it says how much was done
			return v.leave(workURL(w.ID, t), "", "")
		}
	}
	v.Admin.ForgetWork(w.ID)
	return v.told(t.to, w.Err, cmp.Or(t.done, phrase.Worked(t.kind, w.Changed)))
}

func workURL(id string, t task) string {
	query := url.Values{"do": {t.kind}, "to": {t.to}}
	for name, values := range t.query {
		query[name] = values
	}
	return "/long-work/" + url.PathEscape(id) + "?" + query.Encode()
}

// A workPage shows how far some work is.
type workPage struct {
	workRow
	Steps  string
	Left   string
	Stop   string // where the button that stops it goes, empty once it has ended
	Ended  string // how it ended
	Reload string // this page
}

// A workRow is some work as the list shows it.
type workRow struct {
	Title   string
	URL     string
	By      string
	Began   moment
	End     *moment
	State   string
	Tone    string
	Done    int64
	Total   int64
	Percent int64
	To      string // the page that shows what has become of it
	Running bool
}

func (p *pages) workRowOf(w admin.Work) workRow {
	row := workRow{
		Title: phrase.Working(w.Kind, w.About), By: w.By, Began: newMoment(w.Began, p.Now()), State: string(w.State),
		Tone: workTones[w.State], Done: w.Done, Total: w.Total, To: local(w.To), Running: w.State == admin.WorkRunning,
		URL: workURL(w.ID, task{kind: w.Kind, to: w.To}),
	}
	if !w.Ended.IsZero() {
		end := newMoment(w.Ended, p.Now())
		row.End = &end
	}
	if w.Total > 0 {
		row.Percent = 100 * w.Done / w.Total
	}
	if w.State == admin.WorkDone {
		row.Percent = 100
	}
	return row
}

var workTones = map[admin.WorkState]string{admin.WorkRunning: "info", admin.WorkDone: "good", admin.WorkStopped: "warn", admin.WorkFailed: "bad"}

// refreshed is how often a page of work is loaded anew without script, in seconds.
const refreshed = 2

func (p *pages) showWork(v *visit) error {
	w, err := p.Admin.Work(v.r.PathValue("id"))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return p.showLostWork(v, errors.Is(err, admin.ErrRestarted))
	case err != nil:
		return err
	}
	page := workPage{workRow: p.workRowOf(w), Steps: phrase.Steps(w.Kind, w.Done, w.Total), Left: phrase.TimeLeft(w.Left(p.Now())), Reload: v.r.URL.RequestURI()}
	switch w.State {
	case admin.WorkRunning:
		page.Stop = "/long-work/" + url.PathEscape(w.ID) + "/stop"
		v.refresh = refreshed
	case admin.WorkDone:
		page.Ended = phrase.Worked(w.Kind, w.Changed)
	case admin.WorkStopped:
		page.Ended = phrase.Stopped(w.Kind, w.Changed, w.Done, w.Total)
	case admin.WorkFailed:
		page.Ended = phrase.Failed(w.Kind, w.Changed, failureFor(w.Err).Text)
	}
	return v.show("work", page.Title, page)
}

// A lostWorkPage is what can be said of work that isn't known any more.
type lostWorkPage struct {
	Title, Text string
	Now         string // how things are
	To          string
}

// showLostWork says why some work isn't known, and how things are now.
func (p *pages) showLostWork(v *visit, restarted bool) error {
	query := v.r.URL.Query()
	page := lostWorkPage{Title: phrase.WorkForgotten, Text: phrase.WorkForgottenText, To: local(query.Get("to"))}
	if restarted {
		page.Title, page.Text = phrase.WorkRestarted, phrase.WorkRestartedText
	}
	if filter := filterIn(query.Get); query.Get("queue") != "" {
		now, err := p.queueNow(v, filter)
		if err != nil && !hasMistake(err) {
			return err
		}
		page.Now, page.To = now, filter.url(0)
	}
	return v.showAs(http.StatusNotFound, "work_lost", page.Title, page)
}

// queueNow says how much of a part of the queue there is, and how much of it is
// held.
func (p *pages) queueNow(v *visit, filter queueFilter) (string, error) {
	filter.Held = false
	n, exact, err := p.Admin.CountQueue(v.r.Context(), filter.selection())
	if err != nil {
		return "", err
	}
	filter.Held = true
	held, _, err := p.Admin.CountQueue(v.r.Context(), filter.selection())
	filter.Held = false
	return phrase.QueueNow(n, held, exact, filter.Text()), err
}

func (p *pages) stopWork(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	id, to := v.r.PathValue("id"), v.back("/long-work")
	if err := p.Admin.StopWork(id); errors.Is(err, store.ErrNotFound) {
		return v.leave(to, "", "")
	} else if err != nil {
		return err
	}
	if _, err := p.Admin.AwaitWork(v.r.Context(), id, patience); err != nil {
		return err
	}
	return v.leave(to, "", "")
}

type worksPage struct {
	Work []workRow
}

func (p *pages) showWorks(v *visit) error {
	var page worksPage
	for _, w := range p.Admin.AllWork() {
		page.Work = append(page.Work, p.workRowOf(w))
		if w.State == admin.WorkRunning {
			v.refresh = refreshed
		}
	}
	return v.show("works", "Long work", page)
}
