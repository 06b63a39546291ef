package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"postroom/store"
	"postroom/store/admin"
)

// TestMessagesHavePages goes to the end of the list and back by its links.
func TestMessagesHavePages(t *testing.T) {
	s := newSite(t)
	for i := range listed + 5 {
		s.receive(fmt.Sprintf("kim%02d@friends.example", i), 100, boss)
	}
	b := s.signedIn()
	for _, path := range []string{"/messages", "/messages?q=" + boss, "/messages?ip=192.0.2.25&outcome=delivered"} {
		first := b.get(path)
		first.has(t, http.StatusOK, "kim54@", "kim05@")
		if first.link("Newer") != "" || strings.Contains(first.body, "kim04@") {
			t.Errorf("%s begins elsewhere", path)
		}
		second := b.get(first.link("Older"))
		second.has(t, http.StatusOK, "kim04@", "kim00@")
		if second.link("Older") != "" || strings.Contains(second.body, "kim05@") {
			t.Errorf("the second page of %s is\n%s", path, second.body)
		}
		b.get(second.link("Newer")).has(t, http.StatusOK, "kim54@", "kim05@")
		b.get(second.link("Newest")).has(t, http.StatusOK, "kim54@")
	}
	b.get("/messages?older=nonsense").has(t, http.StatusUnprocessableEntity, "not a position in the list")
}

// TestWhatIsLookedForIsSaid: on the page, and beside the field where it can't be.
func TestWhatIsLookedForIsSaid(t *testing.T) {
	s := newSite(t)
	s.receive("kim@friends.example", 100, boss)
	s.refuse()
	s.eventually("the refusal is in the trace", func() bool { return s.traced("winner@lottery.example", store.Rejected) })
	b := s.signedIn()
	b.get("/messages?q=192.0.2.25+delivered+since+today").has(t, http.StatusOK, "Messages from or to the address 192.0.2.25, delivered into a maildrop here, since Fri, 20 Nov 2026.", "kim@friends.example")
	b.get("/messages?host=friends.example&since=2026-11-20&until=2026-11-20").has(t, http.StatusOK, "from or to the host friends.example", "kim@friends.example")
	b.get("/messages?outcome=refused").has(t, http.StatusOK, "Messages refused.", "winner@lottery.example", "<option selected>refused</option>")
	b.get("/messages?outcome=refused&until=yesterday").has(t, http.StatusOK, "Nothing found", "Messages refused, until Thu, 19 Nov 2026", "Show the latest instead")
	b.get("/messages?ip=nobody").has(t, http.StatusUnprocessableEntity, "neither an IP address nor a network", "Nothing was looked for", `value="nobody"`)
	b.get("/messages?outcome=lost").has(t, http.StatusUnprocessableEntity, "one of delivered, sent")
}

// TestGraphs: the sentence, the bars and the table say the same, and what there
// was none of is a zero.
func TestGraphs(t *testing.T) {
	s := newSite(t)
	s.receive("kim@friends.example", 100, boss)
	s.wait(-3 * 60e9) // three minutes before
	s.receive("kim@friends.example", 100, boss)
	s.receive("kim@friends.example", 100, boss)
	s.wait(3 * 60e9)
	b := s.signedIn()
	hour := b.get("/?over=hour")
	hour.has(t, http.StatusOK, "3 messages came in over the last hour; most of them, 2, at 09:27.", "No attempt was put off over the last hour.",
		`<td class="nowrap">09:27 to 09:28</td><td class="num">2</td>`, `<td class="nowrap">09:28 to 09:29</td><td class="num">0</td>`, "<title>09:27 to 09:28: 2</title>", ">08:31<")
	if n := strings.Count(hour.body, "<rect "); n != 2+1 { // and an entry of the brand
		t.Errorf("%d rectangles are drawn", n)
	}
	b.get("/").has(t, http.StatusOK, "3 messages came in over the last day, all of them between 09:00 and 10:00.", `aria-current="true">Last day<`)
	s.set(s.now().AddDate(0, 0, 2))
	b = s.signedIn()
	b.get("/?over=month").has(t, http.StatusOK, "3 messages came in over the last month, all of them on Fri, 20 Nov.", `<td class="nowrap">Sun, 22 Nov</td><td class="num">0</td>`)
	if a := b.get("/?over=year"); a.code != http.StatusSeeOther || a.location != "/" {
		t.Errorf("a span that is none is answered %d to %q", a.code, a.location)
	}
}

// TestShortagesAreTold: what comes to an end, with the way to its cure.
func TestShortagesAreTold(t *testing.T) {
	s := newSite(t)
	s.account(admin.NewAccount{Address: "full@example.org", Quota: 1100})
	s.account(admin.NewAccount{Address: "fuller@example.org", Quota: 1000})
	s.receive("kim@friends.example", 900, "full@example.org", "fuller@example.org")
	_, err := s.admin.SetLimit(t.Context(), admin.SetLimit{Name: boss, MessagesPerHour: "1"})
	s.must(err)
	s.submit(boss, "a@partner.example")
	s.must(s.store.Settle(t.Context(), store.Settlement{At: s.now(), Health: []store.Health{
		{Destination: "partner.example", Failures: 2, LastFailure: s.now(), NextTry: s.now().Add(3600e9), Reply: "connection refused"},
		{Destination: "forgotten.example", Failures: 2, LastFailure: s.now(), NextTry: s.now().Add(3600e9), Reply: "connection refused"},
	}}))
	s.must(s.admin.Backup(t.Context(), s.dir+"/copy.db", nil))
	b := s.signedIn()
	b.get("/").has(t, http.StatusOK, "3 things need you.", "2 accounts have used 80 % of their quota or more.", `href="/accounts?sort=full"`,
		boss+" has used 100 % of a sending limit.", `href="/limits"`, "Nobody can be reached at partner.example, and mail waits for it.", `href="/destinations?q=failing"`,
		"less than 15 min", "free of", "/copy.db")
}

// TestEveryConcernHasACure: the first page leads to what can be done.
func TestEveryConcernHasACure(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.get("/concerns").has(t, http.StatusOK, "Nothing needs you.")
	for _, key := range []string{"blocklist zen.example", "listed 192.0.2.1 zen.example", "certificate x", "dns example.org", "odd"} {
		s.must(s.store.Raise(t.Context(), store.Concern{Key: key, Text: "About " + key + "."}))
	}
	first, all := b.get("/"), b.get("/concerns")
	for _, kind := range []string{"blocklist", "listed", "certificate", "dns", "other"} {
		first.has(t, http.StatusOK, `<a href="/concerns#`+kind+`">See what to do</a>`)
		all.has(t, http.StatusOK, `id="`+kind+`"`)
	}
}
