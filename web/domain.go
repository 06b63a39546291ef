package web

import (
	"fmt"
	"slices"
	"strings"

	"postroom/store/admin"
)

// A domainPage is about one domain, and the recipients of a backup domain.
type domainPage struct {
	Domain          admin.Domain
	URL             string
	QueueURL        string
	DestinationsURL string
	Accounts        int64
	Aliases         int64
	Any             bool // mail for every address is taken
	Recipients      []string
	List            listing
	Form            string // recipients as they were typed
	Mistake         string
}

func (p *pages) showDomain(v *visit) error { return p.domainPage(v, "", nil) }

func (p *pages) domainPage(v *visit, form string, mistake error) error {
	name := v.r.PathValue("name")
	domains, err := p.Admin.Domains(v.r.Context())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(domains, func(d admin.Domain) bool { return d.Name == name })
	if i < 0 {
		return errNoPage
	}
	page := domainPage{
		Domain: domains[i], URL: domainURL(name), QueueURL: queueFilter{Domain: name}.url(0), DestinationsURL: destinationsURL(name),
		Accounts: int64(domains[i].Accounts), Aliases: int64(domains[i].Aliases), Form: form,
	}
	if mistake != nil && !page.Domain.Backup { // there is no form to say it at
		return mistake
	}
	if page.Domain.Backup {
		known, err := p.Admin.DomainRecipients(v.r.Context(), name)
		if err != nil {
			return err
		}
		page.Any = known.Any
		page.Recipients, page.List = partAt(v, page.URL, known.Recipients, func(r string) string { return r })
	}
	return v.showForm("domain", name, &page, &page.Mistake, mistake)
}

// changeRecipients changes whom a backup domain is known to have.
func (p *pages) changeRecipients(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	name, typed := v.r.PathValue("name"), addressesIn(v.field("recipients"))
	request := admin.ChangeDomainRecipients{Name: name}
	var notice string
	switch v.field("do") {
	case "add":
		request.Add = typed
		notice = fmt.Sprintf("Mail for %s is taken from now on; for addresses that aren’t listed it is refused.", strings.Join(first(typed, 3), ", "))
	case "remove":
		request.Remove = typed
		notice = fmt.Sprintf("Mail for %s is refused from now on.", strings.Join(typed, ", "))
	case "any":
		request.Any = true
		notice = fmt.Sprintf("Mail for every address at %s is taken from now on.", name)
	default:
		return errNoPage
	}
	if !request.Any && len(typed) == 0 {
		return p.domainPage(v, "", &admin.Error{Kind: admin.Invalid, Text: "Give at least one address."})
	}
	_, err := p.Admin.ChangeDomainRecipients(v.r.Context(), request)
	switch {
	case hasMistake(err):
		return p.domainPage(v, v.field("recipients"), err)
	case err != nil:
		return err
	}
	return v.done(domainURL(name), notice)
}

// first returns at most n words, and how many there are besides.
func first(words []string, n int) []string {
	if len(words) <= n {
		return words
	}
	return append(slices.Clone(words[:n]), fmt.Sprintf("and %d more", len(words)-n))
}
