package web

import (
	"errors"
	"net/url"
	"strings"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

type previewPage struct {
	Form    admin.PreviewRequest
	Outside string // what stands for another server in the form
	Result  *previewResult
	Mistake string
}

// A previewResult tells the way that a mail would take.
type previewResult struct {
	From, To      string // From is empty for a report
	Taken         bool
	Verdict, Tone string
	When          string // the command that the reply answers, in words; empty if the mail is taken
	Reply         string
	Sender        previewSender
	Hops          []previewHop
	Checks        []checkRow
	Explained     []string
	Unasked       bool
	Limits        []limitsRow
	Over          *admin.PreviewLimit
	OverFrees     *moment
	Maildrops     []accountRow
	Ways          []previewWay
}

// A previewSender says who sends.
type previewSender struct {
	Title, URL, Right, Tone string
	Disabled                bool
	Hops                    []previewHop
}

// A previewHop is what an address was found to be.
type previewHop struct {
	Address, Words string
	Tagged         bool
	To             []string
	URL, Link      string
}

// A previewWay is how the mail would leave for one address.
type previewWay struct {
	admin.PreviewRemote
	Hosts       []previewHost
	Tone        string
	PausedSince *moment
	NextTry     *moment
}

// A previewHost is an address that would be tried, or a host that can't be.
type previewHost struct {
	Name       string
	Port       int
	Preference *int
	Fallback   bool
	IP, TLS    string
	From       []string
	Note       string
	Problem    string
}

// previewURL is the page that asks what happens to a mail to an address.
func previewURL(to string) string { return "/preview?to=" + url.QueryEscape(to) }

func (p *pages) showPreview(v *visit) error {
	query := v.r.URL.Query()
	return v.show("preview", phrase.PreviewTitle, previewPage{Outside: admin.Outside, Form: admin.PreviewRequest{
		From: query.Get("from"), To: query.Get("to"), As: query.Get("as"), IP: query.Get("ip"), Helo: query.Get("helo"),
	}})
}

// preview asks the live parts. The answer comes with the form, so that one thing can
// be changed and asked again.
func (p *pages) preview(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	page := previewPage{Outside: admin.Outside, Form: admin.PreviewRequest{
		From: v.field("from"), To: v.field("to"), As: v.field("as"), IP: v.field("ip"), Helo: v.field("helo"),
	}}
	preview, err := p.Admin.PreviewDelivery(v.r.Context(), page.Form)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		err = errNoChecks
	case err != nil && !hasMistake(err):
		return err
	case err == nil:
		page.Result = p.previewResultOf(preview)
	}
	return v.showForm("preview", phrase.PreviewTitle, &page, &page.Mistake, err)
}

func (p *pages) previewResultOf(a admin.Preview) *previewResult {
	r := &previewResult{
		From: a.From, To: a.To, Taken: a.Taken, Reply: a.Reply, Sender: previewSenderOf(a), Hops: previewHopsOf(a.Steps),
		Checks: checkRowsOf(a.Checks), Explained: a.Explained, Unasked: a.Unasked && a.Sender.Account == "", Over: a.Over,
	}
	fate := phrase.Fate{
		Taken: a.Taken, Later: strings.HasPrefix(a.Reply, "4"), Spam: a.Spam, Maildrops: len(a.Maildrops), Remote: len(a.Remote), Held: len(a.Remote) > 0,
	}
	for _, remote := range a.Remote {
		way := p.previewWayOf(remote)
		fate.Held = fate.Held && remote.Way != nil && remote.Way.Backup
		fate.Stuck = fate.Stuck || way.Tone != ""
		r.Ways = append(r.Ways, way)
	}
	r.Verdict, r.Tone = fate.Preview(), toneOfFate(fate)
	if !a.Taken {
		r.When = phrase.Refuser(a.Step)
	}
	for _, l := range a.Limits {
		r.Limits = append(r.Limits, limitsRowOf(l, p.Now()))
	}
	if a.Over != nil && !a.Over.Frees.IsZero() {
		frees := newMoment(a.Over.Frees, p.Now())
		r.OverFrees = &frees
	}
	for _, m := range a.Maildrops {
		r.Maildrops = append(r.Maildrops, rowOf(admin.Account{Address: m.Account, Status: m.Status, Used: m.Used, Quota: m.Quota}))
	}
	return r
}

