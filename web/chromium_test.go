package web

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// css is short for the selectors of these tests.
func css(selector string) chromedp.CSS { return chromedp.CSS(selector) }

// signIn does what an administrator does first.
func signIn(s *site) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(
		chromedp.Navigate(s.http.URL+"/"),
		chromedp.WaitVisible(css("#username")),
		chromedp.SendKeys(css("#username"), boss),
		chromedp.SendKeys(css("#password"), bossPassword),
		chromedp.Click(css("main form button[type=submit]")),
		chromedp.WaitVisible(css(".foot")), chromedp.WaitVisible(css(".verdict")),
	)
}

func TestAdministratorsFirstDay(t *testing.T) {
	s := newSite(t)
	ctx := chromium(t)
	run := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	folder := os.Getenv("POSTROOM_SCREENSHOTS")
	picture := func(name string) {
		if folder != "" {
			photograph(t, ctx, filepath.Join(folder, "story-"+name))
		}
	}
	run("sign in with a wrong password", chromedp.EmulateViewport(1280, 900), chromedp.Navigate(s.http.URL+"/domains"),
		chromedp.SendKeys(css("#username"), boss), chromedp.SendKeys(css("#password"), "wrong\r"), chromedp.WaitVisible(css(".notice.bad")))
	picture("denied")
	run("sign in", signIn(s))
	title, err := chromedp.Run(ctx, chromedp.Title())
	s.must(err)
	if want := "Overview · postroom on mail.example.org"; title != want {
		t.Errorf("the title is %q, want %q", title, want)
	}
	run("add a domain",
		chromedp.Click(css(`.side a[href="/domains"]`)), chromedp.SendKeys(css("#name"), "new.example"), chromedp.Click(css("#add button")),
		chromedp.WaitVisible(css(".notice.good")), chromedp.WaitVisible(css(`a[href="/domains/new.example/remove"]`)))
	run("add an account",
		chromedp.Click(css(`.side a[href="/accounts"]`)), chromedp.SendKeys(css("#address"), "zoe@new.example"), chromedp.SendKeys(css("#quota"), "2GB"),
		chromedp.Click(css("#add button")))
	secret, err := chromedp.Run(ctx, chromedp.Text(css(".secret code")))
	s.must(err)
	picture("secret")
	if len(secret) < 15 {
		t.Errorf("the password that was made is %q", secret)
	}
	run("add the account again", chromedp.Click(css(`.side a[href="/accounts"]`)), chromedp.SendKeys(css("#address"), "zoe@new.example"),
		chromedp.Click(css("#add button")), chromedp.WaitVisible(css("#add .notice.bad")))
	picture("conflict")
	run("add an alias",
		chromedp.Click(css(`.side a[href="/aliases"]`)), chromedp.SendKeys(css("#source"), "info@new.example"),
		chromedp.SendKeys(css("#targets"), "zoe@new.example"), chromedp.Click(css("#add button")), chromedp.WaitVisible(css(`a[href="/aliases/info@new.example/remove"]`)))
	picture("alias")
	id := s.receive("friend@friends.example", 1000, "zoe@new.example")
	run("look up a message",
		chromedp.Click(css(`.side a[href="/messages"]`)), chromedp.SendKeys(css("#q"), "zoe@new.example\n"),
		chromedp.WaitVisible(css(`#q[value="zoe@new.example"]`)), // the answer, and not the list before it, which has the link too
		chromedp.Click(css(`a[href="`+messageURL(id.String())+`"]`)),
		chromedp.WaitVisible(css(".timeline")))
	way, err := chromedp.Run(ctx, chromedp.Text(css(".timeline")))
	s.must(err)
	wantAll(t, way, "Accepted", "192.0.2.25", "TLS 1.3", "Delivered", "zoe@new.example")
	run("sign out", chromedp.Click(css(".who button")), chromedp.WaitVisible(css("#username")))
}

// TestAdministratorMendsTheWayOut pauses a destination that mail waits for, leads
// it by another server, and lets it go on.
func TestAdministratorMendsTheWayOut(t *testing.T) {
	s := newSite(t)
	ctx := chromium(t)
	run := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	text := func(selector string) string {
		t.Helper()
		text, err := chromedp.Run(ctx, chromedp.Text(css(selector)))
		if err != nil {
			t.Fatalf("read %s: %v", selector, err)
		}
		return text
	}
	s.submit(boss, "dana@partner.example")
	s.round(s.deferred)
	run("sign in", chromedp.EmulateViewport(1280, 900), signIn(s))
	run("pause a destination",
		chromedp.Click(css(`.side a[href="/destinations"]`)), chromedp.WaitVisible(css("#pause")),
		chromedp.Click(css(`td.actions button[value=pause]`)), chromedp.WaitVisible(css(".notice.good")))
	wantAll(t, text("main"), "1 destination is paused", "Mail for partner.example is kept here", "when it is resumed")
	run("see in the queue why it waits",
		chromedp.Click(css(`main a[href="/queue?domain=partner.example"]`)), chromedp.WaitVisible(css(".queued")))
	wantAll(t, text(".queued"), "held", "destination is paused")
	run("add a route with a mistake in it",
		chromedp.Click(css(`.side a[href="/routes"]`)), chromedp.SendKeys(css("#to"), "partner.example"), chromedp.SendKeys(css("#host"), "smtp.provider.example:587"),
		chromedp.SendKeys(css("#user"), "me"), chromedp.Click(css(`#add input[value=must]`)), chromedp.Click(css("#add button")), chromedp.WaitVisible(css("#add .notice.bad")))
	wantAll(t, text("#add"), "There is no password for the user me.")
	run("mend it",
		chromedp.SendKeys(css("#password"), "very secret"), chromedp.Click(css("#add button")),
		chromedp.WaitVisible(css(".notice.good")), chromedp.WaitVisible(css(`a[href="/routes/remove?domain=partner.example&from="]`)))
	wantAll(t, text("main table"), "partner.example", "smtp.provider.example:587", "signs in as me", "Always")
	run("resume the destination",
		chromedp.Click(css(`.side a[href="/destinations"]`)), chromedp.Click(css(`td.actions button[value=resume]`)),
		chromedp.WaitVisible(css(`td.actions button[value=pause]`)), chromedp.WaitVisible(css(".notice.good")))
	wantAll(t, text("main"), "Mail for partner.example goes on.")
	run("try it now", chromedp.Click(css(`td.actions button[value=retry]`)), chromedp.WaitVisible(css(".notice.good")))
	s.eventually("the mail is due", func() bool { return len(s.claim()) == 1 })
	routes, err := s.admin.Routes(t.Context())
	if err != nil || len(routes) != 1 || routes[0].TLS != "must" || !routes[0].Auth {
		t.Errorf("the route is %+v, %v", routes, err)
	}
}
