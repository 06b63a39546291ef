package web

import (
	"postroom/store/admin"

	"postroom/web/phrase"
)

// A mePage is the first of the pages that everybody has, about the own account.
type mePage struct {
	Account accountRow
	Admin   string // the page on the account among the administrator's, empty for others
	Logins  []loginRow
}

func (p *pages) showMe(v *visit) error {
	account, err := p.own(v)
	if err != nil {
		return err
	}
	page := mePage{Account: rowOf(account), Logins: loginRows(account.LastLogin)}
	if v.user.Admin {
		page.Admin = accountURL(account.Address)
	}
	return v.show("me", "Your own page", page)
}

// own returns the account of who is signed in.
func (p *pages) own(v *visit) (admin.Account, error) {
	return p.Admin.Account(v.r.Context(), v.user.Address.String())
}

// home is where the way on from a failure leads.
func (v *visit) home() link {
	if v.user != nil && !v.user.Admin {
		return link{Text: phrase.ToOwnPage, URL: "/me"}
	}
	return link{Text: "To the overview", URL: "/"}
}

// stray answers who is no administrator and asks for a page of theirs. The first
// page is everybody's way in.
func (v *visit) stray() error {
	if v.r.URL.Path == "/" {
		return v.done("/me", "")
	}
	return errNotAdmin
}
