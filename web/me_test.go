package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"postroom/store/admin"
)

const user = "user@example.org"

// newUserSite returns a site with an account that is no administrator's, and a
// browser in which its owner has signed in.
func newUserSite(t *testing.T) (*site, *browser) {
	t.Helper()
	s := newSite(t)
	s.account(admin.NewAccount{Address: user, Password: bossPassword, Name: "Una", Quota: 1_000_000})
	return s, s.signedInAs(user)
}

func TestUserSeesOnlyTheOwnPages(t *testing.T) {
	s, b := newUserSite(t)
	s.receive("kim@friends.example", 1000, user)
	me := b.follow(b.get("/"))
	me.has(t, http.StatusOK, "Una", "1 message to be collected", "of 1 MB", user)
	for _, foreign := range []string{`href="/queue"`, `href="/accounts`, "As administrators see it"} {
		if strings.Contains(me.body, foreign) {
			t.Errorf("a user's page holds %s", foreign)
		}
	}
	b.get("/accounts").has(t, http.StatusForbidden, errNotAdmin.Title, `href="/me"`)
	b.post("/accounts", "address", "more@example.org").has(t, http.StatusForbidden, errNotAdmin.Title)
	b.get("/nothing").has(t, http.StatusNotFound, `href="/me"`)
	if accounts, err := s.admin.Accounts(t.Context()); err != nil || len(accounts) != 2 {
		t.Errorf("a user made an account: %v, %v", accounts, err)
	}
	s.signedIn().get("/me").has(t, http.StatusOK, boss, `href="`+accountURL(boss)+`"`, `href="/queue"`)
}

// What is dangerous asks for the password again, and leads back to where one was.
func TestDangerAsksForThePassword(t *testing.T) {
	s := newSite(t)
	s.account(admin.NewAccount{Address: "zoe@example.org"})
	b := s.signedIn()
	remove := accountURL("zoe@example.org") + "/remove"
	b.get(remove).has(t, http.StatusOK, "Remove zoe@example.org?")
	s.wait(confirmFor + time.Second)
	asked := b.get(remove)
	b.follow(asked).has(t, http.StatusOK, "Confirm that it’s you", `autocomplete="current-password"`, `value="`+remove+`"`)
	next := nextOf(t, asked)
	b.post("/confirm-password", "next", next, "password", "wrong").has(t, http.StatusUnauthorized, textWrongPassword, `value="`+remove+`"`)
	b.get(remove).has(t, http.StatusSeeOther)
	b.follow(b.post("/confirm-password", "next", next, "password", bossPassword)).has(t, http.StatusOK, "Remove zoe@example.org?")

	s.wait(confirmFor + time.Second)
	b.header.Set("Referer", s.http.URL+"/accounts/zoe@example.org?x=1")
	asked = b.post(accountURL("zoe@example.org")+"/password", "password", "another password")
	if next := nextOf(t, asked); next != "/accounts/zoe@example.org?x=1" {
		t.Errorf("it goes on to %q instead of the page with the form", next)
	}
	b.follow(asked).has(t, http.StatusOK, "Nothing has been changed yet")
	b.follow(b.post("/confirm-password", "next", nextOf(t, asked), "again", "yes", "password", bossPassword)).has(t, http.StatusOK, textOnceMore)
	b.follow(b.post(accountURL("zoe@example.org")+"/password", "password", "another password")).has(t, http.StatusOK, "The new password is set")
}

// Whoever finds a browser that is signed in can't make another administrator.
func TestNewAdministratorsAskForThePassword(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	s.wait(confirmFor + time.Second)
	b.post("/accounts", "address", "zoe@example.org", "password", "long enough").has(t, http.StatusSeeOther)
	if next := nextOf(t, b.post("/accounts", "address", "mallory@example.org", "password", "long enough", "admin", "yes")); next != "/accounts" {
		t.Errorf("it goes on to %q", next)
	}
	if accounts, err := s.admin.Accounts(t.Context()); err != nil || len(accounts) != 2 {
		t.Errorf("the accounts are %+v, %v", accounts, err)
	}
}

// nextOf returns where an answer that asks for the password will lead.
func nextOf(t *testing.T, a answer) string {
	t.Helper()
	u, err := url.Parse(a.location)
	if err != nil || u.Path != "/confirm-password" {
		t.Fatalf("answered %d to %q instead of asking for the password", a.code, a.location)
	}
	return u.Query().Get("next")
}

func TestPageOfAFormIsOurs(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	s.wait(confirmFor + time.Second)
	for referer, want := range map[string]string{
		"":                                  "/accounts/a%2fb@example.org",
		"https://evil.example/accounts?q=x": "/accounts?q=x",
		"https://evil.example//evil":        "/accounts/a%2fb@example.org",
		"https://evil.example/nothing":      "/accounts/a%2fb@example.org",
		"/confirm-password":                 "/accounts/a%2fb@example.org",
		"/login":                            "/accounts/a%2fb@example.org",
		"%zz":                               "/accounts/a%2fb@example.org",
	} {
		b.header.Set("Referer", referer)
		if next := nextOf(t, b.post("/accounts/a%2fb@example.org/password")); next != want {
			t.Errorf("a form of %q leads to %q, want %q", referer, next, want)
		}
	}
	for _, next := range []string{"https://evil.example/", "//evil.example"} {
		if a := b.post("/confirm-password", "next", next, "password", bossPassword); a.location != "/" {
			t.Errorf("%q leads to %q", next, a.location)
		}
	}
}

func TestWrongConfirmationsAreGuesses(t *testing.T) {
	s, b := newUserSite(t)
	for range 2 { // what is known of this address's owner, then the address itself
		for i := range 10 {
			b.post("/confirm-password", "password", "guess "+string(rune('a'+i)))
		}
	}
	b.post("/confirm-password", "password", bossPassword).has(t, http.StatusTooManyRequests, "Too many sign-ins")
	s.browser().post("/login", "username", user, "password", bossPassword).has(t, http.StatusTooManyRequests)
}
