package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"postroom/store"
	"postroom/store/auth"
	"postroom/web/phrase"
)

// halfLasts is how long a right password waits for the code of the second factor.
const halfLasts = 5 * time.Minute

// A loginCodePage asks for the code after the password.
type loginCodePage struct {
	Next    string
	Mistake string
}

// What the second step tells who fails it.
const (
	textWrongCode = phrase.WrongCode
	textManyCodes = phrase.ManyCodes
	textHalfOver  = phrase.HalfOver
)

// beginHalf remembers that a's password was right. That is no session: it opens
// nothing but the page that asks for the code.
func (v *visit) beginHalf(a store.Account) error {
	if err := v.renew(); err != nil {
		return err
	}
	ctx := v.r.Context()
	v.sessions.Remove(ctx, keyAccount)
	v.sessions.Put(ctx, keyHalf, int64(a.ID))
	v.sessions.Put(ctx, keyProof, proofOf(a))
	v.sessions.Put(ctx, keySeen, v.Now().Unix())
	return nil
}

// half returns whose password was right a moment ago. It fails with errSignedOut if
// nobody's was, or the account isn't as it was then.
func (v *visit) half() (store.Account, error) {
	ctx := v.r.Context()
	id := store.AccountID(v.sessions.GetInt64(ctx, keyHalf))
	if id == 0 || v.Now().Sub(time.Unix(v.sessions.GetInt64(ctx, keySeen), 0)) > halfLasts {
		return store.Account{}, errSignedOut
	}
	a, err := v.Accounts.Account(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Account{}, errSignedOut
	case err != nil:
		return store.Account{}, fmt.Errorf("look up who signs in: %w", err)
	case a.Disabled || a.TwoFactor.IsZero() || !v.proves(a):
		return store.Account{}, errSignedOut
	}
	return a, nil
}

func loginCodeURL(next string) string { return "/login/code?next=" + url.QueryEscape(next) }

// beginAgain leads back to the first step.
func (v *visit) beginAgain(next string) error {
	return v.leave("/login?next="+url.QueryEscape(next), textHalfOver, "warn")
}

func (p *pages) showLoginCode(v *visit) error {
	next := local(v.r.URL.Query().Get("next"))
	_, err := v.half()
	switch {
	case errors.Is(err, errSignedOut):
		return v.done("/login?next="+url.QueryEscape(next), "")
	case err != nil:
		return err
	}
	return v.show("login_code", phrase.SignInCode, loginCodePage{Next: next})
}

func (p *pages) signInCode(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	page := loginCodePage{Next: local(v.field("next"))}
	account, err := v.half()
	switch {
	case errors.Is(err, errSignedOut):
		return v.beginAgain(page.Next)
	case err != nil:
		return err
	}
	var code int
	err = v.secondStep(account)
	switch page.Mistake, code = refusedCode(err); {
	case page.Mistake != "":
		return v.showAs(code, "login_code", phrase.SignInCode, page)
	case err != nil:
		return err
	}
	if err := v.begin(account); err != nil {
		return err
	}
	return v.done(page.Next, "")
}

// secondStep takes the code that a form holds.
func (v *visit) secondStep(a store.Account) error {
	return v.Auth.SecondStep(v.r.Context(), auth.SecondAttempt{Account: a, Code: v.field("code"), Client: v.client(), Protocol: "web"})
}

// refusedCode is refusedLogin for the second step.
func refusedCode(err error) (text string, code int) {
	if errors.Is(err, auth.ErrCodes) {
		return textManyCodes, http.StatusTooManyRequests
	}
	return refusedLogin(err, textWrongCode)
}
