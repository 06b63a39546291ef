package web

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

type accountPage struct {
	Account      accountRow
	Own          bool // the account of who is signed in
	Aliases      []string
	AppPasswords []admin.AppPassword
	Limits       limitsCard
	SignIn       signInCard
	Forwarding   forwardCard
	Vacation     vacationCard
	Senders      sendersCard
	Form         accountForm // the change as it was typed
	accountNews
	Mistake string
}

// accountNews is what a form on the account's page brought about.
type accountNews struct {
	Secret  *secret
	mistake error
	Change  *accountForm // a change that couldn't be made
	limits  *typedLimits

	personal personalForms
}

func (p *pages) showAccount(v *visit) error {
	return p.accountPage(v, v.r.PathValue("address"), accountNews{})
}

func (p *pages) accountPage(v *visit, address string, news accountNews) error {
	ctx := v.r.Context()
	account, err := p.Admin.Account(ctx, address)
	if err != nil {
		return err
	}
	page := accountPage{Account: rowOf(account), Own: v.owns(account.Address), accountNews: news}
	page.Form = formOf(account)
	if news.Change != nil {
		page.Form = *news.Change
	}
	if page.AppPasswords, err = p.Admin.AppPasswords(ctx, account.Address); err != nil {
		return err
	}
	if page.SignIn, err = p.signInCard(v, account); err != nil {
		return err
	}
	if page.Aliases, err = p.aliasesTo(v, account.Address); err != nil {
		return err
	}
	if page.Limits, err = p.limitsCard(v, account.Address, accountURL(account.Address), news.limits); err != nil {
		return err
	}
	page.addPersonal(account, news.personal)
	if news.personal.err != nil {
		return v.showAs(news.personal.code(), "account", account.Address, page)
	}
	if news.limits != nil {
		return v.showAs(news.limits.code(), "account", account.Address, page)
	}
	return v.showForm("account", account.Address, &page, &page.Mistake, news.mistake)
}

// addPersonal adds what people make of their accounts.
func (page *accountPage) addPersonal(a admin.Account, forms personalForms) {
	made := admin.Personal{}
	if a.Personal != nil {
		made = *a.Personal
	}
	url := accountURL(a.Address)
	page.Forwarding = newForwardCard(url+"/forward", made.Forward, forms)
	page.Vacation = newVacationCard(url+"/vacation", made.Vacation, forms)
	page.Senders = newSendersCard(url+"/senders", made.Senders, forms)
}

// owns reports whether an address is that of who is signed in.
func (v *visit) owns(address string) bool {
	return v.user != nil && strings.EqualFold(v.user.Address.String(), address)
}

// aliasesTo returns the aliases that lead to an address themselves.
func (p *pages) aliasesTo(v *visit, address string) ([]string, error) {
	return p.Admin.AliasesTo(v.r.Context(), address)
}

// formOf is the form about an account as it is.
func formOf(a admin.Account) accountForm {
	form := accountForm{Address: a.Address, Name: a.Name, Admin: a.Admin}
	if a.Quota > 0 {
		form.Quota = octetsTyped(a.Quota)
	}
	return form
}

func (p *pages) changeAccount(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address := v.r.PathValue("address")
	form := accountForm{Address: address, Name: v.field("name"), Quota: v.field("quota"), Admin: v.field("admin") != ""}
	quota, err := parseOctets(form.Quota)
	if err != nil {
		return p.accountPage(v, address, accountNews{mistake: err, Change: &form})
	}
	change := admin.ChangeAccount{Address: address, Name: &form.Name, Quota: &quota, Admin: &form.Admin}
	if v.owns(address) {
		change.Admin = nil
	}
	changed, err := p.Admin.ChangeAccount(v.r.Context(), change)
	switch {
	case hasMistake(err) && !errors.Is(err, store.ErrNotFound):
		return p.accountPage(v, address, accountNews{mistake: err, Change: &form})
	case err != nil:
		return err
	}
	return v.done(accountURL(changed.Address), phrase.AccountChanged(changed.Address))
}

// errOwn keeps administrators from locking themselves out.
var errOwn = &admin.Error{Kind: admin.Conflict, Text: phrase.OwnAccountStays}

func (p *pages) disableAccount(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address := v.r.PathValue("address")
	if v.owns(address) {
		return p.accountPage(v, address, accountNews{mistake: errOwn})
	}
	if err := p.Admin.DisableAccount(v.r.Context(), address, v.field("refuse") != ""); err != nil {
		return err
	}
	return v.done(accountURL(address), phrase.AccountDisabled(address))
}

