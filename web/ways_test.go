package web

import (
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/mail"
)

func TestDestinations(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.get("/destinations").has(t, http.StatusOK, "No mail has gone out yet", "Pause a destination")
	s.submit(boss, "a@fine.example", "b@fine.example", "a@dead.example", "a@early.example")
	s.must(s.store.Settle(t.Context(), store.Settlement{At: s.now(), Health: []store.Health{
		{Destination: "dead.example", Host: "mx.dead.example", Failures: 4, LastSuccess: s.now().Add(-50 * time.Hour), LastFailure: s.now(), NextTry: s.now().Add(30 * time.Minute), Reply: "connection refused"},
		{Destination: "relay smtp.example:587", Host: "smtp.example", Failures: 1, LastFailure: s.now(), Reply: "535 5.7.8 no"},
	}}))
	page := b.get("/destinations")
	page.has(t, http.StatusOK, "2 destinations can’t be reached at the moment.", "mx.dead.example", "reached", "2 days ago", "then 4 tries in vain",
		"in 30 min", "connection refused", "never reached, 1 try in vain", "nothing waits", `href="/queue?domain=fine.example">2 recipients`)
	if order := regexp.MustCompile(`(?s)dead\.example.*relay smtp\.example:587.*fine\.example.*early\.example`); !order.MatchString(page.body) {
		t.Errorf("what fails isn't in front, or what waits most isn't next:\n%s", page.body)
	}
	b.get("/destinations?q=failing").has(t, http.StatusOK, "1 to 2 of 2")
	b.get("/destinations?q=nowhere").has(t, http.StatusOK, "Nothing contains")
	b.follow(b.post("/destinations", "do", "retry", "domain", "dead.example", "back", "/destinations?q=failing")).
		has(t, http.StatusOK, "1 recipient at dead.example is due now", "1 to 2 of 2")
	b.follow(b.post("/destinations", "do", "pause", "domain", "fine.example", "back", "/destinations")).
		has(t, http.StatusOK, "Mail for fine.example is kept here until you resume it", "2 destinations can’t be reached at the moment, and 1 is paused.", "when it is resumed")
	if items := s.claim(); len(items) != 2 {
		t.Errorf("%d items are sent while fine.example is paused, want 2", len(items))
	}
	b.follow(b.post("/destinations", "do", "pause", "domain", "fine.example", "back", "/destinations")).has(t, http.StatusOK, "notice bad", "is paused already")
	b.follow(b.post("/destinations", "do", "retry", "domain", "fine.example", "back", "/destinations")).has(t, http.StatusOK, "notice bad", "Resume it first")
	b.follow(b.post("/destinations", "do", "resume", "domain", "fine.example", "back", "/destinations")).has(t, http.StatusOK, "Mail for fine.example goes on.")
	if items := s.claim(); len(items) != 2 {
		t.Errorf("%d items are sent once fine.example is resumed, want its 2", len(items))
	}
	b.follow(b.post("/destinations", "do", "pause", "domain", "Coming.example")).has(t, http.StatusOK, "coming.example")
	b.post("/destinations", "do", "pause", "domain", "not a domain").has(t, http.StatusUnprocessableEntity, "is not a domain name", `value="not a domain"`)
	b.post("/destinations", "do", "explode", "domain", "fine.example").has(t, http.StatusNotFound)
}

func TestDestinationsOfARelay(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	const relay = "relay smtp.example:587"
	s.admin.Leading = func(store.Ways) func(store.Lane) string { return func(store.Lane) string { return relay } }
	s.submit(boss, "a@one.example", "a@two.example", "b@two.example")
	s.must(s.store.Settle(t.Context(), store.Settlement{At: s.now(), Health: []store.Health{
		{Destination: relay, Host: "smtp.example", Failures: 3, LastFailure: s.now(), NextTry: s.now().Add(30 * time.Minute), Reply: "connection refused"},
	}}))
	page := b.get("/destinations")
	page.has(t, http.StatusOK, "1 destination can’t be reached at the moment.", `<td data-name="Waits">3 recipients</td>`, `href="/queue?domain=two.example">2 recipients`, "goes to relay ")
	if n := strings.Count(page.body, "<q class=\"said\">connection refused</q>"); n != 3 {
		t.Errorf("%d rows say why nothing leaves, want the relay's and those of its domains:\n%s", n, page.body)
	}
}

