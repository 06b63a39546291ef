package web

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postroom/store"
)

// A walk is what an administrator does in a browser, step by step.
type walk struct {
	t   *testing.T
	s   *site
	ctx context.Context
}

// newWalk signs the administrator in, at a laptop's width.
func newWalk(t *testing.T, s *site) *walk {
	t.Helper()
	w := &walk{t, s, chromium(t)}
	w.run("sign in", chromedp.EmulateViewport(1280, 900), signIn(s))
	return w
}

// run does one step of the walk. It fails the test, and says what the page shows, if
// that isn't done within a minute.
func (w *walk) run(what string, steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.ctx, time.Minute)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		at, _ := chromedp.Run(w.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText.slice(0, 2000)`)) // tells no more if it fails
		w.t.Fatalf("%s: %v, at %s", what, err, at)
	}
}

// reads fails the test unless what is at the selector holds all the texts.
func (w *walk) reads(selector string, texts ...string) {
	w.t.Helper()
	text, err := chromedp.Run(w.ctx, chromedp.Text(css(selector)))
	if err != nil {
		w.t.Fatalf("read %s: %v", selector, err)
	}
	wantAll(w.t, text, texts...)
}

// look regards the page at both widths.
func (w *walk) look(name string) {
	w.t.Helper()
	for _, width := range []int64{390, 1280} {
		w.run("resize", chromedp.EmulateViewport(width, 900))
		regard(w.t, w.ctx, "story-"+name, width)
	}
}

// TestAdministratorKeepsStrangersOut blocks who sent a message, lets in who
// guessed passwords, and takes the block back.
func TestAdministratorKeepsStrangersOut(t *testing.T) {
	s := newSite(t)
	s.guessing(s.guessers()...)
	id := s.receive("kim@friends.example", 1000, boss)
	w := newWalk(t, s)
	w.run("look at the message", chromedp.Click(css(`main a[href="`+messageURL(id.String())+`"]`)), chromedp.WaitVisible(css(".checks")))
	w.reads(".checks", "pass", "SPF", "friends.example names 192.0.2.25")
	w.run("block its sender", chromedp.Click(css(`a[href$="/sender?action=block"]`)), chromedp.WaitVisible(css(`input[value="friends.example"]`)))
	w.look("sender")
	w.run("the whole domain, for a week", chromedp.Click(css(`input[value="friends.example"]`)), chromedp.SetValue(css("#expires"), "7d"),
		chromedp.Click(css("main button[type=submit]")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "Mail from friends.example is refused from now on.", "message "+id.String(), "in 7 days", "2 networks may not log in")
	w.run("let a guesser in again", chromedp.Navigate(s.http.URL+"/lists"), chromedp.Click(css(`form[action="/lists/forgive"] button`)), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "may log in again", "1 network may not log in")
	w.run("add with a mistake", chromedp.SendKeys(css("#what"), "no one"), chromedp.Click(css("#add button")), chromedp.WaitVisible(css("#add .notice.bad")))
	w.look("lists-mistake")
	w.run("take the block back", chromedp.Click(css(`a[href^="/lists/remove"]`)), chromedp.WaitVisible(css(".confirm")),
		chromedp.Click(css(".confirm button")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "friends.example is not blocked any more.", "Nobody is blocked or allowed by hand")
}

// TestAdministratorPublishesTheDNS sees what is wrong, mends it, renews the keys.
func TestAdministratorPublishesTheDNS(t *testing.T) {
	s := newSite(t)
	s.dns.publish("example.org")
	w := newWalk(t, s)
	w.run("look", chromedp.Click(css(`.side a[href="/domains"]`)), chromedp.Click(css(`main a[href="/domains/example.org"]`)),
		chromedp.Click(css(`a[href="/domains/example.org/dns"]`)), chromedp.WaitVisible(css(".verdict.bad")))
	w.reads("main", "required records are missing or wrong", "_domainkey.example.org", "IN MX 10 mail.example.org.")
	buttons, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](`document.querySelectorAll("[data-copy]").length == [...document.querySelectorAll("main button")].filter(b => b.textContent == "Copy").length`))
	if err != nil || !buttons {
		t.Errorf("not all that can be copied has a button: %v", err)
	}
	report, err := s.admin.DNS(t.Context(), "example.org")
	s.must(err)
	for _, r := range report.Records {
		if r.Type == "TXT" {
			s.dns.txt[r.Name] = []string{r.Value}
		}
	}
	s.dns.ip["mail.example.org"] = thisServer.Addresses
	s.dns.ptr["2001:db8:1:2::17"] = []string{"mail.example.org."}
	w.run("look again", chromedp.Click(css(`header a[data-slow]`)), chromedp.WaitVisible(css(".verdict.good")))
	w.reads(".verdict", "All that is required is right")
	w.run("renew the keys", chromedp.Click(css(`.crumbs a`)), chromedp.Click(css(`a[href="/domains/example.org/dkim"]`)), chromedp.WaitVisible(css(".confirm")),
		chromedp.Click(css(".confirm button")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "Put their records into the DNS", "next", "All that is required is right", "Looked at")
	w.look("keys-next")
	w.run("use them now", chromedp.Navigate(s.http.URL+"/domains/example.org"), chromedp.Click(css(`a[href="/domains/example.org/dkim?now=yes"]`)), chromedp.WaitVisible(css(".confirm")),
		chromedp.Click(css(".confirm button")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "signed with the new keys", "retired")
	w.look("keys-retired")
}

// TestAdministratorAsksWhatWouldHappen asks the checks about a mail, pasted and
// from a file, and about a domain.
func TestAdministratorAsksWhatWouldHappen(t *testing.T) {
	s := newSite(t)
	s.admin.Checks = checker{}
	s.refuse()
	s.eventually("the refusal is in the trace", func() bool { return s.traced("winner@lottery.example", store.Rejected) })
	w := newWalk(t, s)
	w.run("ask about a mail that was refused", chromedp.Click(css(`.side a[href="/messages"]`)), chromedp.Click(css(`main td a.id`)),
		chromedp.Click(css(`a[href^="/check?"]`)), chromedp.WaitVisible(css(`#ip[value="203.0.113.99"]`)),
		chromedp.SendKeys(css("#message"), friendly), chromedp.Click(css(`button[value=message]`)), chromedp.WaitVisible(css(".verdict.bad")))
	w.reads("main", "It would be refused.", "550 5.7.1 Refused", "listed")
	w.look("check-refused")
	file := filepath.Join(t.TempDir(), "mail.eml")
	s.must(os.WriteFile(file, []byte(friendly+strings.Repeat("x", 500_000)), 0o600))
	w.run("ask about a file", chromedp.SetValue(css("#from"), "kim@friends.example"), chromedp.SetUploadFiles(css("#file"), []string{file}),
		chromedp.Click(css(`button[value=message]`)), chromedp.WaitVisible(css(".verdict.good")))
	w.reads("main", "It would be taken.", "spf=pass smtp.mailfrom=kim@friends.example")
	w.look("check-taken")
	w.run("ask about nothing", chromedp.Navigate(s.http.URL+"/check"), chromedp.Click(css(`button[value=spf]`)), chromedp.WaitVisible(css(".notice.bad")))
	w.look("check-mistake")
	w.run("ask about a domain", chromedp.SendKeys(css("#domain"), "friends.example"), chromedp.Click(css(`button[value=dmarc]`)), chromedp.WaitVisible(css(".verdict")))
	w.reads("main", "friends.example wants p=quarantine")
}

