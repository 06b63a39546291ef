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
		Title: fmt.Sprintf(phrase.NewKeysTitle, name), Back: domainURL(name), BackText: name, Keep: "Leave them",
		Action: domainURL(name) + "/dkim", Button: "Make new keys", Mild: true,
		Lost: []string{
			phrase.NewKeysSignLater,
			phrase.OldKeysSignUntil,
		},
	}
	if v.r.URL.Query().Get("now") != "" {
		page.Title, page.Button, page.Hidden = fmt.Sprintf(phrase.NewKeysNowTitle, name), phrase.SignWithThem, []hiddenField{{"now", "yes"}}
		page.Mild = false
		page.Lost = []string{
			phrase.KeysWithoutRecords,
			phrase.KeysOnlyIfThere,
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
	notice := phrase.NewKeysMade
	if request.Now || !slices.ContainsFunc(keys, func(k admin.DKIMKey) bool { return k.State == admin.DKIMNext }) {
		notice = phrase.NewKeysSign
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
		Title: fmt.Sprintf(phrase.RemoveKeyTitle, k.Selector, k.Domain), Back: domainURL(k.Domain), BackText: k.Domain,
		Action: domainURL(k.Domain) + "/dkim/remove", Button: "Remove the key", Hidden: []hiddenField{{"selector", k.Selector}},
	}
	switch k.State {
	case admin.DKIMRetired:
		page.Lost = []string{phrase.KeyMailOnItsWay}
	case admin.DKIMNext:
		page.Lost = []string{phrase.KeyNeverSigned}
	default:
		page.Lost = []string{phrase.KeySigns}
	}
	return page
}

func (p *pages) removeDKIMKey(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	name, selector := v.r.PathValue("name"), v.field("selector")
	err := p.Admin.RemoveDKIMKey(v.r.Context(), admin.RemoveDKIMKey{Domain: name, Selector: selector})
	return v.told(domainURL(name), err, fmt.Sprintf(phrase.KeyGone, selector))
}
