package web

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"postroom/store/admin"
)

func TestQueue(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.get("/queue").has(t, http.StatusOK, "Nothing waits")
	one := s.submit(boss, "a@one.example", "b@two.example").String()
	s.submit(boss, "c@one.example")
	s.round(s.deferred)
	b.get("/queue").has(t, http.StatusOK, "3 recipients of 2 messages", "waiting", "in 15 min", "Greylisted")
	b.get("/queue?domain=two.example").has(t, http.StatusOK, "1 recipient of 1 message for two.example")
	b.get("/queue?domain=nothing.example").has(t, http.StatusOK, "Nothing waits for")
	b.get("/queue?domain=%3Cx%3E").has(t, http.StatusOK, "Nothing waits for")
	b.follow(b.post("/queue", "message", one, "do", "hold", "back", "/queue?domain=two.example")).
		has(t, http.StatusOK, "2 recipients are held", "when it is released", "for two.example")
	b.get("/").has(t, http.StatusOK, "2 recipients in the queue are held and not sent.")
	b.get(messageURL(one)).has(t, http.StatusOK, "It is held in the queue for all 2 recipients")
	b.follow(b.post("/queue", "message", one, "do", "release")).has(t, http.StatusOK, "2 recipients are released")
	b.follow(b.post("/queue", "domain", "one.example", "do", "retry")).has(t, http.StatusOK, "2 recipients are due now")
	b.follow(b.post("/queue", "scope", "all", "do", "hold")).has(t, http.StatusOK, "3 recipients are held")
	b.post("/queue", "scope", "all", "do", "explode").has(t, http.StatusNotFound)
	if a := b.post("/queue", "do", "hold", "scope", "all", "back", "//evil.example"); a.location != "/queue" {
		t.Errorf("sent on to %q", a.location)
	}
	b.get("/queue/return?message="+one).has(t, http.StatusOK, "It is not tried again", "a@one.example", "b@two.example")
	b.follow(b.post("/queue/return", "message", one)).has(t, http.StatusOK, "2 recipients are returned to the sender")
	b.get("/queue/return?message=nonsense").has(t, http.StatusNotFound)
}

func TestQueueByFilter(t *testing.T) {
	s := newSite(t)
	s.account(admin.NewAccount{Address: "zoe@example.org"})
	s.submit(boss, "a@one.example", "b@two.example")
	zoes := s.submit("zoe@example.org", "a@one.example").String()
	paused := s.submit(boss, "c@paused.example").String()
	held := s.submit(boss, "d@held.example").String()
	_, err := s.admin.HoldQueue(t.Context(), admin.QueueSelection{Message: held})
	s.must(err)
	s.must(s.admin.PauseDestination(t.Context(), "paused.example"))
	s.must(s.admin.DisableAccount(t.Context(), "zoe@example.org", false))
	b := s.signedIn()
	b.get("/queue").has(t, http.StatusOK, "5 recipients of 4 messages", "All 5:")
	b.get("/queue?sender=zoe@example.org").has(t, http.StatusOK, "1 recipient of 1 message from zoe@example.org", "account is disabled",
		`href="/accounts/zoe@example.org"`, "when the account that submitted it is enabled")
	b.get("/queue?sender=no+address").has(t, http.StatusOK, "Nothing waits from no address")
	all := b.get("/queue?held=yes")
	all.has(t, http.StatusOK, "3 recipients of 3 messages, held", "by an administrator", `<a href="/destinations?q=paused.example">destination is paused</a>`,
		`name="held" value="yes"`, `name="scope" value="all"`)
	if n := strings.Count(all.body, "Release</button>"); n != 2 { // for all, and where it helps
		t.Errorf("the page offers to release %d times", n)
	}
	b.get(messageURL(paused)).has(t, http.StatusOK, "It is held in the queue and is not sent to c@paused.example until its destination is resumed.")
	b.get(messageURL(zoes)).has(t, http.StatusOK, "until the account that submitted it is enabled.")
	b.get("/").has(t, http.StatusOK, `3 recipients in the queue are held and not sent. <a href="/queue?held=yes">`)
	b.follow(b.post("/queue", "message", paused, "do", "retry")).has(t, http.StatusOK, "notice bad", "Resume it first")
	b.follow(b.post("/queue", "scope", "all", "held", "yes", "do", "release", "back", "/queue?held=yes")).
		has(t, http.StatusOK, "1 recipient is released", "2 recipients of 2 messages, held")
	b.get("/queue/return?sender="+boss+"&domain=one.example").has(t, http.StatusOK, "Return mail for 1 recipient?", "all mail in the queue for one.example from "+boss)
	b.follow(b.post("/queue/return", "sender", boss, "domain", "one.example")).has(t, http.StatusOK, "1 recipient is returned to the sender.")
	b.get("/queue/return").has(t, http.StatusNotFound)
	b.follow(b.get("/queue/return?domain=nothing.example")).has(t, http.StatusOK, "Nothing of that is in the queue any more")
	b.get("/queue/return?scope=all").has(t, http.StatusOK, "This is the whole queue.", "Drop it, tell nobody")
	b.follow(b.post("/queue/return", "scope", "all", "do", "drop")).has(t, http.StatusOK, "are dropped. Nobody is told.", "Nothing waits")
}

// A page of the queue ends behind a message, and a message that alone fills it
// goes on at the next page.
func TestLongQueueHasPages(t *testing.T) {
	s := newSite(t)
	for i := range waitingListed + 1 {
		s.submit(boss, fmt.Sprintf("a%d@one.example", i), fmt.Sprintf("b%d@two.example", i))
	}
	var many []string
	for i := range waitingRead + 7 {
		many = append(many, fmt.Sprintf("member%d@club.example", i))
	}
	s.submit(boss, many...)
	b := s.signedIn()
	next := func(page answer) string {
		found := regexp.MustCompile(`<a href="([^"]+)" rel="next">`).FindStringSubmatch(page.body)
		if found == nil {
			return ""
		}
		return html.UnescapeString(found[1])
	}
	first := b.get("/queue?domain=one.example")
	first.has(t, http.StatusOK, "26 recipients for one.example", "All of them (26 recipients):", "a0@one.example", "a24@one.example")
	second := b.get(next(first))
	second.has(t, http.StatusOK, "a25@one.example", `<a href="/queue?domain=one.example" rel="first">`)
	if strings.Contains(first.body, "a25@") || next(second) != "" {
		t.Errorf("the first page shows too much, or the second one leads on to %q", next(second))
	}
	club := b.get("/queue?domain=club.example")
	club.has(t, http.StatusOK, "1\u202f007 recipients for club.example", "and 995 more")
	b.get(next(club)).has(t, http.StatusOK, "member1000@club.example", "and 2 more")
	b.get("/queue?domain=one.example&after=9999999").has(t, http.StatusOK, "Nothing more waits here", "Back to the first page")
	b.get("/queue?after=nonsense").has(t, http.StatusOK, "a0@one.example")
	b.follow(b.post("/queue", "domain", "one.example", "do", "hold", "back", next(first))).has(t, http.StatusOK, "26 recipients are held", "a25@one.example")
}
