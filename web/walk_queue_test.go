package web

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// A steppedQueue is a store that drops mail from the queue as fast as a test lets it.
type steppedQueue struct {
	admin.Store
	steps chan struct{}
}

// CancelQueue stands still before each of its steps.
func (q *steppedQueue) CancelQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	return q.Store.CancelQueue(store.WithProgress(ctx, func(done, total int64) {
		store.TellProgress(ctx, done, total)
		select {
		case <-q.steps:
		case <-ctx.Done():
		}
	}), f)
}

// let lets n steps be done.
func (q *steppedQueue) let(n int) {
	for range n {
		q.steps <- struct{}{}
	}
}

// TestAdministratorTicksMessages holds the messages that were ticked at once and one
// by one, releases those that a filter finds, and returns one to its sender.
func TestAdministratorTicksMessages(t *testing.T) {
	s := newSite(t)
	s.submit(boss, "other@elsewhere.example")
	var ids []store.MessageID
	for i := range 3 {
		ids = append(ids, s.submit(boss, fmt.Sprintf("dana%d@partner.example", i)))
	}
	s.round(s.deferred)
	w := newWalk(t, s)
	w.run("tick all", chromedp.Click(css(`.side a[href="/queue"]`)), chromedp.Click(css(`input[data-all=chosen]`)))
	w.reads("#chosen", "4")
	w.run("but one", chromedp.Click(css(`.queued:first-of-type input[type=checkbox]`)))
	w.reads("#chosen", "3")
	w.look("queue-ticked")
	w.run("hold them", chromedp.Click(css(`#chosen button[value=hold]`)), chromedp.WaitVisible(css(".notice.good")))
	w.reads(".notice.good", "3 recipients are held")
	held, err := s.admin.Queue(t.Context(), admin.QueueSelection{Held: true})
	s.must(err)
	for _, item := range held {
		if item.Domain != "partner.example" {
			t.Errorf("the message to %s is held, which wasn't ticked", item.To)
		}
	}
	w.run("find them", chromedp.SendKeys(css("#domain"), "partner.example\r"), chromedp.WaitVisible(css(`#domain[value="partner.example"]`)))
	w.reads("main", "3 recipients of 3 messages for partner.example", "All 3:", "by an administrator")
	w.run("release what the filter finds", chromedp.Click(css(`form.bulk:not(#chosen) button[value=release]`)), chromedp.WaitVisible(css(".notice.good")))
	w.reads(".notice.good", "3 recipients are released.")
	w.run("think about returning one", chromedp.Click(css(`a[href="/queue/return?message=`+ids[1].String()+`"]`)), chromedp.WaitVisible(css(".confirm")))
	w.reads(".confirm", "dana1@partner.example")
	w.run("return it", chromedp.Click(css(".confirm button.danger")), chromedp.WaitVisible(css(".notice.good")))
	w.reads(".notice.good", "1 recipient is returned to the sender.")
	w.reads(".timeline", "Taken out of the queue dana1@partner.example")
}

