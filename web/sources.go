package web

import (
	"fmt"
	"net/url"

	"postroom/store/admin"
	"postroom/web/phrase"
)

type sourcesPage struct {
	Sources []sourceRow
	List    listing
	Form    admin.AddSource
	Own     string // the server's name
	Mistake string
}

type sourceRow struct {
	admin.Source
	ChangeURL, RemoveURL string
}

func (p *pages) showSources(v *visit) error { return p.sourcesPage(v, admin.AddSource{}, nil) }

func (p *pages) sourcesPage(v *visit, form admin.AddSource, mistake error) error {
	sources, err := p.Admin.Sources(v.r.Context())
	if err != nil {
		return err
	}
	shown, list := part(v, sources, func(s admin.Source) string { return s.IP + " " + s.Name + " " + s.For })
	page := sourcesPage{List: list, Form: form, Own: p.Hostname}
	for _, s := range shown {
		names := url.Values{"ip": {s.IP}, "for": {s.For}}
		page.Sources = append(page.Sources, sourceRow{s, changeURL("/sources", names), "/sources/remove?" + names.Encode()})
	}
	return v.showForm("sources", "Source addresses", &page, &page.Mistake, mistake)
}

func (p *pages) addSource(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	form := admin.AddSource{IP: v.field("ip"), Name: v.field("name"), For: v.field("for")}
	added, err := p.Admin.AddSource(v.r.Context(), form)
	switch {
	case hasMistake(err):
		return p.sourcesPage(v, form, err)
	case err != nil:
		return err
	}
	return v.done("/sources", fmt.Sprintf(phrase.LeavesFrom, everybodyOr(added.For), added.IP))
}

func everybodyOr(whose string) string {
	if whose == "" {
		return "everybody"
	}
	return whose
}

func (p *pages) confirmSource(v *visit) error {
	query := v.r.URL.Query()
	source, err := p.source(v, query.Get("ip"), query.Get("for"))
	if err != nil {
		return err
	}
	return v.confirm(sourceLoss(source))
}

// sourceLoss says what the removal of a source address changes.
func sourceLoss(s admin.Source) confirmPage {
	return confirmPage{
		Title: fmt.Sprintf(phrase.StopLeavingTitle, everybodyOr(s.For), s.IP), Back: "/sources", BackText: "Source addresses",
		Action: "/sources/remove", Button: "Remove the address", Hidden: []hiddenField{{"ip", s.IP}, {"for", s.For}},
		Lost: []string{
			phrase.LeavesFromOthers,
			phrase.SomebodyNew,
		},
	}
}

func (p *pages) removeSource(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	request := admin.RemoveSource{IP: v.field("ip"), For: v.field("for")}
	if err := p.Admin.RemoveSource(v.r.Context(), request); err != nil {
		return err
	}
	return v.done("/sources", phrase.SourceRemoved)
}