func toneOfFate(f phrase.Fate) string {
	switch {
	case !f.Taken && !f.Later:
		return "bad"
	case !f.Taken, f.Spam, f.Stuck:
		return "warn"
	}
	return "good"
}

func previewSenderOf(a admin.Preview) previewSender {
	s := previewSender{Title: phrase.Sent(a.Sender.Account, a.Sender.Device), Disabled: a.Sender.Status != "" && a.Sender.Status != "enabled", Tone: "info"}
	if a.Sender.Account != "" {
		s.URL = accountURL(a.Sender.Account)
	}
	if a.Sender.Asked {
		kind, tagged := "", false
		if len(a.Sender.Steps) > 0 {
			kind, tagged = string(a.Sender.Steps[0].Kind), a.Sender.Steps[0].Tagged
		}
		s.Right, s.Tone = phrase.Right(a.Sender.May, kind, tagged), "good"
		if !a.Sender.May {
			s.Tone = "bad"
		}
		if kind != string(store.HopAccount) {
			s.Hops = previewHopsOf(a.Sender.Steps)
		}
	}
	if s.Disabled {
		s.Tone = "bad"
	}
	return s
}

func previewHopsOf(steps []admin.PreviewStep) []previewHop {
	hops := make([]previewHop, len(steps))
	for i, step := range steps {
		hops[i] = previewHop{Address: step.Address, Words: phrase.Hop(string(step.Kind), step.Keeps), Tagged: step.Tagged, To: step.To}
		switch step.Kind {
		case store.HopAccount, store.HopRefuses, store.HopForward:
			hops[i].Link = "The account"
			hops[i].URL = accountURL(step.Address)
			if step.Kind != store.HopForward && len(step.To) > 0 {
				hops[i].URL = accountURL(step.To[0])
			}
		case store.HopAlias, store.HopCatchAll:
			hops[i].Link, hops[i].URL = "Aliases", "/aliases?q="+url.QueryEscape(step.Address)
			if step.Kind == store.HopCatchAll || step.Tagged {
				hops[i].URL = "/aliases"
			}
		case store.HopBackup:
			_, domain, _ := strings.Cut(step.Address, "@")
			hops[i].Link, hops[i].URL = "The domain", domainURL(domain)
		}
	}
	return hops
}

func (p *pages) previewWayOf(remote admin.PreviewRemote) previewWay {
	w := previewWay{PreviewRemote: remote}
	way := remote.Way
	if way == nil {
		return w
	}
	for _, host := range way.Hosts {
		if host.Problem != "" {
			w.Hosts = append(w.Hosts, previewHost{Name: host.Name, Port: host.Port, Preference: host.Preference, Fallback: host.Fallback, Problem: host.Problem})
		}
		for _, a := range host.Addresses {
			w.Hosts = append(w.Hosts, previewHost{
				Name: host.Name, Port: host.Port, Preference: host.Preference, Fallback: host.Fallback,
				IP: a.IP, TLS: phrase.Protection(a.TLS, a.Why), From: a.From, Note: a.Note, Problem: a.Problem,
			})
		}
	}
	if !way.PausedSince.IsZero() {
		since := newMoment(way.PausedSince, p.Now())
		w.PausedSince = &since
	}
	if way.Failing != nil {
		next := newMoment(way.Failing.NextTry, p.Now())
		w.NextTry = &next
	}
	switch {
	case way.Final:
		w.Tone = "bad"
	case way.Problem != "" && len(way.Hosts) == 0, w.PausedSince != nil, way.Failing != nil:
		w.Tone = "warn"
	}
	return w
}
