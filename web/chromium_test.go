package web

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"postroom/store/admin"
)

// chromium starts a browser of its own for the test.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium (Debian package chromium)")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("no-sandbox", os.Geteuid() == 0), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	ctx, stop := context.WithTimeout(context.Background(), 9*time.Minute)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	return ctx
}

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

// TestNothingScrollsSideways looks at every page at the width of a phone and of
// a laptop, with no data and with much. If POSTROOM_SCREENSHOTS names a folder,
// it leaves pictures there, light and dark; if POSTROOM_AXE names axe-core's
// script (axe.min.js), that looks for what keeps people out.
func TestNothingScrollsSideways(t *testing.T) {
	for _, life := range []string{"empty", "busy"} {
		t.Run(life, func(t *testing.T) {
			s := newSite(t)
			paths := map[string]string{
				"overview": "/", "messages": "/messages", "queue": "/queue", "domains": "/domains", "accounts": "/accounts",
				"destinations": "/destinations", "routes": "/routes", "sources": "/sources", "domain": "/domains/example.org",
				"aliases": "/aliases", "devices": "/devices", "lists": "/lists", "limits": "/limits", "check": "/check", "certificate": "/certificate", "dns": "/domains/example.org/dns",
				"account": accountURL(boss), "me": "/me", "confirm-password": "/confirm-password?again=yes", "nothing-found": "/messages?q=nobody@nowhere.example", "no-page": "/nothing/here",
			}
			if life == "busy" {
				s.fill()
				s.trust()
				s.addPaths(paths)
			}
			look(t, s, life, paths)
		})
	}
}

// addPaths adds the pages that there are only with data.
func (s *site) addPaths(paths map[string]string) {
	for name, of := range map[string]string{
		"sent": "dana@partner.example", "bounced": "nobody@partner.example", "waiting": "subscriber3@list3.example",
		"held": "suspicious@elsewhere.example", "many": "eve@example.org", "refused": "winner@lottery.example", "collected": "kim@friends.example",
	} {
		trails, err := s.admin.Trace(s.t.Context(), of)
		s.must(err)
		if len(trails) == 0 {
			s.t.Fatalf("no message of %s", of)
		}
		paths["message-"+name] = messageURL(trails[len(trails)-1].ID.String())
		if name == "waiting" {
			paths["return"] = "/queue/return?message=" + trails[0].ID.String()
		}
	}
	queue, err := s.admin.Queue(s.t.Context(), admin.QueueSelection{})
	s.must(err)
	if len(queue) == 0 {
		s.t.Fatal("the queue is empty")
	}
	paths["queue-domain"] = "/queue?domain=list1.example"
	paths["queue-held"] = "/queue?held=yes"
	paths["queue-none"] = "/queue?sender=nobody@nowhere.example"
	paths["return-many"] = "/queue/return?sender=grace@example.org"
	paths["destinations-none"] = "/destinations?q=nowhere"
	paths["domain-backup"] = domainURL("branch-office.example")
	paths["domain-backup-new"] = domainURL("second-office.example")
	paths["route-remove"] = "/routes/remove?domain=*&from="
	paths["source-remove"] = "/sources/remove?ip=192.0.2.18&for=alice@example.org"
	paths["account-alice"] = accountURL("alice@example.org")
	paths["account-disabled"] = accountURL("dan@example.org")
	paths["account-remove"] = accountURL("alice@example.org") + "/remove"
	paths["alias-remove"] = aliasURL("info@example.org") + "/remove"
	paths["domain-remove"] = domainURL("branch-office.example") + "/remove"
	paths["domain-in-use"] = domainURL("example.org") + "/remove"
	paths["accounts-people"] = "/accounts?q=%40example.org"
	paths["accounts-fullest"] = "/accounts?sort=full"
	paths["lists-none"] = "/lists?q=nowhere"
	paths["list-remove"] = "/lists/remove?action=block&what=spam.example"
	paths["device-remove"] = "/devices/remove?network=192.168.1.20"
	paths["domain-local"] = domainURL("books.example.org")
	paths["dns-backup"] = domainURL("branch-office.example") + "/dns"
	paths["dkim"] = domainURL("example.org") + "/dkim"
	paths["dkim-now"] = domainURL("example.org") + "/dkim?now=yes"
	refused := paths["message-refused"]
	paths["sender-block"] = refused + "/sender?action=block"
	paths["sender-allow"] = refused + "/sender?action=allow"
	paths["search"] = "/messages?q=alice@example.org"
}

// look visits the pages at both widths, measures and takes pictures.
func look(t *testing.T, s *site, life string, paths map[string]string) {
	ctx := chromium(t)
	folder := os.Getenv("POSTROOM_SCREENSHOTS")
	shoot := func(name string, width int64, path string) {
		t.Helper()
		s.must(chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)))
		if path != "" {
			s.must(chromedp.Do(ctx, chromedp.Navigate(s.http.URL+path)))
		}
		wide, err := chromedp.Run(ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if wide > width {
			t.Errorf("%s at %d pixels is %d wide", name, width, wide)
		}
		if script := os.Getenv("POSTROOM_AXE"); script != "" {
			examine(t, ctx, name, script)
		}
		if folder != "" {
			photograph(t, ctx, filepath.Join(folder, fmt.Sprintf("%s-%s-%d", life, name, width)))
		}
	}
	shoot("login", 1280, "/login")
	shoot("login", 390, "/login")
	s.must(chromedp.Do(ctx, signIn(s)))
	for name, path := range paths {
		shoot(name, 1280, path)
		shoot(name, 390, "")
	}
	s.must(chromedp.Do(ctx, chromedp.Click(css(".menu summary"))))
	shoot("menu", 390, "")
	if log := s.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("pages failed:\n%s", log)
	}
}

// examine reports what axe-core finds on the page.
func examine(t *testing.T, ctx context.Context, name, script string) {
	t.Helper()
	axe, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	const run = `;axe.run().then(r => r.passes.length == 0 ? ["nothing was examined"] : r.violations.map(v => v.id + ": " + v.nodes.map(n => n.target.join(" ") + " " + (n.failureSummary || "")).slice(0, 3).join("; ")))`
	for _, scheme := range []string{"light", "dark"} {
		found, err := chromedp.Run(ctx, inScheme(scheme, chromedp.Evaluate[[]string](string(axe)+run, chromedp.EvalAwaitPromise)))
		if err != nil {
			t.Fatalf("axe on %s: %v", name, err)
		}
		for _, f := range found {
			t.Errorf("axe on %s, %s: %s", name, scheme, f)
		}
	}
}

// inScheme does what is to be done in light or dark colours.
func inScheme[T any](scheme string, do chromedp.Action[T]) chromedp.Action[T] {
	return func(ctx context.Context, tab *chromedp.Target) (T, error) {
		media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}
		if _, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, media); err != nil {
			var none T
			return none, err
		}
		return do(ctx, tab)
	}
}

// photograph writes the page in light and dark.
func photograph(t *testing.T, ctx context.Context, file string) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		picture, err := chromedp.Run(ctx, inScheme(scheme, chromedp.FullScreenshot(100)))
		if err == nil {
			err = os.WriteFile(file+"-"+scheme+".png", picture, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
