package web

import (
	"fmt"
	"slices"
	"strings"

	"postroom/store/admin"
	"postroom/web/phrase"
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
	DNSURL          string
	DNS             *dnsVerdict // nil: no trouble is known
	Keys            []keyRow
	Waiting         bool // keys wait to sign
	Limits          *limitsCard
}

// domainNews is what a form on a domain's page brought about.
type domainNews struct {
	recipients string // as they were typed
	mistake    error
	limits     *typedLimits
}

func (p *pages) showDomain(v *visit) error { return p.domainPage(v, domainNews{}) }

func (p *pages) domainPage(v *visit, news domainNews) error {
	name := v.r.PathValue("name")
	domain, err := p.domain(v, name)
	if err != nil {
		return err
	}
	page := domainPage{
		Domain: domain, URL: domainURL(name), QueueURL: queueFilter{Domain: name}.url(0), DestinationsURL: destinationsURL(name),
		Accounts: int64(domain.Accounts), Aliases: int64(domain.Aliases), Form: news.recipients, DNSURL: dnsURL(name),
	}
	if page.DNS, err = p.lastDNS(v, name); err != nil {
		return err
	}
	if news.mistake != nil && !page.Domain.Backup { // there is no form to say it at
		return news.mistake
	}
	if news.limits != nil && page.Domain.Backup {
		return news.limits.mistake
	}
	fill := p.fillLocal
	if page.Domain.Backup {
		fill = p.fillBackup
	}
	if err := fill(v, &page, news); err != nil {
		return err
	}
	if news.limits != nil {
		return v.showAs(news.limits.code(), "domain", name, page)
	}
	return v.showForm("domain", name, &page, &page.Mistake, news.mistake)
}

// domain finds a domain of ours by its name.
func (p *pages) domain(v *visit, name string) (admin.Domain, error) {
	d, err := p.Admin.Domain(v.r.Context(), name)
	if err == nil && d.Name != name { // in another spelling
		err = errNoPage
	}
	return d, err
}

func (p *pages) fillBackup(v *visit, page *domainPage, _ domainNews) error {
	known, err := p.Admin.DomainRecipients(v.r.Context(), page.Domain.Name)
	if err != nil {
		return err
	}
	page.Any = known.Any
	page.Recipients, page.List = partAt(v, page.URL, known.Recipients, func(r string) string { return r })
	return nil
}

func (p *pages) fillLocal(v *visit, page *domainPage, news domainNews) error {
	keys, err := p.Admin.DKIMKeys(v.r.Context(), page.Domain.Name)
	if err != nil {
		return err
	}
	for _, k := range keys {
		page.Keys = append(page.Keys, keyRowOf(k, p.Now()))
		page.Waiting = page.Waiting || k.State == admin.DKIMNext
	}
	card, err := p.limitsCard(v, page.Domain.Name, page.URL, news.limits)
	page.Limits = &card
	return err
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
		notice = fmt.Sprintf(phrase.RecipientsTaken, strings.Join(first(typed, 3), ", "))
	case "remove":
		request.Remove = typed
		notice = fmt.Sprintf(phrase.RecipientsRefused, strings.Join(typed, ", "))
	case "any":
		request.Any = true
		notice = fmt.Sprintf(phrase.AllRecipientsTaken, name)
	default:
		return errNoPage
	}
	if !request.Any && len(typed) == 0 {
		return p.domainPage(v, domainNews{mistake: &admin.Error{Kind: admin.Invalid, Text: phrase.NoRecipientGiven}})
	}
	_, err := p.Admin.ChangeDomainRecipients(v.r.Context(), request)
	switch {
	case hasMistake(err):
		return p.domainPage(v, domainNews{recipients: v.field("recipients"), mistake: err})
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
