package web

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"

	"postroom/store"
)

// TestAdministratorFollowsAMessage looks for a message that came in by its sender's
// address, sees the whole of its way grow until it was deleted, and finds one that was
// refused.
func TestAdministratorFollowsAMessage(t *testing.T) {
	s := newSite(t)
	id := s.receive("kim@friends.example", 1000, boss)
	s.refuse()
	s.eventually("the refusal is in the trace", func() bool { return s.traced("winner@lottery.example", store.Rejected) })
	w := newWalk(t, s)
	w.run("look for it", chromedp.Click(css(`.side a[href="/messages"]`)), chromedp.SendKeys(css("#q"), "kim@friends.example\r"),
		chromedp.WaitVisible(css(`#q[value="kim@friends.example"]`)), chromedp.Click(css(`main a[href="`+messageURL(id.String())+`"]`)), chromedp.WaitVisible(css(".timeline")))
	w.reads(".verdict", "It is in the maildrop of "+boss+" and has not been collected yet.")
	w.reads(".timeline", "192.0.2.25", "mx.friends.example", "TLS 1.3", "SPF", "DKIM", "250 2.0.0 accepted as "+id.String())
	s.collect(boss, "delete")
	s.eventually("the collection is in the trace", func() bool { return s.traced("kim@friends.example", store.Collected) })
	w.run("look again", chromedp.Reload(), chromedp.WaitVisible(css(".timeline")))
	w.reads(".verdict", "collected it, and deleted it from the maildrop")
	w.reads(".timeline", "198.51.100.7", "Deleted from the maildrop")
	w.look("message-deleted")
	w.run("look for one that was refused", chromedp.Click(css(`.side a[href="/messages"]`)), chromedp.SendKeys(css("#q"), "winner@lottery.example\r"),
		chromedp.WaitVisible(css(`#q[value="winner@lottery.example"]`)), chromedp.Click(css("main td a.id")), chromedp.WaitVisible(css(".timeline")))
	w.reads(".verdict", "It was refused")
	w.reads(".timeline", "203.0.113.99", "550 5.1.1 No such user here", "listed")
}

// TestAdministratorClearsTheQueue holds all mail for a destination, lets it go again,
// and returns one message to its sender.
func TestAdministratorClearsTheQueue(t *testing.T) {
	s := newSite(t)
	var ids []store.MessageID
	for range 3 {
		ids = append(ids, s.submit(boss, "dana@partner.example"))
	}
	s.submit(boss, "other@elsewhere.example")
	s.round(s.deferred)
	w := newWalk(t, s)
	w.run("filter", chromedp.Click(css(`.side a[href="/queue"]`)), chromedp.SendKeys(css("#domain"), "partner.example\r"), chromedp.WaitVisible(css(`#domain[value="partner.example"]`)))
	w.reads("main", "3 recipients", "Greylisted")
	w.run("hold all of it", chromedp.Click(css(`form.bulk:not(#chosen) button[value=hold]`)), chromedp.WaitVisible(css(".notice.good")))
	w.reads(".notice.good", "3 recipients", "held")
	w.run("let it go", chromedp.Navigate(s.http.URL+"/queue?domain=partner.example"), chromedp.Click(css(`form.bulk:not(#chosen) button[value=release]`)), chromedp.WaitVisible(css(".notice.good")))
	w.reads(".notice.good", "3 recipients", "released")
	w.run("think about returning one", chromedp.Navigate(s.http.URL+"/queue"), chromedp.Click(css(`a[href="/queue/return?message=`+ids[0].String()+`"]`)), chromedp.WaitVisible(css(".confirm")))
	w.reads(".confirm", "It is not tried again", boss, "dana@partner.example")
	w.look("queue-return")
	w.run("return it", chromedp.Click(css(".confirm button.danger")), chromedp.WaitVisible(css(".notice.good")))
	w.reads(".notice.good", "1 recipient", "returned to the sender.")
}

