package web

import (
	"testing"

	"github.com/chromedp/chromedp"

	"postroom/store"
)

// TestAdministratorFindsMail looks for a refused mail by the client's IP and for a
// bounced one by the host that refused it, and reads the graphs.
func TestAdministratorFindsMail(t *testing.T) {
	s := newSite(t)
	s.submit(boss, "nobody@partner.example")
	s.round(s.failed)
	s.receive("kim@friends.example", 1000, boss)
	s.refuse()
	s.eventually("the refusal is in the trace", func() bool { return s.traced("winner@lottery.example", store.Rejected) })
	w := newWalk(t, s)
	w.reads(".graphs", "In", "3 messages came in over the last day", "Bounced", "1 recipient was given up over the last day", "Refused", "No attempt was put off over the last day.")
	w.run("look at the hour", chromedp.Click(css(`.spans a[href^="/?over=hour"]`)), chromedp.WaitVisible(css(`.spans a[href^="/?over=hour"][aria-current]`)),
		chromedp.Click(css(`[aria-labelledby=graph-refused] summary`)), chromedp.WaitVisible(css(`[aria-labelledby=graph-refused] table`)))
	w.reads("[aria-labelledby=graph-refused] table", "Recipients refused", "09:30 to 09:31", "1")
	w.look("overview-hour")
	w.run("find a refused mail by IP", chromedp.Click(css(`.side a[href="/messages"]`)), chromedp.Click(css(".filters summary")),
		chromedp.SendKeys(css("#ip"), "203.0.113.0/24"), chromedp.SetValue(css("#outcome"), "refused"), chromedp.Click(css("main .search button")), chromedp.WaitVisible(css(".understood")))
	w.reads("main", "Messages from or to the network 203.0.113.0/24, refused.", "winner@lottery.example")
	w.look("found-refused")
	w.run("look at it", chromedp.Click(css("main td a.id")), chromedp.WaitVisible(css(".timeline")))
	w.reads("main", "It was refused", "203.0.113.99", "No such user here", "Encryption", "none")
	w.run("find a bounced mail by the remote host", chromedp.Click(css(`.side a[href="/messages"]`)),
		chromedp.SendKeys(css("#q"), "mx1.partner.example bounced since yesterday\n"), chromedp.WaitVisible(css(".understood")))
	w.reads("main", "Messages from or to the host mx1.partner.example, bounced, since Thu, 19 Nov 2026.", "nobody@partner.example", "bounced")
	w.run("look at it", chromedp.Click(css("main td a.id")), chromedp.WaitVisible(css(".timeline")))
	w.reads("main", "User unknown in virtual mailbox table", "The report to the sender")
	w.run("mistype a date", chromedp.Navigate(s.http.URL+"/messages?since=tomorrowish"), chromedp.WaitVisible(css(".notice.bad")))
	w.reads("main", "is not a time", "Nothing was looked for")
	w.look("search-mistake")
}
