package web

import (
	"fmt"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

type domainsPage struct {
	Domains []domainRow
	List    listing
	Form    admin.AddDomain
	Mistake string
}

type domainRow struct {
	admin.Domain
	URL    string
	DNSURL string
	DNS    *dnsVerdict // nil: nobody has looked yet
}

func (p *pages) showDomains(v *visit) error { return p.domainsPage(v, admin.AddDomain{}, nil) }

// domainsPage shows the list and a form; with a mistake, the form as it was sent.
func (p *pages) domainsPage(v *visit, form admin.AddDomain, mistake error) error {
	page := domainsPage{Form: form}
	var query store.ListQuery
	page.List, query = v.listed("/domains")
	domains, err := p.Admin.ListDomains(v.r.Context(), query)
	if err != nil {
		return err
	}
	fillList(&page.List, domains)
	shown := domains.Rows
	var names []string
	for _, d := range shown {
		names = append(names, d.Name)
	}
	verdicts, err := p.lastVerdicts(v, names...)
	if err != nil {
		return err
	}
	for _, d := range shown {
		page.Domains = append(page.Domains, domainRow{d, domainURL(d.Name), dnsURL(d.Name), verdicts[d.Name]})
	}
	return v.showForm("domains", "Domains", &page, &page.Mistake, mistake)
}

func (p *pages) addDomain(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	form := admin.AddDomain{Name: v.field("name"), Backup: v.field("backup") != ""}
	added, err := p.Admin.AddDomain(v.r.Context(), form)
	switch {
	case hasMistake(err):
		return p.domainsPage(v, form, err)
	case err != nil:
		return err
	case added.Backup:
		return v.done(domainURL(added.Name), fmt.Sprintf(phrase.BackupAdded, added.Name))
	}
	return v.done("/domains", fmt.Sprintf(phrase.DomainAdded, added.Name))
}

func (p *pages) confirmDomain(v *visit) error { return p.domainConfirmation(v, nil) }

func (p *pages) domainConfirmation(v *visit, mistake error) error {
	domain, err := p.domain(v, v.r.PathValue("name"))
	if err != nil {
		return err
	}
	page := domainLoss(domain)
	return v.showForm("confirm", page.Title, &page, &page.Mistake, mistake)
}

// domainLoss says what the removal of a domain takes along, or what has to go
// before it can be removed.
func domainLoss(d admin.Domain) confirmPage {
	page := confirmPage{
		Title: "Remove the domain " + d.Name + "?", Back: "/domains", BackText: "Domains",
		Action: domainURL(d.Name) + "/remove", Button: "Remove " + d.Name, Type: d.Name,
	}
	if d.Backup {
		page.Lost = []string{
			phrase.BackupLost,
			phrase.BackupKept,
		}
		return page
	}
	if d.Accounts == 0 && d.Aliases == 0 {
		page.Lost = []string{
			fmt.Sprintf(phrase.DomainLost, d.Name),
			phrase.NoMailLost,
		}
		return page
	}
	page.Lost = []string{fmt.Sprintf(phrase.DomainInUse,
		d.Name, phrase.Plural(int64(d.Accounts), "account", "accounts"), phrase.Plural(int64(d.Aliases), "alias", "aliases"))}
	if d.Accounts > 0 {
		page.Blocked = append(page.Blocked, link{Text: "Its accounts", URL: "/accounts?q=%40" + d.Name})
	}
	if d.Aliases > 0 {
		page.Blocked = append(page.Blocked, link{Text: "Its aliases", URL: "/aliases?q=%40" + d.Name})
	}
	return page
}

func (p *pages) removeDomain(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	name := v.r.PathValue("name")
	if !v.typed(name) {
		return p.domainConfirmation(v, errTyped)
	}
	err := p.Admin.RemoveDomain(v.r.Context(), name)
	switch {
	case hasMistake(err):
		return p.domainConfirmation(v, err)
	case err != nil:
		return err
	}
	return v.done("/domains", fmt.Sprintf(phrase.DomainRemoved, name))
}
