package web

import (
	"time"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// A loginRow is the last login over one protocol.
type loginRow struct {
	Protocol string
	admin.LastLogin
}

// loginRows returns the last logins in the order of use.
func loginRows(l admin.LastLogins) []loginRow {
	return []loginRow{{phrase.Service("pop3"), l.POP3}, {phrase.Service("submission"), l.Submission}, {phrase.Service("web"), l.Web}}
}

// A signInCard is how an account signs in, on the page that administrators see.
type signInCard struct {
	Logins    []loginRow
	TwoFactor time.Time
	Sessions  int64
}

func (p *pages) signInCard(v *visit, a admin.Account) (signInCard, error) {
	sessions, err := p.Admin.Sessions(v.r.Context(), a.Address)
	return signInCard{Logins: loginRows(a.LastLogin), TwoFactor: a.TwoFactor, Sessions: int64(len(sessions))}, err
}

// endAccountSessions signs an account out in all browsers, but for this one.
func (p *pages) endAccountSessions(v *visit) error {
	address := v.r.PathValue("address")
	var but int64
	if v.owns(address) {
		but = v.thisSession()
	}
	n, err := p.Admin.EndSessions(v.r.Context(), address, but)
	if err != nil {
		return err
	}
	return v.done(accountURL(address), phrase.EndedSessions(n))
}

// dropTwoFactor takes the second factor from who has lost it.
func (p *pages) dropTwoFactor(v *visit) error {
	address := v.r.PathValue("address")
	err := p.Admin.TurnTwoFactorOff(v.r.Context(), address)
	if hasMistake(err) {
		return p.accountPage(v, address, accountNews{mistake: err})
	}
	if err != nil {
		return err
	}
	return v.done(accountURL(address), phrase.FactorTaken(address))
}
