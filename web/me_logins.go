package web

import (
	"postroom/store/admin"
	"postroom/web/phrase"
)

// A myLoginsPage shows where one's logins came from, and who tried in vain.
type myLoginsPage struct {
	Last   []loginRow
	Well   []cameFrom
	Failed []cameFrom
}

type cameFrom struct {
	admin.LoginSource
	Over string
}

func (p *pages) showMyLogins(v *visit) error {
	account, err := p.own(v)
	if err != nil {
		return err
	}
	sources, err := p.Admin.LoginSources(v.r.Context(), account.Address)
	if err != nil {
		return err
	}
	page := myLoginsPage{Last: loginRows(account.LastLogin)}
	for _, s := range sources {
		row := cameFrom{s, phrase.Service(s.Protocol)}
		if s.Failed {
			page.Failed = append(page.Failed, row)
		} else {
			page.Well = append(page.Well, row)
		}
	}
	return v.show("me_logins", "Logins", page)
}
