package web

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// A stint is work whose steps a test does.
type stint struct {
	id   string
	step chan int64 // how many of 100 are done
	told chan struct{}
	end  chan error
}

// begin begins work that goes on until the test ends it, or somebody stops it.
func (s *site) begin() *stint {
	s.t.Helper()
	st := &stint{step: make(chan int64), told: make(chan struct{}), end: make(chan error)}
	w, err := s.admin.BeginWork(s.t.Context(), admin.NewWork{Kind: "hold", About: "mail for big.example", To: "/queue?domain=big.example", By: boss, Run: st.run})
	s.must(err)
	st.id = w.ID
	return st
}

func (st *stint) run(ctx context.Context) (int64, error) {
	var done int64
	for {
		select {
		case done = <-st.step:
			store.TellProgress(ctx, done, 100)
			st.told <- struct{}{}
		case err := <-st.end:
			return done, err
		case <-ctx.Done():
			return done, ctx.Err()
		}
	}
}

func (st *stint) reach(done int64) {
	st.step <- done
	<-st.told
}

func TestWorkShowsHowFarItIs(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.get("/long-work").has(t, http.StatusOK, "Nothing runs")
	st := s.begin()
	page := "/long-work/" + st.id
	b.get(page).has(t, http.StatusOK, "Holding mail for big.example", "running", "It is about to begin.", boss, `<noscript><meta http-equiv="refresh" content="2"></noscript>`)
	st.reach(25)
	b.get(page).has(t, http.StatusOK, `value="25" max="100"`, "25 of 100 recipients so far.", "Leave it to go on", `href="/queue?domain=big.example"`)
	b.get("/long-work").has(t, http.StatusOK, "Holding mail for big.example", "25 of 100", `aria-current="page"`)
	b.follow(b.post(page+"/stop", "back", page)).has(t, http.StatusOK, "stopped", "25 recipients are held, and not sent before being released.", "The rest, 75 recipients, is as it was.")
	if a := b.get(page); strings.Contains(a.body, "refresh") || strings.Contains(a.body, "/stop") {
		t.Error("what has ended is loaded anew, or can be stopped")
	}
	for _, test := range []struct {
		err   error
		texts []string
	}{
		{nil, []string{"done", "90 recipients are held"}},
		{&admin.Error{Kind: admin.Busy, Text: "Not now."}, []string{"failed", "It ended early: Not now. 90 recipients are held"}},
		{fmt.Errorf("secret detail"), []string{"failed", "It ended early: It has been written to the server’s log", "90 recipients are held"}},
	} {
		st := s.begin()
		st.reach(90)
		st.end <- test.err
		s.eventually("it ends", func() bool { w, err := s.admin.Work(st.id); return err == nil && w.State != admin.WorkRunning })
		a := b.get("/long-work/" + st.id)
		a.has(t, http.StatusOK, test.texts...)
		if strings.Contains(a.body, "secret detail") {
			t.Error("the page shows what is for the log")
		}
	}
	wantAll(t, s.log.String(), "work failed", "secret detail")
}

// A restart ends work and forgets it; its page says so, and how things are now.
func TestWorkIsForgotten(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	s.submit(boss, "a@big.example", "b@big.example", "c@far.example")
	_, err := s.admin.HoldQueue(t.Context(), admin.QueueSelection{Domain: "far.example"})
	s.must(err)
	st := s.begin()
	page := "/long-work/" + st.id + "?" + url.Values{"queue": {"yes"}, "domain": {"big.example"}, "to": {"/queue"}, "do": {"hold"}}.Encode()
	b.get(page).has(t, http.StatusOK, "running")
	s.restart()
	b.get(page).has(t, http.StatusNotFound, "The server was started anew", "begin it again for the rest",
		"Now there are 2 recipients for big.example in the queue, and 0 of them are held.", `href="/queue?domain=big.example"`)
	b.follow(b.post("/long-work/"+st.id+"/stop", "back", page)).has(t, http.StatusNotFound, "The server was started anew")
	b.get("/long-work/"+st.id+"?to=//evil.example").has(t, http.StatusNotFound, `<a role="button" href="/">Go on</a>`)
	later := s.begin()
	later.end <- nil
	s.eventually("it ends", func() bool { w, err := s.admin.Work(later.id); return err == nil && w.State == admin.WorkDone })
	s.wait(2 * time.Hour)
	b = s.signedIn()
	b.get("/long-work").has(t, http.StatusOK, "Nothing runs")
	b.get("/long-work/"+later.id).has(t, http.StatusNotFound, "This work is over")
}