func (p *pages) enableAccount(v *visit) error {
	address := v.r.PathValue("address")
	if err := p.Admin.EnableAccount(v.r.Context(), address); err != nil {
		return err
	}
	return v.done(accountURL(address), phrase.AccountEnabled(address))
}

func (p *pages) setPassword(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address := v.r.PathValue("address")
	password, generated := v.password()
	err := p.Admin.SetPassword(v.r.Context(), address, password)
	switch {
	case hasMistake(err):
		return p.accountPage(v, address, accountNews{mistake: err})
	case err != nil:
		return err
	}
	if err := p.staySignedIn(v, address); err != nil {
		return err
	}
	if !generated {
		return v.done(accountURL(address), phrase.PasswordSetAsTyped)
	}
	return p.accountPage(v, address, accountNews{Secret: &secret{
		Title: phrase.PasswordSet, Password: password,
		Text: phrase.PasswordUse(address),
	}})
}

// staySignedIn renews the session of who changed the own password, which ended
// all others.
func (p *pages) staySignedIn(v *visit, address string) error {
	if !v.owns(address) {
		return nil
	}
	account, err := p.Accounts.Account(v.r.Context(), v.user.ID)
	if err != nil {
		return fmt.Errorf("look up who is signed in: %w", err)
	}
	return v.begin(account)
}

func (p *pages) addAppPassword(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address, name := v.r.PathValue("address"), v.field("name")
	shown, err := p.Admin.AddAppPassword(v.r.Context(), address, name)
	switch {
	case hasMistake(err):
		return p.accountPage(v, address, accountNews{mistake: err})
	case err != nil:
		return err
	}
	return p.accountPage(v, address, accountNews{Secret: &secret{
		Title: phrase.AppPasswordReady, Password: shown,
		Text: phrase.AppPasswordUse(name, address),
	}})
}

func (p *pages) removeAppPassword(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address, name := v.r.PathValue("address"), v.field("name")
	err := p.Admin.RemoveAppPassword(v.r.Context(), address, name)
	switch {
	case hasMistake(err):
		return p.accountPage(v, address, accountNews{mistake: err})
	case err != nil:
		return err
	}
	return v.done(accountURL(address), phrase.AppPasswordGone(name))
}

func (p *pages) confirmAccount(v *visit) error { return p.accountConfirmation(v, nil) }

func (p *pages) accountConfirmation(v *visit, mistake error) error {
	address := v.r.PathValue("address")
	account, err := p.Admin.Account(v.r.Context(), address)
	if err != nil {
		return err
	}
	lost, err := p.Admin.GoesWithAccounts(v.r.Context(), []string{account.Address})
	if err != nil {
		return err
	}
	page := accountLoss(lost)
	return v.showForm("confirm", page.Title, &page, &page.Mistake, mistake)
}

// accountLoss says what the removal of the one account takes along.
func accountLoss(lost []admin.RemovedAccount) confirmPage {
	a := lost[0]
	page := confirmPage{
		Title: "Remove " + a.Address + "?", Back: accountURL(a.Address), BackText: a.Address,
		Action: accountURL(a.Address) + "/remove", Button: "Remove the account", Type: a.Address,
		Lost: lossOf(lost).Sentences(),
	}
	if len(a.Forward) > 0 {
		page.Lost = append(page.Lost, fmt.Sprintf(phrase.ForwardLost, strings.Join(a.Forward, ", ")))
	}
	if left := forwardersLeft(lost); len(left) > 0 {
		page.Lost = append(page.Lost, fmt.Sprintf(phrase.ForwardersLeft, strings.Join(first(left, 20), ", ")))
	}
	if len(a.Aliases) > 0 {
		page.Lost = append(page.Lost, phrase.AliasesLeadNowhere)
		page.Items = first(a.Aliases, pageSize)
	}
	return page
}

func (p *pages) removeAccount(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address := v.r.PathValue("address")
	switch {
	case v.owns(address):
		return p.accountConfirmation(v, errOwn)
	case !v.typed(address):
		return p.accountConfirmation(v, errTyped)
	}
	account, err := p.Admin.Account(v.r.Context(), address)
	if err != nil {
		return err
	}
	return v.carryOut(task{
		kind: "remove", about: account.Address, to: "/accounts", done: phrase.RemovedAccount(account.Address, account.Messages),
		run: func(ctx context.Context) (int64, error) {
			return p.Admin.RemoveAccounts(ctx, []string{account.Address})
		},
	})
}