// TestAdministratorStopsLongWork drops mail for more recipients than can be waited
// for, leaves the page and comes back, sees how far it is with script and without, and
// stops it.
func TestAdministratorStopsLongWork(t *testing.T) {
	s := newSite(t)
	queue := &steppedQueue{s.admin.Store, make(chan struct{})}
	s.admin.Store = queue
	for range 20 {
		to := make([]string, 1000)
		for i := range to {
			to[i] = fmt.Sprintf("member%d@big.example", i)
		}
		s.submit(boss, to...)
	}
	s.submit(boss, "other@elsewhere.example")
	w := newWalk(t, s)
	w.run("ask for it", chromedp.Navigate(s.http.URL+"/queue?domain=big.example"), chromedp.Click(css(`form.bulk:not(#chosen) a.danger`)), chromedp.WaitVisible(css(".confirm")))
	w.reads(".confirm", "for big.example", "Drop it, tell nobody")
	w.run("begin it", chromedp.Click(css(`.confirm button[value=drop]`)), chromedp.WaitVisible(css(`#work progress[value="0"]`)))
	w.reads("#work", "Dropping mail for big.example", "running", phrase.Steps("drop", 0, 20_000))
	w.run("leave it", chromedp.Click(css(`#work a[href^="/queue"]`)), chromedp.WaitVisible(css("#domain")))
	queue.let(4)
	w.run("come back", chromedp.Click(css(`.side a[href="/long-work"]`)), chromedp.WaitVisible(css("#works")))
	w.reads("#works", "Dropping mail for big.example", "of 20", "running")
	w.look("works-running")
	w.run("look closer", chromedp.EmulateViewport(1280, 900), chromedp.Click(css(`#works th a`)), chromedp.WaitVisible(css(`#work progress[value="2000"]`)))
	if _, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](`window.watched = true`)); err != nil {
		t.Fatal(err)
	}
	queue.let(6)
	w.run("watch it", chromedp.WaitVisible(css(`#work progress[value="5000"]`)))
	if watched, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](`window.watched === true`)); err != nil || !watched {
		t.Errorf("the page was loaded anew although script runs, %v", err)
	}
	w.reads("#work", phrase.Steps("drop", 5000, 20_000))
	w.look("work-running")
	scripts := func(off bool) {
		t.Helper()
		if _, err := chromedp.Call(w.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off}); err != nil {
			t.Fatal(err)
		}
	}
	here, err := chromedp.Run(w.ctx, chromedp.Location())
	s.must(err)
	scripts(true)
	w.run("look again without script", chromedp.Click(css(`#work a[href^="/long-work/"]`)), chromedp.WaitVisible(css(`#work progress[value="5000"]`)))
	queue.let(10)
	w.run("wait without script", chromedp.WaitVisible(css(`#work progress[value="10000"]`)))
	scripts(false) // a page that is loaded anew all the time may lose a click
	w.run("come back with script", chromedp.Navigate(here), chromedp.WaitVisible(css(`#work progress[value="10000"]`)))
	w.reads("#work", phrase.Steps("drop", 10_000, 20_000))
	w.run("stop it", chromedp.Click(css(`#work form[action$="/stop"] button`)), chromedp.WaitVisible(css(`#work .verdict.warn`)))
	left, _, err := s.admin.CountQueue(t.Context(), admin.QueueSelection{Domain: "big.example"})
	s.must(err)
	if left < 9000 || left > 10_000 {
		t.Errorf("%d recipients are left", left)
	}
	w.reads("#work", "stopped", "It was stopped.", phrase.Number(20_000-left)+" recipients are dropped.", "The rest, "+phrase.Number(left)+" recipients, is as it was.")
	w.look("work-stopped")
	w.run("see what is left", chromedp.Click(css(`#work .buttons a`)), chromedp.WaitVisible(css(".queued")))
	if n, _, err := s.admin.CountQueue(t.Context(), admin.QueueSelection{}); n != left+1 || err != nil {
		t.Errorf("%d recipients are left in the whole queue, %v", n, err)
	}
}

// TestAdministratorRemovesSeveralAccounts ticks accounts of a long list and removes
// them once it is typed how many they are.
func TestAdministratorRemovesSeveralAccounts(t *testing.T) {
	s := newSite(t)
	for i := range 60 {
		s.account(admin.NewAccount{Address: fmt.Sprintf("user%02d@example.org", i)})
	}
	s.receive("kim@friends.example", 1000, "user03@example.org", "user04@example.org")
	w := newWalk(t, s)
	w.run("tick two", chromedp.Click(css(`.side a[href="/accounts"]`)), chromedp.Click(css(`input[value="user03@example.org"]`)), chromedp.Click(css(`input[value="user04@example.org"]`)))
	w.reads("#chosen", "2")
	w.look("accounts-ticked")
	w.run("think about removing them", chromedp.Click(css(`#chosen button[value=remove]`)), chromedp.WaitVisible(css("#typed")))
	w.reads(".confirm", "user03@example.org", "user04@example.org", "2 messages", "remove 2")
	w.look("accounts-remove")
	w.run("remove them", chromedp.SendKeys(css("#typed"), "remove 2\r"), chromedp.WaitVisible(css(".notice.good")))
	w.reads(".notice.good", "2 accounts are removed, with all mail.")
	accounts, err := s.admin.Accounts(t.Context())
	if err != nil || len(accounts) != 59 {
		t.Errorf("there are %d accounts, %v", len(accounts), err)
	}
}
