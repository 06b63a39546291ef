package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

func TestLists(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.get("/lists").has(t, http.StatusOK, "Nobody is blocked or allowed by hand", "there was no guessing of passwords lately")
	b.follow(b.post("/lists", "action", "block", "what", " Spam.Example. ", "note", "prizes", "expires", "7d")).
		has(t, http.StatusOK, "Mail from spam.example is refused from now on.", "prizes", "blocked", "in 7 days", "/lists/remove?action=block&amp;what=spam.example")
	b.follow(b.post("/lists", "action", "allow", "what", "192.0.2.9/24")).
		has(t, http.StatusOK, "Mail from 192.0.2.0/24 is taken from now on, whatever the checks say.", "allowed", "removed")
	b.follow(b.post("/lists", "action", "allow", "what", "spam.example")).has(t, http.StatusOK, "It was blocked before.")
	for _, tt := range []struct {
		it     string
		fields []string
		says   string
	}{
		{"is nobody", []string{"action", "block", "what", "not a domain", "note", "kept", "expires", "30d"}, "is no address"},
		{"is everybody", []string{"action", "block", "what", "0.0.0.0/0", "note", "kept", "expires", "30d"}, "is everybody"},
		{"says nothing", []string{"action", "explode", "what", "a.example", "note", "kept", "expires", "30d"}, "is neither block nor allow"},
		{"never ends", []string{"action", "block", "what", "a.example", "note", "kept", "expires", "sometime"}, "is not a length of time"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			b.post("/lists", tt.fields...).has(t, http.StatusUnprocessableEntity, tt.says, `role="alert"`, `value="`+tt.fields[3]+`"`, `value="kept"`)
		})
	}
	b.post("/lists", "action", "allow", "what", "x y", "expires", "30d").has(t, http.StatusUnprocessableEntity, `value="allow" checked`, `value="30d" selected`)
	b.get("/lists/remove?action=allow&what=spam.example").has(t, http.StatusOK, "Allow spam.example no more?", "judged by the checks again")
	b.get("/lists/remove?action=block&what=spam.example").has(t, http.StatusNotFound)
	b.follow(b.post("/lists/remove", "action", "allow", "what", "spam.example")).has(t, http.StatusOK, "spam.example is not allowed any more.")
	b.post("/lists/remove", "action", "allow", "what", "spam.example").has(t, http.StatusNotFound, "is not in the allow list")
	for i := range 60 {
		_, err := s.admin.AddAccess(t.Context(), admin.AddAccess{Action: "block", What: fmt.Sprintf("offender%02d.example", i)})
		s.must(err)
	}
	b.get("/lists").has(t, http.StatusOK, "1 to 50 of 61", `href="/lists?page=2"`)
	b.get("/lists?q=blocked&page=2").has(t, http.StatusOK, "51 to 60 of 60")
	b.get("/lists?q=nobody").has(t, http.StatusOK, "Nothing contains")
	s.wait(8 * 24 * time.Hour)
	if entries, err := s.admin.AccessEntries(t.Context(), "block"); err != nil || len(entries) != 60 {
		t.Errorf("%d entries, %v, want those that haven't ended", len(entries), err)
	}
}

func TestGuessersAreLetInAgain(t *testing.T) {
	s := newSite(t)
	s.guessing(s.guessers()...)
	b := s.signedIn()
	b.get("/lists").has(t, http.StatusOK, "2 networks may not log in at the moment", "203.0.113.77", "27 wrong passwords, 1 name", "SUBMISSION", "this page", "in 20 min", "270 wrong passwords, 132 names")
	b.follow(b.post("/lists/forgive", "network", "203.0.113.77")).has(t, http.StatusOK, "203.0.113.77 may log in again", "1 network may not log in")
	if left := s.guard.Blocks(); len(left) != 1 {
		t.Errorf("blocked are %+v, want the other network alone", left)
	}
	b.follow(b.post("/lists/forgive", "network", "nonsense")).has(t, http.StatusOK, "notice bad", "is neither an IP address nor a network")
}

