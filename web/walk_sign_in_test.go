package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"postroom/store/admin"
)

// newUserWalk opens a browser in which nobody has signed in, on a site with an
// account that is no administrator's.
func newUserWalk(t *testing.T) *walk {
	t.Helper()
	s := newSite(t)
	s.account(admin.NewAccount{Address: user, Password: bossPassword, Name: "Una", Quota: 1_000_000})
	w := &walk{t, s, chromium(t)}
	w.run("open a window", chromedp.EmulateViewport(1280, 900))
	return w
}

// givePassword does the first step of signing in.
func (w *walk) givePassword(password string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.Navigate(w.s.http.URL+"/"), chromedp.WaitVisible(css("#username")), chromedp.SetValue(css("#username"), user),
		chromedp.SendKeys(css("#password"), password), chromedp.Click(css("main form button[type=submit]")))
}

// text returns what is at the selector.
func (w *walk) text(selector string) string {
	w.t.Helper()
	text, err := chromedp.Run(w.ctx, chromedp.Text(css(selector)))
	if err != nil {
		w.t.Fatalf("read %s: %v", selector, err)
	}
	return text
}

// TestUserTurnsTheSecondFactorOn has a user sign in, turn the second factor on,
// sign in with a code and with a recovery code, and end another session.
func TestUserTurnsTheSecondFactorOn(t *testing.T) {
	w := newUserWalk(t)
	s := w.s
	s.receive("kim@friends.example", 1000, user)
	w.run("sign in", w.givePassword(bossPassword), chromedp.WaitVisible(css("#logins-title")))
	w.reads("main", user, "1 message to be collected", "Ask for a code too")
	w.look("me")
	w.run("ask for an administrator's page", chromedp.Navigate(s.http.URL+"/accounts"), chromedp.WaitVisible(css(".code")))
	w.reads("main", errNotAdmin.Title)
	w.look("not-admin")
	w.run("go back", chromedp.Click(css("main a[role=button]")), chromedp.WaitVisible(css("#logins-title")))

	w.run("look at the second factor", chromedp.Click(css(`.side a[href="/me/two-factor"]`)), chromedp.WaitVisible(css("#off-title")))
	w.look("two-factor-off")
	w.run("begin", chromedp.Click(css("main button[value=begin]")), chromedp.WaitVisible(css("svg.qr")))
	w.look("two-factor-key")
	secret := strings.ReplaceAll(w.text("#key code"), " ", "")
	code := func() string {
		t.Helper()
		code, err := totp.GenerateCode(secret, s.now())
		s.must(err)
		return code
	}
	w.run("mistype the code", chromedp.SendKeys(css("#code"), s.wrongCode(user, 0)), chromedp.Click(css("button[value=confirm]")), chromedp.WaitVisible(css(".notice.bad")))
	w.look("two-factor-mistake")
	w.run("type it", chromedp.SendKeys(css("#code"), code()), chromedp.Click(css("button[value=confirm]")), chromedp.WaitVisible(css("#recovery")))
	recovery := strings.Fields(w.text(".secret pre code"))
	if len(recovery) != 10 {
		t.Fatalf("the recovery codes are %q", recovery)
	}
	w.look("two-factor-on")
	w.run("sign out", chromedp.Click(css(".who button")), chromedp.WaitVisible(css("#username")))

	s.wait(time.Minute)
	w.run("sign in again", w.givePassword(bossPassword), chromedp.WaitVisible(css("#code")))
	w.look("login-code")
	w.run("with a wrong code", chromedp.SendKeys(css("#code"), s.wrongCode(user, 1)), chromedp.Click(css("main form button")), chromedp.WaitVisible(css(".notice.bad")))
	w.look("login-code-mistake")
	w.run("with the right one", chromedp.SendKeys(css("#code"), code()), chromedp.Click(css("main form button")), chromedp.WaitVisible(css("#logins-title")))
	w.run("sign out again", chromedp.Click(css(".who button")), chromedp.WaitVisible(css("#username")))
	w.run("sign in with a recovery code", w.givePassword(bossPassword), chromedp.WaitVisible(css("#code")),
		chromedp.SendKeys(css("#code"), recovery[4]), chromedp.Click(css("main form button")), chromedp.WaitVisible(css("#logins-title")))

	other := s.firstStep(user)
	other.post("/login/code", "code", recovery[5]).has(t, http.StatusSeeOther)
	w.run("look where one is signed in", chromedp.Click(css(`.side a[href="/me/sessions"]`)), chromedp.WaitVisible(css(".badge.good")))
	w.reads("main", "this one", "Chromium on Linux")
	w.look("sessions")
	w.run("end the other session", chromedp.Click(css("td.actions button")), chromedp.WaitVisible(css(".notice.good")))
	if a := other.get("/me"); a.code != http.StatusSeeOther {
		t.Errorf("the other session goes on: %d", a.code)
	}

	s.wait(confirmFor + time.Second)
	w.run("set a password after a while", chromedp.Click(css(`.side a[href="/me/password"]`)), chromedp.WaitVisible(css("#code")))
	w.look("confirm-password")
	w.run("confirm", chromedp.SendKeys(css("#password"), bossPassword), chromedp.SendKeys(css("#code"), code()),
		chromedp.Click(css("main form button")), chromedp.WaitVisible(css("#again")))
	w.look("password")
	w.run("set it", chromedp.SendKeys(css("#password"), "something new"), chromedp.SendKeys(css("#again"), "something new"),
		chromedp.Click(css("main form button")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "The new password is set")
	w.run("make an app password", chromedp.Click(css(`.side a[href="/me/app-passwords"]`)), chromedp.SendKeys(css("#app"), "Phone"),
		chromedp.Click(css("#add button")), chromedp.WaitVisible(css(".secret")))
	w.look("app-passwords")
	w.run("look at the limits", chromedp.Click(css(`.side a[href="/me/limits"]`)), chromedp.WaitVisible(css(".bars")))
	w.look("me-limits")
	w.run("look at the logins", chromedp.Click(css(`.side a[href="/me/logins"]`)), chromedp.WaitVisible(css("#failed-title")))
	w.reads("main", "127.0.0.1", "This web page")
	w.look("logins")
}

// TestWrongCodesInTheBrowser blocks who guesses codes as who guesses passwords.
func TestWrongCodesInTheBrowser(t *testing.T) {
	w := newUserWalk(t)
	w.s.secondFactor(user)
	w.run("give the password", w.givePassword(bossPassword), chromedp.WaitVisible(css("#code")))
	guesser := w.s.firstStep(user) // from the same address
	for i := range 10 {
		guesser.post("/login/code", "code", w.s.wrongCode(user, i)).has(t, http.StatusUnauthorized)
	}
	w.run("give the right code", chromedp.SendKeys(css("#code"), w.s.nextCode(user)), chromedp.Click(css("main form button")), chromedp.WaitVisible(css(".notice.bad")))
	w.reads(".notice.bad", "Too many sign-ins from your address have failed")
	w.look("login-code-blocked")
}