// TestAdministratorSetsLimits gives the server and an account limits of their own,
// and a scanner the right to submit.
func TestAdministratorSetsLimits(t *testing.T) {
	s := newSite(t)
	w := newWalk(t, s)
	w.run("limit everybody", chromedp.Click(css(`.side a[href="/limits"]`)), chromedp.Click(css(".change summary")), chromedp.SendKeys(css("#recipients_per_day"), "many"),
		chromedp.Click(css(`button[value=set]`)), chromedp.WaitVisible(css(".notice.bad")))
	w.look("limits-mistake")
	w.run("mend it", chromedp.SetValue(css("#recipients_per_day"), "20"), chromedp.Click(css(`button[value=set]`)), chromedp.WaitVisible(css(".notice.good")))
	s.recipientsOut(boss, 8)
	w.run("look at an account", chromedp.Click(css(".who a")), chromedp.Click(css("header a.far")), chromedp.WaitVisible(css("#limits")))
	w.reads("#limits", "16", "The same mail counts for", "has used 80 % of a limit")
	w.run("limit it", chromedp.Click(css("#limits .change summary")), chromedp.SendKeys(css("#messages_per_hour"), "9"), chromedp.Click(css(`#limits button[value=set]`)), chromedp.WaitVisible(css(".notice.good")))
	w.reads("#limits", "8 of 9", "1 left", "own")
	w.run("give a scanner its right", chromedp.Click(css(`.side a[href="/devices"]`)), chromedp.SendKeys(css("#network"), "192.168.1.20"), chromedp.SendKeys(css("#account"), boss),
		chromedp.Click(css("#add button")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "Whatever comes from 192.168.1.20 may submit mail as "+boss)
	w.run("take it back", chromedp.Click(css(`a[href^="/devices/remove"]`)), chromedp.Click(css(".confirm button")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "There are no devices")
}
