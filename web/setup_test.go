package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// newServer is a site that nobody has set up: it has no domain and no account. code
// opens the guide.
func newServer(t testing.TB) (s *site, code string) {
	t.Helper()
	s = newSite(t)
	_, err := s.admin.RemoveAccount(t.Context(), boss)
	s.must(err)
	s.must(s.admin.RemoveDomain(t.Context(), "example.org"))
	return s, s.beginSetup()
}

func (s *site) beginSetup() string {
	s.t.Helper()
	code, err := s.admin.BeginSetup(s.t.Context())
	s.must(err)
	if code == "" {
		s.t.Fatal("there is an administrator")
	}
	return code
}

// firstAdminForm is the fields of the form for the first administrator.
func firstAdminForm(code string) []string {
	return []string{"code", code, "address", "me@new.example", "password", "correct horse", "again", "correct horse"}
}

func TestSetup(t *testing.T) {
	s, code := newServer(t)
	b := s.browser()
	for _, path := range []string{"/", "/domains"} {
		if a := b.follow(b.get(path)); a.location != "/setup" {
			t.Errorf("%s leads by way of sign-in to %q", path, a.location)
		}
	}
	b.get("/setup").has(t, http.StatusOK, "Who is the administrator?", `aria-current="step"`, "data-fragment", "mail.example.org")
	b.follow(b.post("/setup", firstAdminForm(code)...)).has(t, http.StatusOK, "me@new.example is the administrator", "Set up: the domain", "new.example")
	if _, err := s.admin.Account(t.Context(), "me@new.example"); err != nil {
		t.Error(err)
	}

	b.post("/setup/domain", "name", "no domain").has(t, http.StatusUnprocessableEntity, "is not a domain name")
	b.follow(b.post("/setup/domain", "name", "second.example")).has(t, http.StatusOK, "second.example is served from now on.", "One more?")
	if a := b.get("/setup"); a.location != "/setup/domain" {
		t.Errorf("it goes on at %q", a.location)
	}
	b.get("/").has(t, http.StatusOK, "Set up: 4 steps left")
	s.dns.publish("new.example")
	b.follow(b.post("/setup/step", "step", "domain", "do", "done")).has(t, http.StatusOK, "Set up: DNS of", "required records are missing or wrong", "Skip for now", "data-copy", "10 mail.example.org.", "second.example")
	b.get("/setup/dns?domain=second.example").has(t, http.StatusOK, "second.example", "nothing")
	b.get("/setup/dns?domain=strange.example").has(t, http.StatusNotFound)

	b.follow(b.post("/setup/step", "step", "dns", "do", "skip")).has(t, http.StatusOK, "Set up: the first account", ", skipped", "me@new.example")
	b.post("/setup/account", "address", "alice@strange.example").has(t, http.StatusNotFound, "There is no domain strange.example here.", `value="alice@strange.example"`)
	b.post("/setup/account", "address", "alice@new.example", "name", "Alice").has(t, http.StatusOK, "The account is ready", "What to click", "Thunderbird", "/apple.mobileconfig?emailaddress=alice%40new.example", "/setup/test?address=alice%40new.example")
	if a := b.get("/setup"); a.location != "/setup/test" {
		t.Errorf("it goes on at %q", a.location)
	}
	b.follow(b.post("/setup/account", "use", "me@new.example")).has(t, http.StatusOK, "Set up: the mail program", "me@new.example")
	b.post("/setup/account", "use", "nobody@new.example").has(t, http.StatusNotFound, "There is no account nobody@new.example")

	// from another browser, after a restart of the server's pages
	other := s.browser()
	other.post("/login", "username", "me@new.example", "password", "correct horse", "next", "/setup").has(t, http.StatusSeeOther)
	if a := other.get("/setup"); a.location != "/setup/test" {
		t.Errorf("elsewhere it goes on at %q", a.location)
	}
	other.get("/setup/test?address=alice%40new.example").has(t, http.StatusOK, `value="alice@new.example"`)
	other.follow(other.post("/setup/step", "step", "test", "do", "skip")).has(t, http.StatusOK, "This server is set up.")
	if a := other.get("/"); strings.Contains(a.body, "steps left") || strings.Contains(a.body, "step left") {
		t.Error("the overview still asks to set up")
	}
	other.post("/setup/step", "step", "nothing").has(t, http.StatusNotFound)
}

