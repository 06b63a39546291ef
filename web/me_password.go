package web

import (
	"postroom/store/admin"
	"postroom/web/phrase"
)

// A myPasswordPage has one's own password changed. The old one has been given on
// the way here.
type myPasswordPage struct {
	Username string
	Mistake  string
}

var errNotTheSame = &admin.Error{Kind: admin.Invalid, Text: phrase.NotTheSame}

func (p *pages) showMyPassword(v *visit) error { return p.myPasswordPage(v, nil) }

func (p *pages) myPasswordPage(v *visit, mistake error) error {
	page := myPasswordPage{Username: v.user.Address.String()}
	return v.showForm("me_password", "Password", &page, &page.Mistake, mistake)
}

func (p *pages) setMyPassword(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	if v.field("password") != v.field("again") {
		return p.myPasswordPage(v, errNotTheSame)
	}
	address := v.user.Address.String()
	err := p.Admin.SetPassword(v.r.Context(), address, v.field("password"))
	switch {
	case hasMistake(err):
		return p.myPasswordPage(v, err)
	case err != nil:
		return err
	}
	if err := p.staySignedIn(v, address); err != nil {
		return err
	}
	return v.done("/me", phrase.NewPassword)
}