func TestRoutes(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.get("/routes").has(t, http.StatusOK, "There are no routes", "mail waits rather than go unprotected")
	b.follow(b.post("/routes", "domain", "*", "host", "smtp.provider.example:587", "user", "me@provider.example", "password", "very secret", "tls", "")).
		has(t, http.StatusOK, "From now on all mail goes to smtp.provider.example:587", "every domain", "signs in as me@provider.example", ">Always<")
	b.follow(b.post("/routes", "domain", "Strict.example", "host", "mx", "tls", "must", "from", boss)).
		has(t, http.StatusOK, "From now on mail for strict.example from "+boss, "its own servers (MX)")
	for _, tt := range []struct {
		it     string
		fields []string
		code   int
		says   string
	}{
		{"is there already", []string{"domain", "*", "host", "other.example"}, http.StatusConflict, "There is a route for all domains (*) already. Change or remove it."},
		{"is no server", []string{"domain", "a.example", "host", "no server"}, http.StatusUnprocessableEntity, "is not a server. It should look like smtp.example.net"},
		{"has no user", []string{"domain", "a.example", "host", "smtp.a.example", "password", "very secret"}, http.StatusUnprocessableEntity, "There is a password, but no user name."},
		{"is for nobody", []string{"domain", "a.example", "host", "mx", "from", "gone@example.org"}, http.StatusNotFound, "There is no account gone@example.org."},
		{"can't be without TLS", []string{"domain", "a.example", "host", "smtp.a.example:465", "tls", "none"}, http.StatusUnprocessableEntity, "On port 465 TLS begins with the first byte."},
	} {
		t.Run(tt.it, func(t *testing.T) {
			a := b.post("/routes", tt.fields...)
			a.has(t, tt.code, html.EscapeString(tt.says), `role="alert"`, `value="`+tt.fields[1]+`"`, `value="`+tt.fields[3]+`"`)
		})
	}
	b.post("/routes", "domain", "a.example", "host", "no server", "tls", "none").has(t, http.StatusUnprocessableEntity, `value="none" checked`)
	for _, page := range []answer{b.get("/routes"), b.post("/routes", "domain", "*", "host", "x.example", "user", "u", "password", "very secret"), b.get("/routes/remove?domain=*&from=")} {
		if strings.Contains(page.body, "very secret") {
			t.Errorf("the password is shown:\n%s", page.body)
		}
	}
	b.get("/routes/remove?domain=*&from=").has(t, http.StatusOK, "Remove the route of all mail?", "Its password is forgotten.")
	b.get("/routes/remove?domain=nothing.example&from=").has(t, http.StatusNotFound)
	b.follow(b.post("/routes/remove", "domain", "*", "from", "")).has(t, http.StatusOK, "The route was removed.")
	b.follow(b.post("/routes/remove", "domain", "strict.example", "from", boss)).has(t, http.StatusOK, "There are no routes")
	b.post("/routes/remove", "domain", "strict.example", "from", boss).has(t, http.StatusNotFound, "There is no route")
	if strings.Contains(s.log.String(), "very secret") {
		t.Error("the password is in the log")
	}
}

