package web

import (
	"fmt"
	"slices"
	"time"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// A keyRow is a DKIM key as the page of its domain shows it.
type keyRow struct {
	admin.DKIMKey
	Algo, Word, Tone, Text string
	RemoveURL              string // empty: it can't be
}

func keyRowOf(k admin.DKIMKey, now time.Time) keyRow {
	row := keyRow{DKIMKey: k, Algo: k.Algorithm, Word: string(k.State), Tone: "quiet"}
	switch k.Algorithm {
	case "rsa":
		row.Algo = "RSA"
	case "ed25519":
		row.Algo = "Ed25519"
	}
	remove := domainURL(k.Domain) + "/dkim/remove?selector=" + k.Selector
	switch k.State {
	case admin.DKIMSigns:
		row.Word, row.Tone, row.Text = "signs", "good", "since "+phrase.Relative(k.Since, now)
	case admin.DKIMNext:
		row.Word, row.Tone, row.Text, row.RemoveURL = "next", "info", "signs once the DNS has its record", remove
	case admin.DKIMRetired:
		row.Word, row.Text, row.RemoveURL = "retired", "its record is needed until "+k.Remove.In(now.Location()).Format("2 Jan 15:04"), remove
	}
	return row
}

// confirmDKIM asks before a domain's keys are changed.
func (p *pages) confirmDKIM(v *visit) error {
	name := v.r.PathValue("name")
	domain, err := p.domain(v, name)
	switch {
	case err != nil:
		return err
	case domain.Backup:
		return errNoPage
	}
	page := confirmPage{
		Title: "Make new keys for " + name + "?", Back: domainURL(name), BackText: name, Keep: "Leave them",
		Action: domainURL(name) + "/dkim", Button: "Make new keys",
		Lost: []string{
			"The new keys sign once the DNS has their records, which the DNS page shows then. It is looked at every day, and whenever you look.",
			"The old ones go on signing until then, and their records are needed for a week longer.",
		},
	}
	if v.r.URL.Query().Get("now") != "" {
		page.Title, page.Button, page.Hidden = "Let the new keys of "+name+" sign now?", "Sign with them now", []hiddenField{{"now", "yes"}}
		page.Lost = []string{
			"From now on mail is signed with the new keys, whatever the DNS has. While it lacks their records, other servers take the signatures for broken, and may refuse the mail.",
			"Do it only if the records are there, or if the old keys may have been stolen.",
		}
	}
	return v.confirm(page)
}

func (p *pages) rotateDKIM(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	name := v.r.PathValue("name")
	request := admin.RotateDKIM{Domain: name, Now: v.field("now") != ""}
	keys, err := p.Admin.RotateDKIM(v.r.Context(), request)
	notice := "The new keys are made. Put their records into the DNS: the DNS page has them."
	if request.Now || !slices.ContainsFunc(keys, func(k admin.DKIMKey) bool { return k.State == admin.DKIMNext }) {
		notice = "Mail is signed with the new keys from now on."
	}
	return v.told(domainURL(name), err, notice)
}

func (p *pages) confirmDKIMKey(v *visit) error {
	name, selector := v.r.PathValue("name"), v.r.URL.Query().Get("selector")
	if _, err := p.domain(v, name); err != nil {
		return err
	}
	keys, err := p.Admin.DKIMKeys(v.r.Context(), name)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(k admin.DKIMKey) bool { return k.Selector == selector })
	if i < 0 {
		return errNoPage
	}
	return v.confirm(keyLoss(keys[i]))
}

// keyLoss says what the removal of a key changes.
func keyLoss(k admin.DKIMKey) confirmPage {
	page := confirmPage{
		Title: fmt.Sprintf("Remove the key %s of %s?", k.Selector, k.Domain), Back: domainURL(k.Domain), BackText: k.Domain,
		Action: domainURL(k.Domain) + "/dkim/remove", Button: "Remove the key", Hidden: []hiddenField{{"selector", k.Selector}},
	}
	switch k.State {
	case admin.DKIMRetired:
		page.Lost = []string{"Mail that was signed with it and is still on its way will look as if its signature were broken once its record is gone from the DNS."}
	case admin.DKIMNext:
		page.Lost = []string{"It has not signed anything yet: nothing is lost but the record, if it is in the DNS already."}
	default:
		page.Lost = []string{"It signs mail at the moment. A key that is the last one to do so can’t be removed."}
	}
	return page
}

func (p *pages) removeDKIMKey(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	name, selector := v.r.PathValue("name"), v.field("selector")
	err := p.Admin.RemoveDKIMKey(v.r.Context(), admin.RemoveDKIMKey{Domain: name, Selector: selector})
	return v.told(domainURL(name), err, fmt.Sprintf("The key %s is gone; its record may go from the DNS once no mail that it has signed is on its way.", selector))
}