func TestManyGuessersAreBounded(t *testing.T) {
	s := newSite(t)
	var many []store.LoginBlock
	for i := range 60 {
		block := s.guessers()[0]
		block.Network = netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}), 32)
		many = append(many, block)
	}
	s.guessing(many...)
	a := s.signedIn().get("/lists")
	a.has(t, http.StatusOK, "60 networks may not log in", "10 more are shown by")
	if n := strings.Count(a.body, "Let in again"); n != guessesShown {
		t.Errorf("%d are listed, want %d", n, guessesShown)
	}
}

func TestSenderOfAMessageIsBlocked(t *testing.T) {
	s := newSite(t)
	id := s.receive("kim@friends.example", 1000, boss)
	b := s.signedIn()
	page := messageURL(id.String())
	b.get(page).has(t, http.StatusOK, page+"/sender?action=block", page+"/sender?action=allow", "/check?from=kim%40friends.example&amp;helo=mx.friends.example&amp;ip=192.0.2.25")
	b.get(page+"/sender?action=block").has(t, http.StatusOK, "Block the sender", `value="kim@friends.example" checked`, `value="friends.example"`, `value="192.0.2.25"`,
		"it calls itself mx.friends.example", `value="message `+id.String()+`"`)
	b.get(page+"/sender?action=allow").has(t, http.StatusOK, "Allow the sender", `value="192.0.2.25" checked`, "Anybody can write any address into a mail.")
	b.follow(b.post("/lists", "action", "block", "what", "kim@friends.example", "note", "message "+id.String(), "expires", "")).
		has(t, http.StatusOK, "Mail from kim@friends.example is refused from now on.", "message "+id.String())

	own := messageURL(s.submit(boss, "a@elsewhere.example").String())
	if a := b.get(own); strings.Contains(a.body, "/sender?") {
		t.Errorf("our own people's mail offers to block them:\n%s", a.body)
	}
	b.get(own+"/sender?action=block").has(t, http.StatusNotFound)
	b.get("/messages/0000000000000/sender").has(t, http.StatusNotFound)
	s.refuse()
	s.eventually("the refusal is in the trace", func() bool { return s.traced("winner@lottery.example", store.Rejected) })
	trails, err := s.admin.Trace(t.Context(), "winner@lottery.example")
	s.must(err)
	b.get(messageURL(trails[0].ID.String())+"/sender?action=allow").has(t, http.StatusOK, `value="203.0.113.99" checked`, `value="lottery.example"`)
}

// A report has no sender but its server.
func TestSenderOfAReport(t *testing.T) {
	trail := store.Trail{Events: []store.Event{{Kind: store.Accepted, Client: "::ffff:192.0.2.1"}}}
	got := sendersOf(trail, "block")
	if len(got) != 1 || got[0].What != "192.0.2.1" || !got[0].Chosen {
		t.Errorf("senders are %+v, want the server alone", got)
	}
	if links := senderLinks(store.Trail{Events: []store.Event{{Kind: store.Accepted}}}); links != nil {
		t.Errorf("mail that we wrote ourselves leads to %+v", links)
	}
}

func TestChecksAreShown(t *testing.T) {
	s := newSite(t)
	id := s.receive("kim@friends.example", 1000, boss)
	s.refuse()
	s.eventually("the refusal is in the trace", func() bool { return s.traced("winner@lottery.example", store.Rejected) })
	b := s.signedIn()
	b.get(messageURL(id.String())).has(t, http.StatusOK, `<span class="badge good">pass</span>`, ">SPF</strong>", "ip4:192.0.2.0/24", `<span class="badge warn">temperror</span>`, ">DMARC</strong>")
	trails, err := s.admin.Trace(t.Context(), "winner@lottery.example")
	s.must(err)
	b.get(messageURL(trails[0].ID.String())).has(t, http.StatusOK, `<span class="badge bad">listed</span>`, ">Blocklists</strong>", "in zen.blocklist.example")
}

// What a message was refused for is the same for each of its recipients.
func TestChecksAreShownOnce(t *testing.T) {
	other := []store.CheckResult{{Check: "spf", Result: "pass"}}
	steps := timeline([]store.Event{{Checks: refusedChecks}, {Checks: refusedChecks}, {Checks: other}, {}}, time.Now())
	for i, want := range []int{len(refusedChecks), 0, 1, 0} {
		if got := len(steps[i].Checks); got != want {
			t.Errorf("step %d shows %d checks, want %d", i, got, want)
		}
	}
}
