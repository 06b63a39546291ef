package web

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestUserGoesAway sets a vacation notice, and a forward with a mistake in it that
// is mended then.
func TestUserGoesAway(t *testing.T) {
	s, _ := newUserSite(t)
	w := &walk{t, s, chromium(t)}
	w.run("sign in", chromedp.EmulateViewport(1280, 900), chromedp.Navigate(s.http.URL+"/"),
		chromedp.SendKeys(css("#username"), user), chromedp.SendKeys(css("#password"), bossPassword+"\r"),
		chromedp.WaitVisible(css(`.side a[href="/me/vacation"]`)))
	w.run("write a notice", chromedp.Click(css(`.side a[href="/me/vacation"]`)),
		chromedp.SendKeys(css("#vacation-subject"), "Away"), chromedp.SendKeys(css("#vacation-text"), "I am back on Monday."),
		chromedp.Click(css(`button[value="on"]`)), chromedp.WaitVisible(css("#vacation .badge.good")))
	w.look("away-notice")
	w.run("forward to a wrong address", chromedp.Click(css(`.side a[href="/me/forwarding"]`)),
		chromedp.SendKeys(css("#forward-targets"), "bos@example.org"), chromedp.Click(css(`button[value="save"]`)),
		chromedp.WaitVisible(css(`button[value="anyway"]`)))
	w.look("away-doubt")
	w.reads(".notice.warn", "Nothing has been saved yet", "Nobody has the address bos@example.org")
	w.run("mend it", chromedp.Clear(css("#forward-targets")), chromedp.SendKeys(css("#forward-targets"), boss),
		chromedp.Click(css(`button[value="save"]`)), chromedp.WaitVisible(css(`button[value="stop"]`)))
	w.look("away-forwarded")
	f, err := s.admin.Forward(t.Context(), user)
	if err != nil || len(f.Targets) != 1 || f.Targets[0] != boss || !f.Keep {
		t.Errorf("it is forwarded to %+v, %v", f, err)
	}
	if v, err := s.admin.Vacation(t.Context(), user); err != nil || v.State != "answers" || v.Text != "I am back on Monday." {
		t.Errorf("the notice is %+v, %v", v, err)
	}
}