func TestSetupIsForOneAlone(t *testing.T) {
	s, code := newServer(t)
	b := s.browser()
	for it, fields := range map[string][]string{
		"a wrong code":   {"code", "aaaaa-bbbbb-ccccc-ddddd-eeeee-f", "address", "me@new.example", "password", "correct horse", "again", "correct horse"},
		"no code":        {"address", "me@new.example", "password", "correct horse", "again", "correct horse"},
		"a code's start": {"code", code[:10], "address", "me@new.example", "password", "correct horse", "again", "correct horse"},
	} {
		a := b.post("/setup", fields...)
		a.has(t, http.StatusUnauthorized, "That is not the code.", `value="me@new.example"`)
		if strings.Contains(a.body, "correct horse") {
			t.Errorf("%s: the page repeats the password", it)
		}
	}
	for it, test := range map[string]struct {
		address, password, again, says string
	}{
		"passwords that differ": {"me@new.example", "correct horse", "correct hors", "not the same"},
		"a short password":      {"me@new.example", "short", "short", "too short"},
		"no address":            {"me", "correct horse", "correct horse", "is not a mail address"},
		"an address literal":    {"me@[192.0.2.1]", "correct horse", "correct horse", "is not a domain name"},
	} {
		t.Run(it, func(t *testing.T) {
			b.post("/setup", "code", code, "address", test.address, "password", test.password, "again", test.again).has(t, http.StatusUnprocessableEntity, test.says, `value="`+code+`"`)
		})
	}

	var tries sync.WaitGroup
	var mu sync.Mutex
	won := make(map[string]int)
	for range 4 {
		tries.Go(func() {
			a := s.browser().post("/setup", firstAdminForm(code)...)
			mu.Lock()
			defer mu.Unlock()
			won[a.location]++
		})
	}
	tries.Wait()
	if won["/setup/domain"] != 1 || won["/login"] != 3 {
		t.Errorf("they were led to %v", won)
	}
	if a := b.get("/setup"); a.location != "/login" {
		t.Errorf("afterwards /setup leads to %q", a.location)
	}
	b.follow(b.post("/setup", firstAdminForm(code)...)).has(t, http.StatusOK, "Sign in", "Somebody else has become the administrator")
	accounts, err := s.admin.Accounts(t.Context())
	s.must(err)
	if len(accounts) != 1 || !accounts[0].Admin {
		t.Errorf("accounts: %+v", accounts)
	}
}

func TestSetupCodeEnds(t *testing.T) {
	t.Run("with the next one", func(t *testing.T) {
		s, code := newServer(t)
		again := s.beginSetup()
		s.browser().post("/setup", firstAdminForm(code)...).has(t, http.StatusUnauthorized)
		s.browser().post("/setup", firstAdminForm(again)...).has(t, http.StatusSeeOther)
	})
	t.Run("after a day", func(t *testing.T) {
		s, code := newServer(t)
		s.wait(24 * time.Hour)
		b := s.browser()
		b.get("/setup").has(t, http.StatusOK, "has run out", "Start the server again")
		b.post("/setup", firstAdminForm(code)...).has(t, http.StatusUnprocessableEntity, "has run out")
	})
	t.Run("with an administrator from the command line, for good", func(t *testing.T) {
		s, code := newServer(t)
		s.domain("example.org")
		s.account(admin.NewAccount{Address: boss, Password: bossPassword, Admin: true})
		s.must(s.store.SetStanding(t.Context(), s.accountID(boss), store.Disabled))
		if a := s.browser().get("/setup"); a.location != "/login" {
			t.Errorf("/setup leads to %q", a.location)
		}
		if a := s.browser().post("/setup", firstAdminForm(code)...); a.location != "/login" {
			t.Errorf("the code leads to %d, %q", a.code, a.location)
		}
	})
	t.Run("not with an account that can't sign in", func(t *testing.T) {
		s, code := newServer(t)
		s.domain("example.org")
		s.account(admin.NewAccount{Address: boss, Admin: true})
		s.account(admin.NewAccount{Address: "alice@example.org", Password: bossPassword})
		s.browser().post("/setup", firstAdminForm(code)...).has(t, http.StatusSeeOther)
	})
}

// Guesses at the code count as those at passwords do.
func TestSetupCodeIsHardToGuess(t *testing.T) {
	s, code := newServer(t)
	s.browser().post("/setup", firstAdminForm("aaaaa-bbbbb-ccccc-ddddd-eeeee-f")...).has(t, http.StatusUnauthorized)
	wantAll(t, s.log.String(), `msg="code denied" remote=127.0.0.1 for=setup`)
	s.guessing(store.LoginBlock{Network: netip.MustParsePrefix("127.0.0.1/32"), Until: s.now().Add(time.Hour), Failures: 10, Names: 1, Protocol: "web"})
	a := s.browser().post("/setup", firstAdminForm(code)...)
	a.has(t, http.StatusTooManyRequests, "Too many sign-ins from your address have failed")
}

