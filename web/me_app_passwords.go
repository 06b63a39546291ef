package web

import (
	"postroom/store/admin"
	"postroom/web/phrase"
)

// A myAppPasswordsPage lists one's own app passwords, and makes them.
type myAppPasswordsPage struct {
	AppPasswords []admin.AppPassword
	Name         string // as it was typed
	Secret       *secret
	Mistake      string
}

func (p *pages) showMyAppPasswords(v *visit) error {
	return p.myAppPasswordsPage(v, myAppPasswordsPage{}, nil)
}

func (p *pages) myAppPasswordsPage(v *visit, page myAppPasswordsPage, mistake error) error {
	var err error
	if page.AppPasswords, err = p.Admin.AppPasswords(v.r.Context(), v.user.Address.String()); err != nil {
		return err
	}
	return v.showForm("me_app_passwords", "App passwords", &page, &page.Mistake, mistake)
}

func (p *pages) addMyAppPassword(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	address, name := v.user.Address.String(), v.field("name")
	shown, err := p.Admin.AddAppPassword(v.r.Context(), address, name)
	switch {
	case hasMistake(err):
		return p.myAppPasswordsPage(v, myAppPasswordsPage{Name: name}, err)
	case err != nil:
		return err
	}
	return p.myAppPasswordsPage(v, myAppPasswordsPage{Secret: &secret{
		Title: phrase.AppPasswordReady, Password: shown,
		Text: phrase.AppPasswordUse(name, address),
	}}, nil)
}

func (p *pages) removeMyAppPassword(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	name := v.field("name")
	err := p.Admin.RemoveAppPassword(v.r.Context(), v.user.Address.String(), name)
	switch {
	case hasMistake(err):
		return p.myAppPasswordsPage(v, myAppPasswordsPage{}, err)
	case err != nil:
		return err
	}
	return v.done("/me/app-passwords", phrase.AppPasswordGone(name))
}
