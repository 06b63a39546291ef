package web

import (
	"fmt"
	"strings"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

type aliasesPage struct {
	Aliases []aliasRow
	List    listing
	Domains []string // to suggest addresses in
	Form    aliasForm
	Doubts  []string // about what was typed
	Mistake string
}

// An aliasForm is a new alias as it was typed.
type aliasForm struct{ Source, Targets string }

type aliasRow struct {
	admin.Alias
	URL      string
	CatchAll bool
}

func newAliasRow(a admin.Alias) aliasRow {
	return aliasRow{a, aliasURL(a.Source), strings.HasPrefix(a.Source, "@")}
}

func (p *pages) showAliases(v *visit) error { return p.aliasesPage(v, aliasForm{}, nil) }

func (p *pages) aliasesPage(v *visit, form aliasForm, mistake error) error {
	page := aliasesPage{Form: form}
	var query store.ListQuery
	page.List, query = v.listed("/aliases")
	aliases, err := p.Admin.ListAliases(v.r.Context(), query)
	if err != nil {
		return err
	}
	if page.Domains, err = p.ownDomains(v); err != nil {
		return err
	}
	fillList(&page.List, aliases)
	shown, err := p.Admin.InspectAliases(v.r.Context(), aliases.Rows)
	if err != nil {
		return err
	}
	for _, a := range shown {
		page.Aliases = append(page.Aliases, newAliasRow(a))
	}
	if mistake == nil {
		return v.show("aliases", "Aliases", page)
	}
	page.Doubts, page.Mistake = doubtsAbout(mistake)
	_, code := mistakeOf(mistake)
	return v.showAs(code, "aliases", "Aliases", page)
}

func (p *pages) addAlias(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	form := aliasForm{v.field("source"), v.field("targets")}
	added, err := p.Admin.AddAlias(v.r.Context(), admin.NewAlias{
		Source: form.Source, Targets: addressesIn(form.Targets), Strict: v.field("do") != "anyway",
	})
	switch {
	case hasMistake(err):
		return p.aliasesPage(v, form, err)
	case err != nil:
		return err
	}
	return v.done("/aliases", phrase.AliasLeads(added.Source, added.Targets))
}

// addressesIn takes apart what was typed: an address a line, or with commas or
// blanks between, since no address that people use has them inside.
func addressesIn(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;", r) })
}

func (p *pages) confirmAlias(v *visit) error {
	alias, err := p.Admin.Alias(v.r.Context(), v.r.PathValue("source"))
	if err != nil {
		return err
	}
	return v.confirm(aliasLoss(alias))
}

// aliasLoss says what the removal of an alias changes.
func aliasLoss(a admin.Alias) confirmPage {
	page := confirmPage{
		Title: "Remove the alias " + a.Source + "?", Back: "/aliases", BackText: "Aliases",
		Action: aliasURL(a.Source) + "/remove", Button: "Remove the alias",
		Lost: []string{phrase.AliasLost},
	}
	if strings.HasPrefix(a.Source, "@") {
		page.Lost = []string{fmt.Sprintf(phrase.CatchAllLost, a.Source[1:])}
	}
	page.Items = a.Targets
	return page
}

func (p *pages) removeAlias(v *visit) error {
	removed, err := p.Admin.RemoveAlias(v.r.Context(), v.r.PathValue("source"))
	if err != nil {
		return err
	}
	return v.done("/aliases", phrase.AliasRemoved(removed.Source))
}