func TestPrograms(t *testing.T) {
	s := newSite(t)
	s.account(admin.NewAccount{Address: "alice@example.org", Password: bossPassword})
	b := s.signedIn()
	page := programsURL("alice@example.org")
	b.get(page).has(t, http.StatusOK, "alice@example.org", "mail.example.org", "995", "110", "465", "587", "STARTTLS", "take this one", "What to click", profileURL("alice@example.org"), "Send a test mail")
	b.post(page, "name", "Thunderbird").has(t, http.StatusOK, "The app password is ready", "Enter it in Thunderbird as the password of alice@example.org")
	b.post(page, "name", "Thunderbird").has(t, http.StatusConflict, "has an app password named", `value="Thunderbird"`)
	b.get(programsURL("nobody@example.org")).has(t, http.StatusNotFound)
	alice := s.browser()
	alice.post("/login", "username", "alice@example.org", "password", bossPassword).has(t, http.StatusSeeOther)
	own := alice.get("/me/programs")
	own.has(t, http.StatusOK, "Your mail programs", "alice@example.org", "995")
	if strings.Contains(own.body, "/setup/test") {
		t.Error("a user is led to a page of the administrators'")
	}
	alice.post("/me/programs", "name", "Phone").has(t, http.StatusOK, "The app password is ready")
	alice.get("/me").has(t, http.StatusOK, "/me/programs")
	alice.get("/setup").has(t, http.StatusForbidden, errNotAdmin.Title)
	profile, err := url.Parse(profileURL("alice@example.org"))
	s.must(err)
	if a := alice.get(profile.String()); a.code != http.StatusOK || a.header.Get("Content-Type") != profileKind {
		t.Errorf("the profile: %d", a.code)
	}
	passwords, err := s.admin.AppPasswords(t.Context(), "alice@example.org")
	s.must(err)
	if len(passwords) != 2 {
		t.Errorf("app passwords: %+v", passwords)
	}
}

// A fakeTrier has one test mail, which stands as it is told.
type fakeTrier struct {
	trial   *admin.Trial
	stopped bool
}

func (f *fakeTrier) Start(a store.Account) bool {
	if f.trial != nil && f.trial.Running() {
		return false
	}
	f.trial = &admin.Trial{Address: a.Address.String(), Stages: []admin.TrialStage{{Kind: admin.TrialReachSubmission, State: admin.TrialRunning}}}
	return true
}

func (f *fakeTrier) Last() (admin.Trial, bool) {
	if f.trial == nil {
		return admin.Trial{}, false
	}
	return *f.trial, true
}

func (f *fakeTrier) Stop() { f.stopped = true }

func TestTrial(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.get("/setup/test").has(t, http.StatusOK, "Send the test mail", `value="`+boss+`"`)
	b.post("/setup/test", "address", boss).has(t, http.StatusUnprocessableEntity, "The server isn&#39;t running", "notice bad")
	f := new(fakeTrier)
	s.admin.Trials = f
	b.post("/setup/test", "address", "nobody@example.org").has(t, http.StatusNotFound, "There is no account nobody@example.org.")
	a := b.post("/setup/test", "address", boss)
	page := b.follow(a)
	page.has(t, http.StatusOK, "The test mail is under way.", "Reach the server to send", "under way", "<progress", "Stop")
	if page.header.Get("Refresh") != trialRefresh {
		t.Error("the page doesn't follow")
	}
	b.post("/setup/test", "address", boss).has(t, http.StatusConflict, "under way already")
	b.post("/setup/test/stop").has(t, http.StatusSeeOther)
	if !f.stopped {
		t.Error("it isn't stopped")
	}
	f.trial = &admin.Trial{Address: boss, Begun: s.now(), Ended: s.now(), Stages: []admin.TrialStage{
		{Kind: admin.TrialReachSubmission, State: admin.TrialDone, Said: []admin.TrialLine{{Server: true, Text: "220 <script>"}}},
		{Kind: admin.TrialSecureSending, State: admin.TrialFailed, Problem: "remote error: <b>", TLS: "TLS 1.3", Distrust: "certificate signed by unknown authority"},
	}}
	page = b.get("/setup/test")
	page.has(t, http.StatusOK, "didn’t go the whole way", "220 &lt;script&gt;", "remote error: &lt;b&gt;", "will ask whether to trust", "Look at the certificate", "<details open>", "Send another one")
	if page.header.Get("Refresh") != "" {
		t.Error("the page follows what has ended")
	}
	id := s.receive("kim@friends.example", 100, boss)
	b.get("/").has(t, http.StatusOK, "Set up: 4 steps left")
	f.trial.Message, f.trial.Stages = id.String(), nil
	for range admin.TrialStages {
		f.trial.Stages = append(f.trial.Stages, admin.TrialStage{Kind: admin.TrialSend, State: admin.TrialDone})
	}
	b.get("/setup/test").has(t, http.StatusOK, "It works: the test mail was sent, collected and deleted again.", "The message’s way", "Delivered into the maildrop", messageURL(id.String()), "Go on")
	b.get("/").has(t, http.StatusOK, "Set up: 3 steps left")
}
