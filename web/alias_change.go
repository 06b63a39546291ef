package web

import (
	"strings"

	"postroom/store/admin"
	"postroom/web/phrase"
)

type aliasChangePage struct {
	Alias   aliasRow
	Action  string
	Typed   string
	Doubts  []string
	Mistake string
}

func (p *pages) showAliasChange(v *visit) error { return p.aliasChangePage(v, nil, nil) }

// aliasChangePage shows the form about an alias, with what was typed if that
// couldn't be carried out.
func (p *pages) aliasChangePage(v *visit, typed *string, mistake error) error {
	alias, err := p.Admin.Alias(v.r.Context(), v.r.PathValue("source"))
	if err != nil {
		return err
	}
	inspected, err := p.Admin.InspectAliases(v.r.Context(), []admin.Alias{alias})
	if err != nil {
		return err
	}
	page := aliasChangePage{Alias: newAliasRow(inspected[0]), Action: aliasURL(alias.Source) + "/change", Typed: strings.Join(alias.Targets, "\n")}
	if typed == nil {
		return v.show("alias_change", "Change "+alias.Source, page)
	}
	page.Typed = *typed
	page.Doubts, page.Mistake = doubtsAbout(mistake)
	_, code := mistakeOf(mistake)
	return v.showAs(code, "alias_change", "Change "+alias.Source, page)
}

func (p *pages) changeAlias(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	typed := v.field("targets")
	changed, err := p.Admin.ChangeAlias(v.r.Context(), admin.NewAlias{
		Source: v.r.PathValue("source"), Targets: addressesIn(typed), Strict: v.field("do") != "anyway",
	})
	switch {
	case isGone(err):
		return errGone("alias")
	case hasMistake(err):
		return p.aliasChangePage(v, &typed, err)
	case err != nil:
		return err
	}
	return v.done("/aliases", phrase.AliasLeads(changed.Source, changed.Targets))
}