func TestSources(t *testing.T) {
	s := newSite(t)
	s.admin.OwnAddress = func(ip netip.Addr) bool { return ip == netip.MustParseAddr("192.0.2.1") }
	b := s.signedIn()
	b.get("/sources").has(t, http.StatusOK, "None is set", "mail.example.org")
	b.follow(b.post("/sources", "ip", "192.0.2.1", "name", "out.example.org", "for", "")).
		has(t, http.StatusOK, "Mail from everybody leaves from 192.0.2.1 from now on.", "out.example.org")
	b.follow(b.post("/sources", "ip", "192.0.2.1", "for", boss)).has(t, http.StatusOK, "Mail from "+boss+" leaves from 192.0.2.1")
	b.post("/sources", "ip", "192.0.2.9").has(t, http.StatusUnprocessableEntity, "192.0.2.9 is not an address of this machine.", `value="192.0.2.9"`, `role="alert"`)
	b.post("/sources", "ip", "192.0.2.1", "name", "localhost").has(t, http.StatusUnprocessableEntity, "is not a full host name", `value="localhost"`)
	b.post("/sources", "ip", "192.0.2.1").has(t, http.StatusConflict, "leaves from 192.0.2.1 already")
	b.get("/sources/remove?ip=192.0.2.1&for="+boss).has(t, http.StatusOK, "Stop sending mail from "+boss+" by way of 192.0.2.1?")
	b.get("/sources/remove?ip=192.0.2.9&for=").has(t, http.StatusNotFound)
	b.follow(b.post("/sources/remove", "ip", "192.0.2.1", "for", boss)).has(t, http.StatusOK, "The address was removed.")
	b.follow(b.post("/sources/remove", "ip", "192.0.2.1", "for", "")).has(t, http.StatusOK, "None is set")
}

func TestBackupDomain(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.follow(b.post("/domains", "name", "held.example", "backup", "yes")).has(t, http.StatusOK, "Next, say which addresses it has.", "Mail for every address is taken.")
	b.follow(b.post("/domains/held.example/recipients", "do", "add", "recipients", "Ann\r\nbob@held.example, carl dora")).
		has(t, http.StatusOK, "Mail for Ann, bob@held.example, carl, and 1 more is taken from now on", "ann@held.example", "dora@held.example", "Take mail for every address again")
	b.get("/domains").has(t, http.StatusOK, `<a class="note" href="/domains/held.example">its recipients`)
	b.post("/domains/held.example/recipients", "do", "add", "recipients", "x@other.example").
		has(t, http.StatusUnprocessableEntity, "x@other.example is not an address of held.example.", "x@other.example</textarea>")
	b.post("/domains/held.example/recipients", "do", "add", "recipients", " \n").has(t, http.StatusUnprocessableEntity, "Give at least one address.")
	b.follow(b.post("/domains/held.example/recipients", "do", "remove", "recipients", "ann@held.example")).has(t, http.StatusOK, "Mail for ann@held.example is refused from now on.")
	b.post("/domains/held.example/recipients", "do", "remove", "recipients", "ann@held.example").has(t, http.StatusNotFound, "is not among the recipients")
	b.follow(b.post("/domains/held.example/recipients", "do", "remove", "recipients", "bob carl dora")).has(t, http.StatusOK, "The list is empty")
	b.follow(b.post("/domains/held.example/recipients", "do", "any")).has(t, http.StatusOK, "Mail for every address is taken.")
	b.get("/domains/held.example/remove").has(t, http.StatusOK, "What waits here already is still sent.")
	b.get("/domains/example.org").has(t, http.StatusOK, "Its mail ends here", "1 account")
	b.post("/domains/example.org/recipients", "do", "any").has(t, http.StatusUnprocessableEntity, "is not a backup domain")
	b.post("/domains/held.example/recipients", "do", "explode").has(t, http.StatusNotFound)
	b.get("/domains/nothing.example").has(t, http.StatusNotFound)
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprintf("user%02d", i))
	}
	b.follow(b.post("/domains/held.example/recipients", "do", "add", "recipients", strings.Join(many, "\n"))).
		has(t, http.StatusOK, "1 to 50 of 60", `href="/domains/held.example?page=2"`)
}

