package web

import (
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"postroom/store"
	"postroom/store/auth"
)

// secondFactor turns an account's second factor on, and returns its recovery codes.
func (s *site) secondFactor(address string) []string {
	s.t.Helper()
	s.must(s.admin.BeginTwoFactor(s.t.Context(), address))
	codes, err := s.admin.ConfirmTwoFactor(s.t.Context(), address, s.code(address), 0)
	s.must(err)
	return codes
}

// code returns what the app of an account shows now.
func (s *site) code(address string) string {
	s.t.Helper()
	key, err := s.store.TOTPKey(s.t.Context(), s.accountID(address))
	s.must(err)
	code, err := totp.GenerateCode(auth.TOTPText(key.Secret), s.now())
	s.must(err)
	return code
}

// note notes a login over a protocol.
func (s *site) note(address, protocol, client, app string) {
	s.t.Helper()
	s.store.NoteLogin(store.Login{
		Account: s.accountID(address), Protocol: protocol, At: s.now(), Client: netip.MustParseAddr(client), AppPassword: app,
	})
}

// wrongCode returns six digits that no app shows at about this time.
func (s *site) wrongCode(address string, n int) string {
	s.t.Helper()
	key, err := s.store.TOTPKey(s.t.Context(), s.accountID(address))
	s.must(err)
	for {
		code := fmt.Sprintf("%06d", n)
		if _, right := auth.TOTPStep(key.Secret, code, s.now()); !right {
			return code
		}
		n += 1000
	}
}

// nextCode waits until the app shows another code.
func (s *site) nextCode(address string) string {
	s.t.Helper()
	s.wait(30 * time.Second)
	return s.code(address)
}

// firstStep gives the password, and returns the browser that is asked for the code.
func (s *site) firstStep(address string) *browser {
	s.t.Helper()
	b := s.browser()
	a := b.post("/login", "username", address, "password", bossPassword, "next", "/me/limits")
	if a.location != "/login/code?next=%2Fme%2Flimits" {
		s.t.Fatalf("after the password it goes on to %q", a.location)
	}
	wantAll(s.t, b.follow(a).body, "The password is right", `autocomplete="one-time-code"`, `value="/me/limits"`)
	return b
}

func TestSecondFactor(t *testing.T) {
	s, b := newUserSite(t)
	other := s.signedInAs(user)
	b.get("/me/two-factor").has(t, http.StatusOK, "the password alone", "/me/app-passwords")
	shown := b.follow(b.post("/me/two-factor", "do", "begin"))
	shown.has(t, http.StatusOK, "<svg", `role="img"`)
	key := regexp.MustCompile(`data-copy>([A-Z2-7 ]{39})<`).FindStringSubmatch(shown.body)
	if key == nil {
		t.Fatalf("no key is shown:\n%s", shown.body)
	}
	secret := strings.ReplaceAll(key[1], " ", "")
	b.get("/me/two-factor").has(t, http.StatusOK, key[1]) // as long as no code was seen
	s.signedInAs(user)                                    // which asks for no code
	b.post("/me/two-factor", "do", "confirm", "code", s.wrongCode(user, 0)).has(t, http.StatusUnprocessableEntity, "not the code of this key", "09:30:00", key[1])
	code, err := totp.GenerateCode(secret, s.now())
	s.must(err)
	on := b.post("/me/two-factor", "do", "confirm", "code", code)
	on.has(t, http.StatusOK, "Your recovery codes", "10 of 10 recovery codes are left")
	recovery := regexp.MustCompile(`(?m)[a-z2-7]{4}(-[a-z2-7]{4}){3}`).FindAllString(html.UnescapeString(on.body), -1)
	if len(recovery) != 10 {
		t.Fatalf("%d recovery codes are shown:\n%s", len(recovery), on.body)
	}
	again := b.get("/me/two-factor")
	again.has(t, http.StatusOK, "takes a code too")
	if strings.Contains(again.body, recovery[0]) || strings.Contains(again.body, secret[:4]) {
		t.Error("secrets are shown again")
	}
	if a := other.get("/me"); a.location != "/login?next=%2Fme" {
		t.Errorf("a session of before goes on: %d to %q", a.code, a.location)
	}

	half := s.firstStep(user)
	half.get("/me").has(t, http.StatusSeeOther)
	half.post("/login/code", "code", code).has(t, http.StatusUnauthorized, textWrongCode) // once is enough
	if a := half.post("/login/code", "code", s.nextCode(user), "next", "/me/limits"); a.location != "/me/limits" {
		t.Errorf("the code leads to %q:\n%s", a.location, a.body)
	}
	half.get("/me").has(t, http.StatusOK, user)

	for i, want := range []int{http.StatusSeeOther, http.StatusUnauthorized} {
		half := s.firstStep(user)
		half.post("/login/code", "code", strings.ToUpper(recovery[3])).has(t, want)
		if in := half.get("/me").code == http.StatusOK; in != (i == 0) {
			t.Errorf("try %d of a recovery code: signed in is %t", i, in)
		}
	}
	b.get("/me/two-factor").has(t, http.StatusOK, "9 of 10 recovery codes are left")
	if log := s.log.String(); strings.Contains(log, secret) || strings.Contains(log, recovery[3]) || strings.Contains(log, code) {
		t.Error("a secret is in the log")
	}
}