// TestAdministratorLooksAfterAnAccount makes an app password, sets a password of one's
// own, gives it a quota, disables and enables the account, and removes it once its address is typed.
func TestAdministratorLooksAfterAnAccount(t *testing.T) {
	s := newSite(t)
	w := newWalk(t, s)
	w.run("add an account", chromedp.Click(css(`.side a[href="/accounts"]`)), chromedp.SendKeys(css("#address"), "zoe@example.org"), chromedp.Click(css("#add button")), chromedp.WaitVisible(css(".secret code")))
	s.receive("kim@friends.example", 1000, "zoe@example.org")
	w.run("make an app password", chromedp.Navigate(s.http.URL+accountURL("zoe@example.org")), chromedp.SendKeys(css("#app"), "Phone\r"), chromedp.WaitVisible(css(".secret code")))
	w.reads(".secret", "Enter it in Phone", "shown this once")
	w.look("app-password")
	w.run("take it back", chromedp.Navigate(s.http.URL+accountURL("zoe@example.org")), chromedp.Click(css(`form[action$="/app-passwords/remove"] button`)), chromedp.WaitVisible(css(".notice.good")))
	w.run("choose too short a password", chromedp.SendKeys(css("#password"), "short\r"), chromedp.WaitVisible(css(".notice.bad")))
	w.reads(".notice.bad", "at least 8")
	w.run("give it a quota", chromedp.Click(css("details.change summary")), chromedp.SendKeys(css("#quota"), "3GB\r"), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "zoe@example.org was changed", "3 GB")
	w.run("disable it", chromedp.Click(css(`form[action$="/disable"] button`)), chromedp.WaitVisible(css(`form[action$="/enable"]`)))
	w.reads("main", "can’t log in")
	w.run("enable it", chromedp.Click(css(`form[action$="/enable"] button`)), chromedp.WaitVisible(css(`form[action$="/disable"]`)))
	w.run("remove it, with a slip", chromedp.Click(css(`a[href="/accounts/zoe@example.org/remove"]`)), chromedp.WaitVisible(css("#typed")))
	w.reads(".confirm", "1 message", "deleted for good", "To confirm, type zoe@example.org")
	w.run("slip", chromedp.SendKeys(css("#typed"), "zoe\r"), chromedp.WaitVisible(css(".confirm .notice.bad")))
	w.look("account-remove-mistake")
	w.run("remove it", chromedp.SetValue(css("#typed"), "zoe@example.org"), chromedp.Click(css(".confirm button.danger")), chromedp.WaitVisible(css(".notice.good")))
	w.reads(".notice.good", "zoe@example.org was removed")
}

// TestPageLeftOpenGoesOn uses a page again after the server was started anew, and one
// whose session has ended meanwhile.
func TestPageLeftOpenGoesOn(t *testing.T) {
	s := newSite(t)
	w := newWalk(t, s)
	w.run("open a page", chromedp.Click(css(`.side a[href="/domains"]`)), chromedp.SendKeys(css("#name"), "new.example"))
	restarted := *s.server
	s.http.Config.Handler = restarted.Handler()
	w.run("use it after a restart", chromedp.Click(css("#add button")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "new.example is served from now on")
	w.run("open another", chromedp.Navigate(s.http.URL+"/domains"), chromedp.SendKeys(css("#name"), "late.example"))
	s.wait(sessionIdle * 2)
	w.run("use it when nobody is signed in any more", chromedp.Click(css("#add button")), chromedp.WaitVisible(css("#password")))
	w.run("sign in again", chromedp.SendKeys(css("#username"), boss), chromedp.SendKeys(css("#password"), bossPassword+"\r"), chromedp.WaitNotPresent(css("#password")), chromedp.WaitVisible(css("h1")))
	domains, err := s.admin.Domains(context.Background())
	if err != nil || len(domains) != 2 {
		t.Errorf("there are %d domains, %v", len(domains), err)
	}
}
