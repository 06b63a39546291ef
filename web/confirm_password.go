package web

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"postroom/store/auth"
	"postroom/web/phrase"
)

// A confirmPasswordPage asks who is signed in for the password once more, before
// something dangerous.
type confirmPasswordPage struct {
	Username string
	Next     string // the page to go on to
	Again    bool   // a form has been sent, and is to be sent again there
	Code     bool   // the code of the second factor is asked for too
	Mistake  string
}

const (
	textWrongPassword = phrase.WrongPassword
	textOnceMore      = phrase.OnceMore
)

// confirmed reports whether the password was given lately.
func (v *visit) confirmed() bool {
	given := time.Unix(v.sessions.GetInt64(v.r.Context(), keyGiven), 0)
	return v.Now().Sub(given) <= confirmFor
}

// toConfirmation asks for the password first. Then it goes on to the page that was
// asked for, or to the one with the form that was sent.
func (v *visit) toConfirmation() error {
	query := url.Values{"next": {v.r.URL.RequestURI()}}
	if v.r.Method == http.MethodPost {
		query = url.Values{"next": {v.formPage()}, "again": {"yes"}}
	}
	return v.done("/confirm-password?"+query.Encode(), "")
}

// formPage returns the page of ours that a form was sent from: the browser names
// it, and who asks without one gets the nearest page above.
func (v *visit) formPage() string {
	if from, err := url.Parse(v.r.Referer()); err == nil && v.hasPage(from.Path) {
		return local(from.RequestURI())
	}
	above := v.r.URL.EscapedPath()
	for above != "/" && !v.hasPage(above) {
		above = path.Dir(above)
	}
	return local(above)
}

// hasPage reports whether a path leads to a page that may hold a form. Where there
// is none, the first page is.
func (v *visit) hasPage(at string) bool {
	for _, r := range v.routes() {
		pattern := strings.Split(r.path, "/")
		parts := strings.Split(at, "/")
		if r.method != http.MethodGet || r.needs.who() == needNobody || r.path == "/{$}" || r.path == "/confirm-password" || len(pattern) != len(parts) {
			continue
		}
		matches := true
		for i, p := range pattern {
			matches = matches && (p == parts[i] || strings.HasPrefix(p, "{") && parts[i] != "")
		}
		if matches {
			return true
		}
	}
	return false
}

func (p *pages) showConfirmPassword(v *visit) error {
	query := v.r.URL.Query()
	return v.show("confirm_password", phrase.ConfirmItIsYou, confirmPasswordPage{
		Username: v.user.Address.String(), Next: local(query.Get("next")), Again: query.Get("again") != "", Code: !v.user.TwoFactor.IsZero(),
	})
}

func (p *pages) confirmPassword(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	page := confirmPasswordPage{
		Username: v.user.Address.String(), Next: local(v.field("next")), Again: v.field("again") != "", Code: !v.user.TwoFactor.IsZero(),
	}
	account, err := p.Auth.Login(v.r.Context(), auth.Attempt{
		Login: page.Username, Password: v.field("password"), Client: v.client(), Protocol: "web", Web: true,
	})
	if err == nil && account.ID != v.user.ID { // removed and added anew at this moment
		err = auth.ErrDenied
	}
	var code int
	page.Mistake, code = refusedLogin(err, textWrongPassword)
	if err == nil && page.Code {
		err = v.secondStep(account)
		page.Mistake, code = refusedCode(err)
	}
	switch {
	case page.Mistake != "":
		return v.showAs(code, "confirm_password", phrase.ConfirmItIsYou, page)
	case err != nil:
		return err
	}
	v.sessions.Put(v.r.Context(), keyGiven, v.Now().Unix())
	if page.Again {
		return v.leave(page.Next, textOnceMore, "quiet")
	}
	return v.done(page.Next, "")
}