func TestSecondFactorIsChangedWithItsCode(t *testing.T) {
	s, _ := newUserSite(t)
	old := s.secondFactor(user)
	b := s.firstStep(user)
	b.post("/login/code", "code", s.nextCode(user)).has(t, http.StatusSeeOther)
	for _, do := range []string{"codes", "off"} {
		b.post("/me/two-factor", "do", do).has(t, http.StatusUnprocessableEntity, textWrongCode)
	}
	b.post("/me/two-factor", "do", "begin").has(t, http.StatusConflict, "is on already")
	b.post("/me/two-factor", "do", "codes", "code", s.nextCode(user)).has(t, http.StatusOK, "Your recovery codes", "10 of 10 recovery codes are left")
	s.firstStep(user).post("/login/code", "code", old[0]).has(t, http.StatusUnauthorized)

	s.wait(confirmFor)
	asked := b.post("/me/two-factor", "do", "off", "code", s.code(user))
	b.follow(asked).has(t, http.StatusOK, "recovery code")
	b.post("/confirm-password", "password", bossPassword, "code", s.wrongCode(user, 7), "next", "/me/two-factor").has(t, http.StatusUnauthorized, textWrongCode)
	b.post("/confirm-password", "password", "wrong", "code", s.code(user), "next", "/me/two-factor").has(t, http.StatusUnauthorized, textWrongPassword)
	b.post("/me/two-factor", "do", "off").has(t, http.StatusSeeOther)
	b.follow(b.post("/confirm-password", "password", bossPassword, "code", s.code(user), "next", "/me/two-factor")).has(t, http.StatusOK, "takes a code too")
	b.follow(b.post("/me/two-factor", "do", "off", "code", s.nextCode(user))).has(t, http.StatusOK, "the password alone from now on")
	s.signedInAs(user).get("/me").has(t, http.StatusOK)
}

func TestAdministratorTakesTheSecondFactorOff(t *testing.T) {
	s, _ := newUserSite(t)
	s.secondFactor(user)
	b := s.signedIn()
	b.get(accountURL(user)).has(t, http.StatusOK, "asked for since", "in no browser")
	b.follow(b.post(accountURL(user)+"/two-factor")).has(t, http.StatusOK, "with the password alone from now on")
	b.post(accountURL(user)+"/two-factor").has(t, http.StatusNotFound, "has no second factor")
	in := s.signedInAs(user)
	b.get(accountURL(user)).has(t, http.StatusOK, "in 1 browser")
	b.follow(b.post(accountURL(user)+"/sessions")).has(t, http.StatusOK, "Signed out in 1 browser")
	in.get("/me").has(t, http.StatusSeeOther)
	b.get(accountURL(boss)).has(t, http.StatusOK, "everywhere else")
	b.follow(b.post(accountURL(boss)+"/sessions")).has(t, http.StatusOK, "no other session")
}

// The right password is no session, and not for long anything else.
func TestHalfASignInEnds(t *testing.T) {
	tests := map[string]func(s *site){
		"after five minutes":         func(s *site) { s.wait(halfLasts + time.Second) },
		"when the password changes":  func(s *site) { s.must(s.admin.SetPassword(s.t.Context(), user, "another password")) },
		"when disabled":              func(s *site) { s.must(s.admin.DisableAccount(s.t.Context(), user, false)) },
		"when no code is needed now": func(s *site) { s.must(s.admin.TurnTwoFactorOff(s.t.Context(), user)) },
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := newUserSite(t)
			recovery := s.secondFactor(user)
			half := s.firstStep(user)
			end(s)
			half.follow(half.post("/login/code", "code", recovery[0], "next", "/me/limits")).has(t, http.StatusOK, "Sign in again", `value="/me/limits"`)
			half.get("/me").has(t, http.StatusSeeOther)
		})
	}
	s, _ := newUserSite(t)
	if a := s.browser().get("/login/code?next=//evil.example"); a.location != "/login?next=%2F" {
		t.Errorf("without a password it leads to %q", a.location)
	}
}

func TestWrongCodesAreGuesses(t *testing.T) {
	s, _ := newUserSite(t)
	s.secondFactor(user)
	half := s.firstStep(user)
	for i := range 10 {
		half.post("/login/code", "code", s.wrongCode(user, i)).has(t, http.StatusUnauthorized, textWrongCode)
	}
	half.post("/login/code", "code", s.code(user)).has(t, http.StatusTooManyRequests, "Too many sign-ins")
	s.browser().post("/login", "username", boss, "password", bossPassword).has(t, http.StatusTooManyRequests)
	if blocks, err := s.admin.LoginBlocks(t.Context()); err != nil || len(blocks) != 1 || blocks[0].Protocol != "web" {
		t.Errorf("blocks are %+v, %v", blocks, err)
	}
}

// Whoever has the password may have many addresses to guess codes from.
func TestCodesOfOneAccountAreBounded(t *testing.T) {
	s, _ := newUserSite(t)
	s.server.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	recovery := s.secondFactor(user)
	guesses := 0
	for i := range 10 {
		half := s.browser()
		half.header.Set("X-Forwarded-For", fmt.Sprintf("203.0.%d.7", i))
		half.post("/login", "username", user, "password", bossPassword).has(t, http.StatusSeeOther)
		for j := range 5 {
			a := half.post("/login/code", "code", s.wrongCode(user, 10*i+j))
			if a.code == http.StatusUnauthorized {
				guesses++
			}
		}
	}
	if guesses != 30 {
		t.Errorf("%d codes of one account were looked at, want 30", guesses)
	}
	half := s.browser()
	half.header.Set("X-Forwarded-For", "192.0.2.1")
	half.post("/login", "username", user, "password", bossPassword).has(t, http.StatusSeeOther)
	half.post("/login/code", "code", s.nextCode(user)).has(t, http.StatusTooManyRequests, "only a recovery code")
	half.post("/login/code", "code", recovery[0]).has(t, http.StatusSeeOther)
	s.wait(time.Hour)
	half.post("/login", "username", user, "password", bossPassword).has(t, http.StatusSeeOther)
	half.post("/login/code", "code", s.code(user)).has(t, http.StatusSeeOther)
}