func TestForwardIsShown(t *testing.T) {
	s := newSite(t)
	a := s.message("kim@friends.example", 500)
	a.Outbound = []store.Outbound{{Sender: a.Envelope.Sender, Recipient: mail.Recipient{Address: s.address("dana@partner.example")}, Via: s.address("info@example.org")}}
	s.must(s.store.Accept(t.Context(), a))
	b := s.signedIn()
	b.get("/queue").has(t, http.StatusOK, "info@example.org →", "dana@partner.example")
	b.get(messageURL(a.ID.String())).has(t, http.StatusOK, "info@example.org → dana@partner.example", "It waits in the queue for dana@partner.example (sent on from info@example.org)")
	s.round(s.sent)
	b.get(messageURL(a.ID.String())).has(t, http.StatusOK, "valid for this host; decided by MTA-STS policy of partner.example", "192.0.2.17 (out.example.org)")
}

// waysOut are routes, source addresses and a list of a backup domain's recipients.
func (s *site) waysOut() {
	s.t.Helper()
	ctx := s.t.Context()
	for _, route := range []admin.AddRoute{
		{Domain: "*", Host: "smtp.provider-with-a-long-name.example:587", User: "customer-4711@provider-with-a-long-name.example", Password: "secret secret"},
		{Domain: "partner.example", Host: "mx", TLS: "must"},
		{Domain: "partner.example", Host: "[2001:db8:1:2::25]:2525", From: "alice@example.org"},
		{Domain: "old.example", Host: "192.0.2.77", TLS: "none", From: "books.example.org"},
	} {
		_, err := s.admin.AddRoute(ctx, route)
		s.must(err)
	}
	for i := range 14 {
		_, err := s.admin.AddRoute(ctx, admin.AddRoute{Domain: fmt.Sprintf("branch%d.example", i+1), Host: "inside.example.org:24"})
		s.must(err)
	}
	for _, source := range []admin.AddSource{
		{IP: "192.0.2.17", Name: "out.example.org"},
		{IP: "2001:db8:1:2::17"},
		{IP: "192.0.2.18", Name: "news.books.example.org", For: "books.example.org"},
		{IP: "192.0.2.18", For: "alice@example.org"},
	} {
		_, err := s.admin.AddSource(ctx, source)
		s.must(err)
	}
	var locals []string
	for i := range 60 {
		locals = append(locals, fmt.Sprintf("colleague%02d", i+1))
	}
	_, err := s.admin.ChangeDomainRecipients(ctx, admin.ChangeDomainRecipients{Name: "branch-office.example", Set: locals})
	s.must(err)
}

// trouble is what is known of destinations once mail has gone there.
func (s *site) trouble() {
	s.t.Helper()
	ago := func(d time.Duration) time.Time { return s.now().Add(-d) }
	health := []store.Health{
		{Destination: "list1.example", Host: "mx1.list1.example", Failures: 7, LastSuccess: ago(50 * time.Hour), LastFailure: ago(time.Minute), NextTry: ago(-25 * time.Minute), Reply: "connect to mx1.list1.example (203.0.113.10): connection refused"},
		{Destination: "list2.example", Host: "mx1.list2.example", Failures: 1, LastFailure: ago(time.Minute), NextTry: ago(-time.Minute), Reply: "421 4.3.2 Service shutting down, come back when the lights are on again, which may take until the end of the week"},
		{Destination: "relay smtp.provider-with-a-long-name.example:587 as books.example.org", Host: "smtp.provider-with-a-long-name.example", Failures: 2, LastFailure: ago(time.Minute), Reply: "535 5.7.8 authentication failed"},
		{Destination: "partner.example", Host: "mx1.partner.example", LastSuccess: ago(40 * time.Minute), Reply: "250 2.0.0 Ok: queued as 4XkQ2"},
	}
	for i := range 70 {
		name := fmt.Sprintf("correspondent%02d.example", i+1)
		health = append(health, store.Health{Destination: name, Host: "mail." + name, LastSuccess: ago(time.Duration(i) * time.Hour), Reply: "250 2.6.0 queued"})
	}
	s.must(s.store.Settle(s.t.Context(), store.Settlement{At: s.now(), Health: health}))
	s.must(s.admin.PauseDestination(s.t.Context(), "list3.example"))
	s.must(s.admin.PauseDestination(s.t.Context(), "nothing-yet.example"))
}