func TestTickedMessages(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	var ids []string
	for i := range 4 {
		ids = append(ids, s.submit(boss, fmt.Sprintf("a%d@one.example", i), fmt.Sprintf("b%d@two.example", i)).String())
	}
	page := b.get("/queue")
	page.has(t, http.StatusOK, `<input type="checkbox" name="message" value="`+ids[2]+`" form="chosen"`, `data-all="chosen"`)
	b.follow(b.post("/queue", "scope", "chosen", "do", "hold", "back", "/queue", "message", ids[0], "message", ids[1], "message", ids[2])).
		has(t, http.StatusOK, "6 recipients are held, and not sent before being released.")
	b.follow(b.post("/queue", "scope", "chosen", "do", "hold", "back", "/queue")).has(t, http.StatusOK, "notice bad", "Nothing was ticked")
	b.follow(b.post("/queue", "scope", "chosen", "do", "release", "back", "/queue", "message", ids[0])).has(t, http.StatusOK, "2 recipients are released.")
	b.get("/queue/return?scope=chosen&message="+ids[0]+"&message="+ids[3]).has(t, http.StatusOK, "Return mail for 4 recipients?", "the 2 messages that you ticked", ids[0], ids[3])
	b.follow(b.get("/queue/return?scope=chosen")).has(t, http.StatusOK, "Nothing was ticked")
	b.follow(b.post("/queue/return", "message", ids[0], "message", ids[3])).has(t, http.StatusOK, "4 recipients are returned to their senders.")
	b.follow(b.post("/queue", "scope", "chosen", "do", "hold", "message", "0000000000001", "message", "0000000000002")).has(t, http.StatusOK, "Nothing of the messages that were chosen")
}

func TestQueueByAgeAndAnswer(t *testing.T) {
	s := newSite(t)
	s.submit(boss, "old@one.example")
	s.wait(5 * time.Hour)
	s.round(s.deferred)
	young := s.submit(boss, "young@one.example", "young@two.example").String()
	b := s.signedIn()
	b.get("/queue?age=4h").has(t, http.StatusOK, "1 recipient of 1 message, older than 4 hours", "old@one.example", `<option value="4h" selected>`)
	b.get("/queue?reply=GREYLISTED").has(t, http.StatusOK, "1 recipient of 1 message, last answered “GREYLISTED”", "old@one.example")
	b.get("/queue?id="+young).has(t, http.StatusOK, "2 recipients of 1 message of the message "+young)
	b.get("/queue?age=soon").has(t, http.StatusOK, "Nothing waits")
	if a := b.get("/queue?reply=busy"); strings.Contains(a.body, "@one.example") {
		t.Error("it shows another answer")
	}
	b.follow(b.post("/queue", "age", "4h", "scope", "all", "do", "hold", "back", "/queue?age=4h")).has(t, http.StatusOK, "1 recipient is held")
	b.get("/queue/return?reply=greylisted&scope=all").has(t, http.StatusOK, "Return mail for 1 recipient?", "last answered “greylisted”")
	b.follow(b.post("/queue/return", "reply", "greylisted", "scope", "all", "do", "drop")).has(t, http.StatusOK, "1 recipient is dropped. Nobody is told.")
}

// A page that was left open over a restart goes on: its form is taken, its link to
// the next page leads on, and what was removed meanwhile is said to be.
func TestPageLeftOpenOverRestart(t *testing.T) {
	s := newSite(t)
	for i := range 60 {
		s.account(admin.NewAccount{Address: fmt.Sprintf("user%02d@example.org", i)})
	}
	s.domain("spare.example")
	b := s.signedIn()
	list := b.get("/accounts")
	form := b.get("/accounts/user07@example.org")
	form.has(t, http.StatusOK, "user07@example.org")
	s.restart()
	b.follow(b.post("/accounts/user07@example.org/change", "name", "Seven", "quota", "1GB")).has(t, http.StatusOK, "was changed", "Seven")
	s.restart()
	next := regexp.MustCompile(`<a href="([^"]+)" rel="next">`).FindStringSubmatch(list.body)
	if next == nil {
		t.Fatal("there is no next page")
	}
	b.get(html.UnescapeString(next[1])).has(t, http.StatusOK, "user59@example.org")

	_, err := s.admin.RemoveAccount(t.Context(), "user07@example.org")
	s.must(err)
	s.must(s.admin.RemoveDomain(t.Context(), "spare.example"))
	for path, fields := range map[string][]string{
		"/accounts/user07@example.org/change":   {"name", "Seven"},
		"/accounts/user07@example.org/disable":  nil,
		"/accounts/user07@example.org/enable":   nil,
		"/accounts/user07@example.org/password": {"password", "correct horse battery"},
		"/accounts/user07@example.org/limits":   {"do", "set", "messages_per_hour", "7"},
		"/accounts/user07@example.org/remove":   {"typed", "user07@example.org"},
		"/domains/spare.example/remove":         {"typed", "spare.example"},
		"/domains/spare.example/limits":         {"do", "set", "messages_per_hour", "7"},
		"/aliases/gone@example.org/remove":      nil,
		"/routes/remove":                        {"domain", "gone.example"},
		"/sources/remove":                       {"ip", "192.0.2.1"},
		"/devices/remove":                       {"network", "192.0.2.1"},
		"/lists/remove":                         {"action", "block", "what", "gone.example"},
	} {
		a := b.post(path, fields...)
		if a.code == http.StatusSeeOther {
			a = b.follow(a)
		}
		a.has(t, http.StatusNotFound, `<a role="button"`)
		if strings.Contains(a.body, errOurs.Title) {
			t.Errorf("%s is taken for a fault of ours", path)
		}
	}
}
