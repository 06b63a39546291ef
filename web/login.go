package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"postroom/store/admin"
	"postroom/store/auth"
	"postroom/web/phrase"
)

type loginPage struct {
	Hostname string
	Username string
	Next     string // the page that was wanted
	Mistake  string
}

// What a sign-in that failed is told. The first is the same for a wrong name, a
// wrong password and a disabled account.
const (
	textDenied  = phrase.SignInDenied
	textBusy    = phrase.SignInBusy
	textBlocked = phrase.SignInBlocked
	textListed  = phrase.SignInListed
)

func (p *pages) showLogin(v *visit) error {
	next := local(v.r.URL.Query().Get("next"))
	err := v.identify()
	switch {
	case err == nil:
		return v.done(next, "")
	case !errors.Is(err, errSignedOut):
		return err
	}
	door, err := p.Admin.SetupDoor(v.r.Context())
	switch {
	case err != nil:
		return err
	case door != admin.SetupClosed: // nobody could sign in
		return v.done("/setup", "")
	}
	return v.show("login", "Sign in", loginPage{Hostname: p.Hostname, Next: next})
}

func (p *pages) signIn(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	page := loginPage{Hostname: p.Hostname, Username: v.field("username"), Next: local(v.field("next"))}
	account, err := p.Auth.Login(v.r.Context(), auth.Attempt{
		Login: page.Username, Password: v.field("password"), Client: v.client(), Protocol: "web", Web: true,
	})
	var code int
	switch page.Mistake, code = refusedLogin(err, textDenied); {
	case page.Mistake != "":
		return v.showAs(code, "login", "Sign in", page)
	case err != nil:
		return err
	}
	if !account.TwoFactor.IsZero() {
		if err := v.beginHalf(account); err != nil {
			return err
		}
		return v.done(loginCodeURL(page.Next), "")
	}
	if err := v.begin(account); err != nil {
		return err
	}
	return v.done(page.Next, "")
}

// refusedLogin returns what to tell who gave the wrong password, or mayn't give any
// now. It returns nothing for other errors.
func refusedLogin(err error, denied string) (text string, code int) {
	switch {
	case errors.Is(err, auth.ErrDenied):
		return denied, http.StatusUnauthorized
	case errors.Is(err, auth.ErrBlocked):
		return blockedText(err), http.StatusTooManyRequests
	case errors.Is(err, auth.ErrBusy):
		return textBusy, http.StatusServiceUnavailable
	}
	return "", 0
}

// blockedText tells who may not sign in for a while until when.
func blockedText(err error) string {
	blocked, ok := errors.AsType[*auth.BlockedError](err)
	if !ok || blocked.Until.IsZero() {
		return textListed
	}
	return fmt.Sprintf(textBlocked, blocked.Clock())
}

func (p *pages) signOut(v *visit) error {
	if err := v.forget(); !errors.Is(err, errSignedOut) {
		return err
	}
	return v.done("/login", "")
}

// local returns next if it leads to a page of ours, else the first page. What a
// browser could take for another host's address is not ours.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return u.RequestURI()
}
