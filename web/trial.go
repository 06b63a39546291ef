package web

import (
	"errors"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// A trialPage sends a test mail, and shows its way.
type trialPage struct {
	guide
	Address string // whom the next one is for
	Trial   *trial // nil: none was sent since the server's start
	Mistake string
}

// Busy reports whether one is under way.
func (p trialPage) Busy() bool { return p.Trial != nil && p.Trial.Running() }

// Passed reports whether the latest one went the whole way: there is nothing to skip.
func (p trialPage) Passed() bool { return p.Trial != nil && p.Trial.OK() }

// Open reports whether all that was said is to be shown at once: who looks for what
// went wrong wants to read it.
func (p trialPage) Open() bool { return p.Trial != nil && p.Trial.Tone == "bad" }

// A trial is a test mail as the page shows it.
type trial struct {
	admin.Trial
	Begun   moment
	Stages  []trialStage
	Percent int
	Text    string // how it stands, in a sentence
	Tone    string
	Way     []step // the message's trace
	WayURL  string
}

// A trialStage is one part of its way.
type trialStage struct {
	phrase.Stage
	Word, Tone string
	Took       string
	Encrypted  string
	Said       []admin.TrialLine
	Problem    string
}

// trialRefresh is how often a page looks again while the mail is under way.
const trialRefresh = "1"

// showTrial shows the latest test mail, and is loaded again while that is under way.
func (p *pages) showTrial(v *visit) error {
	return p.trialPage(v, v.r.URL.Query().Get("address"), nil)
}

func (p *pages) trialPage(v *visit, address string, mistake error) error {
	g, err := p.guide(v, store.SetupTest)
	if err != nil {
		return err
	}
	page := trialPage{guide: g, Address: address}
	if last, ok := p.Admin.Trial(); ok {
		if page.Trial, err = p.trial(v, last); err != nil {
			return err
		}
		if page.Address == "" {
			page.Address = last.Address
		}
		if last.Running() {
			v.w.Header().Set("Refresh", trialRefresh)
		}
	}
	if page.Address == "" {
		page.Address = v.user.Address.String()
	}
	return v.showForm("setup_test", phrase.SetupTestTitle, &page, &page.Mistake, mistake)
}

func (p *pages) trial(v *visit, last admin.Trial) (*trial, error) {
	now := p.Now()
	t := &trial{Trial: last, Begun: newMoment(last.Begun, now), Percent: 100 * len(last.Stages) / (admin.TrialStages + 1)}
	for _, s := range last.Stages {
		t.Stages = append(t.Stages, trialStageOf(s))
	}
	switch {
	case last.Running():
		t.Text, t.Tone = phrase.TrialRuns, "info"
	case last.OK():
		t.Text, t.Tone, t.Percent = phrase.TrialWorked, "good", 100
	case last.Stopped:
		t.Text, t.Tone = phrase.TrialStopped, "quiet"
	default:
		t.Text, t.Tone = phrase.TrialFailed, "bad"
	}
	if last.Message == "" {
		return t, nil
	}
	trail, err := p.trail(v, last.Message)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, errNoPage):
		return t, nil // its trace has ended
	case err != nil:
		return nil, err
	}
	t.Way, t.WayURL = timeline(trail.Events, now), messageURL(last.Message)
	return t, nil
}

func trialStageOf(s admin.TrialStage) trialStage {
	row := trialStage{Stage: phrase.Stages[string(s.Kind)], Word: "done", Tone: "good", Took: phrase.Took(s.Took), Said: s.Said, Problem: s.Problem}
	if s.TLS != "" {
		row.Encrypted = phrase.Encrypted(s.TLS, s.Distrust)
	}
	switch s.State {
	case admin.TrialRunning:
		row.Word, row.Tone, row.Took = "under way", "info", ""
	case admin.TrialFailed:
		row.Word, row.Tone = "failed", "bad"
	}
	return row
}

// startTrial sends a test mail.
func (p *pages) startTrial(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address := v.field("address")
	err := p.Admin.StartTrial(v.r.Context(), address)
	switch {
	case hasMistake(err):
		return p.trialPage(v, address, err)
	case err != nil:
		return err
	}
	return v.done(setupURL(store.SetupTest), "")
}

// stopTrial ends the test mail that is under way.
func (p *pages) stopTrial(v *visit) error {
	p.Admin.StopTrial()
	return v.done(setupURL(store.SetupTest), "")
}
