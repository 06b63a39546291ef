package web

import (
	"context"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store/admin"
	"postroom/store/auth"
)

func TestOwnPassword(t *testing.T) {
	s, b := newUserSite(t)
	other := s.signedInAs(user)
	b.get("/me/password").has(t, http.StatusOK, `autocomplete="new-password"`, `autocomplete="username"`, `value="`+user+`"`)
	b.post("/me/password", "password", "something new", "again", "something else").has(t, http.StatusUnprocessableEntity, "not the same")
	b.post("/me/password", "password", "short", "again", "short").has(t, http.StatusUnprocessableEntity, "at least 8")
	b.follow(b.post("/me/password", "password", "something new", "again", "something new")).has(t, http.StatusOK, "new password is set")
	if a := other.get("/me"); a.code != http.StatusSeeOther {
		t.Errorf("the old password's session goes on: %d", a.code)
	}
	b.get("/me/sessions").has(t, http.StatusOK, "this one")
	s.browser().post("/login", "username", user, "password", "something new").has(t, http.StatusSeeOther)
	s.wait(confirmFor + time.Second)
	b.get("/me/password").has(t, http.StatusSeeOther)
	if a := b.post("/me/password", "password", "yet another one", "again", "yet another one"); a.code != http.StatusSeeOther || strings.Contains(a.location, "another") {
		t.Errorf("a new password after a while is answered %d to %q", a.code, a.location)
	}
}

func TestOwnAppPasswords(t *testing.T) {
	s, b := newUserSite(t)
	b.get("/me/app-passwords").has(t, http.StatusOK, "You have no app passwords")
	made := b.post("/me/app-passwords", "name", "Phone <3")
	made.has(t, http.StatusOK, "The app password is ready", "Phone &lt;3", "never")
	shown := regexp.MustCompile(`<code data-copy>([a-z2-7-]{26,})</code>`).FindStringSubmatch(made.body)
	if shown == nil {
		t.Fatalf("no password is shown:\n%s", made.body)
	}
	b.post("/me/app-passwords", "name", "Phone <3").has(t, http.StatusConflict, "already", `value="Phone &lt;3"`)
	if again := b.get("/me/app-passwords").body; strings.Contains(again, shown[1]) {
		t.Error("it is shown again")
	}
	_, err := s.admin.Auth.Login(t.Context(), auth.Attempt{Login: user, Password: shown[1], Client: netip.MustParseAddr("198.51.100.7"), Protocol: "pop3s"})
	s.must(err)
	s.eventually("the login is kept", func() bool {
		logins, err := s.store.LastLogins(t.Context(), s.accountID(user))
		return err == nil && len(logins) == 2
	})
	for b, path := range map[*browser]string{b: "/me", s.signedIn(): accountURL(user)} {
		b.get(path).has(t, http.StatusOK, "Collecting mail (POP3)", "198.51.100.7", "Phone &lt;3", "This web page", "127.0.0.1", "not yet")
	}
	b.follow(b.post("/me/app-passwords/remove", "name", "Phone <3")).has(t, http.StatusOK, "doesn’t work any more")
	b.post("/me/app-passwords/remove", "name", "Phone <3").has(t, http.StatusNotFound, "no app password")
}

func TestOwnLogins(t *testing.T) {
	s, b := newUserSite(t)
	b.get("/me/logins").has(t, http.StatusOK, "Who tried in vain", "Nobody has.")
	guesser := s.browser()
	for range 3 {
		guesser.post("/login", "username", user, "password", "wrong").has(t, http.StatusUnauthorized)
	}
	s.note(user, "pop3", "2001:db8::7", "Phone")
	s.eventually("the tries are kept", func() bool {
		sources, err := s.admin.LoginSources(t.Context(), user)
		return err == nil && len(sources) == 3 && slices.ContainsFunc(sources, func(l admin.LoginSource) bool { return l.Times == 3 })
	})
	b.get("/me/logins").has(t, http.StatusOK, "2001:db8::/64", "Collecting mail (POP3)", "127.0.0.1", `class="num">3<`)
}

func TestOwnSessions(t *testing.T) {
	s, b := newUserSite(t)
	phone := s.browser()
	phone.header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1")
	phone.post("/login", "username", user, "password", bossPassword).has(t, http.StatusSeeOther)
	third := s.signedInAs(user)
	list := b.get("/me/sessions")
	list.has(t, http.StatusOK, "Safari on an iPhone", "this one", "127.0.0.1")
	ids := regexp.MustCompile(`name="session" value="(\d+)"`).FindAllStringSubmatch(list.body, -1)
	if len(ids) != 2 {
		t.Fatalf("%d other sessions are listed:\n%s", len(ids), list.body)
	}
	row := regexp.MustCompile(`(?s)an iPhone.*?value="(\d+)"`).FindStringSubmatch(list.body)
	s.signedIn().follow(s.signedIn().post("/me/sessions", "session", row[1])) // another's
	phone.get("/me").has(t, http.StatusOK)
	b.follow(b.post("/me/sessions", "session", row[1])).has(t, http.StatusOK, "Signed out in 1 browser")
	phone.get("/me").has(t, http.StatusSeeOther)
	third.get("/me").has(t, http.StatusOK)
	b.follow(b.post("/me/sessions", "session", row[1])).has(t, http.StatusOK, "has ended already")
	b.follow(b.post("/me/sessions", "do", "others")).has(t, http.StatusOK, "Signed out in 1 browser")
	third.get("/me").has(t, http.StatusSeeOther)
	b.post("/me/sessions", "session", "x").has(t, http.StatusBadRequest)
	s.wait(sessionIdle + time.Second)
	if sessions, err := s.admin.Sessions(t.Context(), user); err != nil || len(sessions) != 0 {
		t.Errorf("sessions that are over are listed: %+v, %v", sessions, err)
	}
}

// A request that is under way while its session is ended brings nothing back.
func TestEndedSessionStaysEnded(t *testing.T) {
	s, b := newUserSite(t)
	during := *s.server
	during.Admin = endingAdmin{s.admin}
	s.http.Config.Handler = during.Handler()
	s.wait(sessionTouch + time.Second) // so that the request has something to keep
	b.get("/me").has(t, http.StatusOK)
	b.get("/me").has(t, http.StatusSeeOther)
	if sessions, err := s.admin.Sessions(t.Context(), user); err != nil || len(sessions) != 0 {
		t.Errorf("sessions are %+v, %v", sessions, err)
	}
}

// An endingAdmin ends the sessions of an account when it is asked about it.
type endingAdmin struct{ Admin }

func (e endingAdmin) Account(ctx context.Context, address string) (admin.Account, error) {
	if _, err := e.EndSessions(ctx, address, 0); err != nil {
		return admin.Account{}, err
	}
	return e.Admin.Account(ctx, address)
}

func TestOwnLimits(t *testing.T) {
	s, b := newUserSite(t)
	s.signedIn().post(accountURL(user)+"/limits", "do", "set", "messages_per_hour", "9").has(t, http.StatusSeeOther)
	page := b.get("/me/limits")
	page.has(t, http.StatusOK, "0 of 9", "9 left", "an administrator can set other limits")
	if strings.Contains(page.body, "<form method=\"post\" action=\"/accounts") {
		t.Error("a user is offered to change the limits")
	}
	b.post(accountURL(user)+"/limits", "do", "set", "messages_per_hour", "900").has(t, http.StatusForbidden)
}

// No request tells us where we are: neither Host nor what a proxy may say of it.
func TestForgedHostChangesNoLink(t *testing.T) {
	s, b := newUserSite(t)
	s.server.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s.wait(confirmFor + time.Second)
	forged := func(b *browser) *browser {
		for _, name := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Server", "X-Original-Host", "X-Host"} {
			b.header.Set(name, "evil.example")
		}
		b.header.Set("Forwarded", "host=evil.example;proto=https")
		return b
	}
	check := func(what string, a answer) {
		t.Helper()
		if strings.Contains(a.body+a.location, "evil.example") || strings.Contains(a.header.Get("Set-Cookie"), "Domain") {
			t.Errorf("%s speaks of the host that was named: %q\n%s", what, a.location, a.body)
		}
	}
	forged(b)
	for _, path := range []string{"/", "/me", "/me/two-factor", "/me/password", "/me/sessions", "/accounts", "/nothing", "//me", "/me/../me"} {
		check(path, b.get(path))
	}
	stranger := forged(s.browser())
	for _, path := range []string{"/", "/me", "/login", "/login/code"} {
		check(path, stranger.get(path))
	}
	check("signing in", stranger.post("/login", "username", user, "password", bossPassword, "next", "/me"))
	check("a second factor", stranger.follow(stranger.post("/me/two-factor", "do", "begin")))
	key, err := s.admin.NewTOTPKey(t.Context(), user, s.server.Hostname)
	s.must(err)
	check("the key", answer{body: key.URL})
	check("a form", b.post("/me/sessions", "do", "others"))
	check("a form that needs the password", b.post("/me/password"))
}
