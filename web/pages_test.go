package web

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/mail"
)

func TestDomains(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.follow(b.post("/domains", "name", " New.Example. ")).has(t, http.StatusOK, "new.example is served from now on", "/domains/new.example/remove")
	if strings.Contains(b.get("/domains").body, "is served from now on") {
		t.Error("the notice is shown twice")
	}
	b.follow(b.post("/domains", "name", "held.example", "backup", "yes")).has(t, http.StatusOK, "backup")
	b.post("/domains", "name", "new.example").has(t, http.StatusConflict, "is here already", `value="new.example"`)
	b.post("/domains", "name", "not a domain").has(t, http.StatusUnprocessableEntity, "is not a domain name", `value="not a domain"`)
	b.get("/domains/example.org/remove").has(t, http.StatusOK, "still has 1 account", "/accounts?q=%40example.org")
	b.post("/domains/example.org/remove", "typed", "example.org").has(t, http.StatusConflict, "still has 1 account")
	b.get("/domains/new.example/remove").has(t, http.StatusOK, "relaying denied", "No stored mail is lost")
	b.post("/domains/new.example/remove", "typed", "old.example").has(t, http.StatusUnprocessableEntity, "Nothing was removed", `type <code>new.example</code>`)
	b.follow(b.post("/domains/new.example/remove", "typed", "new.example")).has(t, http.StatusOK, "new.example is not served any more")
	b.get("/domains/new.example/remove").has(t, http.StatusNotFound)
}

func TestAccounts(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	made := b.post("/accounts", "address", "zoe@example.org", "name", "Zoë <3", "quota", "2 GB")
	made.has(t, http.StatusOK, "The account is ready", "zoe@example.org", "Zoë &lt;3", "of 2 GB")
	password := regexp.MustCompile(`<code data-copy>([a-z0-9-]{15,})</code>`).FindStringSubmatch(made.body)
	if password == nil {
		t.Fatalf("no password is shown:\n%s", made.body)
	}
	if again := b.get("/accounts/zoe@example.org"); strings.Contains(again.body, password[1]) {
		t.Error("the password is shown again")
	}
	if strings.Contains(s.log.String(), password[1]) {
		t.Error("the password is in the log")
	}
	signIn := func(password string) int {
		return s.browser().post("/login", "username", "zoe@example.org", "password", password).code
	}
	if code := signIn(password[1]); code != http.StatusSeeOther {
		t.Errorf("the password that was shown is answered %d", code)
	}
	b.post("/accounts", "address", "zoe@example.org").has(t, http.StatusConflict, "already", `value="zoe@example.org"`)
	b.post("/accounts", "address", "x@elsewhere.example").has(t, http.StatusNotFound, "There is no domain")
	b.post("/accounts", "address", "x@example.org", "quota", "much").has(t, http.StatusUnprocessableEntity, "2GB")
	b.post("/accounts", "address", "x@example.org", "password", "short").has(t, http.StatusUnprocessableEntity, "at least 8")
	b.follow(b.post("/accounts", "address", "ann@example.org", "password", "long enough")).has(t, http.StatusOK, "ann@example.org")
	b.follow(b.post("/accounts/zoe@example.org/disable", "refuse", "yes")).has(t, http.StatusOK, "is disabled", "refuses mail")
	b.follow(b.post("/accounts/zoe@example.org/enable")).has(t, http.StatusOK, "is enabled again")
	b.follow(b.post("/accounts/zoe@example.org/password", "password", "her own choice")).has(t, http.StatusOK, "new password is set")
	if code := signIn("her own choice"); code != http.StatusSeeOther {
		t.Errorf("the new password is answered %d", code)
	}
	b.post("/accounts/zoe@example.org/password").has(t, http.StatusOK, "data-copy", "the old one doesn’t work")
	b.get("/accounts/nobody@example.org").has(t, http.StatusNotFound, "There is no account nobody@example.org")
}

func TestOwnAccount(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	own := accountURL(boss)
	b.get(own).has(t, http.StatusOK, "This is you")
	b.post(own+"/disable").has(t, http.StatusConflict, "Another administrator can")
	b.post(own+"/remove", "typed", boss).has(t, http.StatusConflict, "Another administrator can")
	other := s.signedIn()
	b.follow(b.post(own+"/password", "password", "something else")).has(t, http.StatusOK, "new password is set")
	if a := other.get("/"); a.code != http.StatusSeeOther {
		t.Errorf("the old password's session goes on: %d", a.code)
	}
}

func TestAppPasswords(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	own := accountURL(boss)
	b.post(own+"/app-passwords", "name", "Phone").has(t, http.StatusOK, "The app password is ready", "data-copy")
	b.get(own).has(t, http.StatusOK, "Phone", "never")
	b.post(own+"/app-passwords", "name", "Phone").has(t, http.StatusConflict, "already")
	b.post(own+"/app-passwords", "name", " ").has(t, http.StatusUnprocessableEntity, "needs a name")
	b.follow(b.post(own+"/app-passwords/remove", "name", "Phone")).has(t, http.StatusOK, "doesn’t work any more")
	b.post(own+"/app-passwords/remove", "name", "Phone").has(t, http.StatusNotFound, "no app password")
}

func TestAccountIsRemovedOnlyAfterTyping(t *testing.T) {
	s := newSite(t)
	s.account(admin.NewAccount{Address: "zoe@example.org"})
	s.alias("info@example.org", "zoe@example.org")
	s.receive("kim@friends.example", 1000, "zoe@example.org")
	b := s.signedIn()
	b.get("/accounts/zoe@example.org/remove").has(t, http.StatusOK, "1 message (1.1 KB) in its maildrop is deleted", "info@example.org", "type <code>zoe@example.org</code>")
	b.post("/accounts/zoe@example.org/remove").has(t, http.StatusUnprocessableEntity, "Nothing was removed")
	b.get("/accounts/zoe@example.org").has(t, http.StatusOK)
	b.follow(b.post("/accounts/zoe@example.org/remove", "typed", "Zoe@example.org ")).has(t, http.StatusOK, "zoe@example.org was removed, with 1 message")
	b.get("/accounts/zoe@example.org").has(t, http.StatusNotFound)
}

func TestAliases(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.follow(b.post("/aliases", "source", "info@example.org", "targets", boss+"\r\nout@elsewhere.example, third@elsewhere.example\n")).
		has(t, http.StatusOK, "Mail for info@example.org goes to "+boss, "third@elsewhere.example")
	b.follow(b.post("/aliases", "source", "@example.org", "targets", boss)).has(t, http.StatusOK, "catch-all", "/aliases/@example.org/remove")
	b.post("/aliases", "source", "info@example.org", "targets", boss).has(t, http.StatusConflict, "already", boss+"</textarea>")
	b.post("/aliases", "source", "x@example.org", "targets", " ").has(t, http.StatusUnprocessableEntity, "at least one address")
	b.post("/aliases", "source", "loop@example.org", "targets", "loop@example.org").has(t, http.StatusUnprocessableEntity, "lead back to itself")
	b.get("/aliases/info@example.org/remove").has(t, http.StatusOK, "out@elsewhere.example", "refused as unknown")
	b.follow(b.post("/aliases/info@example.org/remove")).has(t, http.StatusOK, "The alias info@example.org was removed")
	b.follow(b.post("/aliases/@example.org/remove")).has(t, http.StatusOK, "There are no aliases yet")
	b.post("/aliases/@example.org/remove").has(t, http.StatusNotFound)
}

func TestLongListsHavePages(t *testing.T) {
	s := newSite(t)
	s.fill()
	b := s.signedIn()
	first := b.get("/accounts?q=books.example.org")
	first.has(t, http.StatusOK, "1 to 50 of 120", "reader001@", `href="/accounts?page=2&amp;q=books.example.org"`)
	b.get("/accounts?q=books.example.org&page=3").has(t, http.StatusOK, "101 to 120 of 120", "reader120@", `rel="prev"`)
	b.get("/accounts?q=books.example.org&page=99").has(t, http.StatusOK, "101 to 120 of 120")
	b.get("/accounts?q=nobody-at-all").has(t, http.StatusOK, "Nothing contains", "Show all 131")
}

func TestTraceIsFound(t *testing.T) {
	s := newSite(t)
	id := s.receive("kim@friends.example", 1000, boss)
	b := s.signedIn()
	row := messageURL(id.String())
	for _, q := range []string{"", id.String(), "KIM@friends.example", boss, "<20261120.0930." + id.String() + "@friends.example>", "20261120.0930." + id.String() + "@friends.example"} {
		b.get(searchURL(q)).has(t, http.StatusOK, row)
	}
	b.get(searchURL("nobody@elsewhere.example")).has(t, http.StatusOK, "Nothing found", "nobody@elsewhere.example")
	b.get(row).has(t, http.StatusOK, "It is in the maildrop of "+boss, "192.0.2.25", "mx.friends.example", "TLS 1.3", "250 2.0.0 accepted as "+id.String())
	b.get("/messages/0000000000000").has(t, http.StatusNotFound)
	b.get("/messages/nonsense").has(t, http.StatusNotFound)
}

func TestMessageShowsTheRemotesWords(t *testing.T) {
	s := newSite(t)
	id := s.submit(boss, "dana@partner.example", "nobody@gone.example")
	s.round(func(item store.QueueItem) store.Outcome {
		if item.Domain == "gone.example" {
			return s.failed(item)
		}
		return s.deferred(item)
	})
	b := s.signedIn()
	page := b.get(messageURL(id.String()))
	page.has(t, http.StatusOK, "2 recipients: 1 bounced, 1 deferred.", "mx1.partner.example", "2001:db8:1:2::25", html.EscapeString(greylisted),
		"User unknown in virtual mailbox table", "DKIM signature", "example.org pr202611r, pr202611e", "The report to the sender", "Try now", "in 15 min")
	report := regexp.MustCompile(`<a href="(/messages/[0-9a-z]{13})">The report`).FindStringSubmatch(page.body)
	if report == nil {
		t.Fatal("no link to the report")
	}
	b.get(report[1]).has(t, http.StatusOK, "nobody", "The message that this is about", messageURL(id.String()))
}

func TestProblemsOfTheOverview(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.get("/").has(t, http.StatusOK, "All is well.", "No mail has come in or gone out yet.")
	s.account(admin.NewAccount{Address: "full@example.org", Quota: 1100})
	s.receive("kim@friends.example", 900, "full@example.org")
	s.submit(boss, "a@one.example")
	s.wait(5 * time.Hour)
	b = s.signedIn()
	b.get("/").has(t, http.StatusOK, "2 things need you.", "The oldest mail in the queue has been waiting for 5 h.", "full@example.org has used")
}

// TestStrangersTextStaysText has every text that comes from outside carry
// markup, and looks at all pages that show it.
func TestStrangersTextStaysText(t *testing.T) {
	const script = `<script>alert(1)</script>`
	s := newSite(t)
	hostile := mail.Address{Local: `"><img/src=x/onerror=alert(1)>'`, Domain: "evil.example"}
	s.account(admin.NewAccount{Address: "victim@example.org", Name: script, Quota: 5000})
	s.alias("odd@example.org", hostile.String())
	_, err := s.admin.AddAppPassword(t.Context(), "victim@example.org", script)
	s.must(err)
	a := s.message("x@evil.example", 100)
	a.Envelope.Sender = hostile
	a.HeaderID = script + `"onmouseover="alert(1)`
	a.Accepted = store.Event{Client: script, Helo: script, Protocol: script, TLS: script, Account: script, Reply: script, Reason: script, Checks: []store.CheckResult{{Check: script, Result: script, Detail: script}}}
	a.Local = []store.LocalDelivery{{Account: s.accountID("victim@example.org"), Recipient: hostile}}
	a.Outbound = []store.Outbound{{Sender: hostile, Recipient: mail.Recipient{Address: hostile}, Via: hostile}}
	s.must(s.store.Accept(t.Context(), a))
	s.hostileWays(script)
	stranger := s.hostileTrust(script, hostile)
	next := s.now().Add(time.Hour)
	s.round(func(item store.QueueItem) store.Outcome {
		return store.Outcome{Result: store.Deferred, Retry: next, Reply: script, Events: []store.Event{
			{Time: s.now(), Kind: store.Kind(script), Recipient: script, Host: script, IP: script, TLS: script, Outcome: script, Reply: script, Reason: script},
			{Time: s.now(), Kind: store.Attempt, Recipient: script, Host: script, Certificate: "not trusted: " + script + " (" + script + ")", Source: script, Via: script, Reason: script, Signed: script},
			{Time: s.now(), Kind: store.Reported, Recipient: script, Outcome: script, Reason: script},
			{Time: s.now(), Kind: store.Bounced, Recipient: script, Reason: script},
		}}
	})
	b := s.signedIn()
	pages := []string{
		"/", "/messages", searchURL(script), searchURL(hostile.String()), messageURL(a.ID.String()), "/queue", "/queue?domain=" + script[:7],
		"/queue/return?message=" + a.ID.String(), "/queue?held=yes&sender=" + script, "/queue/return?sender=" + url.QueryEscape(hostile.String()),
		"/destinations", "/destinations?q=" + script, "/routes", "/routes?q=" + script, "/routes/remove?domain=*&from=", "/sources", "/sources?q=" + script,
		"/domains/held.example", "/domains/held.example?q=%3Cscript%3E", "/aliases", "/aliases/odd@example.org/remove", "/accounts", "/accounts?q=%3Cscript%3E",
		accountURL("victim@example.org"), accountURL("victim@example.org") + "/remove", "/login?next=" + script, "/" + script,
		"/lists", "/lists?q=" + script, "/lists/remove?action=block&what=" + url.QueryEscape(hostile.String()), "/limits", "/limits?q=" + script, "/devices", "/devices?q=" + script,
		"/check?ip=" + script + "&helo=" + script + "&from=" + script + "&domain=" + script, "/preview?from=" + script + "&to=" + script + "&as=" + script + "&ip=" + script + "&helo=" + script, "/certificate", "/domains/example.org", "/domains/example.org/dns",
		messageURL(stranger), messageURL(stranger) + "/sender?action=block", messageURL(stranger) + "/sender?action=" + script,
	}
	for _, path := range pages {
		body := b.get(strings.ReplaceAll(path, " ", "%20")).body
		for _, bad := range []string{script, "<img", `"onmouseover`, "onerror=alert(1)>"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s holds %q:\n%s", path, bad, body)
			}
		}
	}
	for path, fields := range map[string][]string{
		"/destinations": {"do", "pause", "domain", script}, "/sources": {"ip", script, "name", script, "for", script},
		"/routes":                          {"domain", script, "host", script, "from", script, "user", script, "password", script, "tls", script},
		"/domains/held.example/recipients": {"do", "add", "recipients", "</textarea>" + script},
		"/lists":                           {"action", "block", "what", script, "note", script, "expires", script}, "/lists/forgive": {"network", script}, "/lists/remove": {"action", script, "what", script},
		"/devices": {"network", script, "account", script}, "/limits": {"messages_per_hour", script, "messages_per_day", script},
		accountURL("victim@example.org") + "/limits": {"recipients_per_day", script}, "/domains/example.org/limits": {"recipients_per_hour", script},
		"/domains/example.org/dkim/remove": {"selector", script},
		"/preview":                         {"from", script, "to", hostile.String(), "as", script, "ip", script, "helo", script},
		"/check":                           {"do", "message", "ip", "192.0.2.1", "helo", "x", "from", hostile.String(), "domain", script, "message", "</textarea>" + script},
		"/login":                           {"username", script}, "/domains": {"name", script}, "/accounts": {"address", script, "name", script, "quota", script},
		"/aliases": {"source", script, "targets", "</textarea>" + script}, accountURL("victim@example.org") + "/app-passwords": {"name", script},
	} {
		if body := b.post(path, fields...).body; strings.Contains(body, script) {
			t.Errorf("the answer of %s holds the script:\n%s", path, body)
		}
	}
}

// hostileWays has what other servers say, and what an admin may copy from them,
// carry markup too.
func (s *site) hostileWays(script string) {
	s.t.Helper()
	ctx := s.t.Context()
	s.must(s.store.Settle(ctx, store.Settlement{At: s.now(), Health: []store.Health{
		{Destination: "evil.example", Host: script, Failures: 1, LastFailure: s.now(), NextTry: s.now().Add(time.Hour), Reply: script},
		{Destination: "relay " + script, Host: script, LastSuccess: s.now(), Reply: script},
	}}))
	_, err := s.admin.AddRoute(ctx, admin.AddRoute{Domain: "*", Host: "smtp.example", User: script, Password: script})
	s.must(err)
	_, err = s.admin.AddDomain(ctx, admin.AddDomain{Name: "held.example", Backup: true})
	s.must(err)
	_, err = s.admin.ChangeDomainRecipients(ctx, admin.ChangeDomainRecipients{Name: "held.example", Add: []string{`"><img/src=x/onerror=alert(1)>"@held.example`}})
	s.must(err)
}

// hostileTrust has the lists, the DNS, the checks and the certificates carry it. It
// returns the ID of a message of a stranger.
func (s *site) hostileTrust(script string, hostile mail.Address) string {
	s.t.Helper()
	ctx := s.t.Context()
	_, err := s.admin.AddAccess(ctx, admin.AddAccess{Action: "block", What: hostile.String(), Note: script})
	s.must(err)
	s.must(s.store.Raise(ctx, store.Concern{Key: script, Text: script, Cure: script}))
	s.guessing(store.LoginBlock{Network: netip.MustParsePrefix("203.0.113.7/32"), Until: s.now().Add(time.Hour), Failures: 9, Names: 1, Protocol: script})
	s.dns.publish("example.org")
	s.admin.Shown = func(context.Context) ([]admin.Certificate, error) {
		return []admin.Certificate{{Names: []string{script}, Issuer: script, Source: "file", File: script, Error: script}}, nil
	}
	s.admin.Checks = hostileChecker{script}
	a := s.message("x@evil.example", 100)
	a.Envelope.Sender = hostile
	a.Accepted = store.Event{Client: "203.0.113.7", Helo: script, Checks: []store.CheckResult{{Check: "spf", Result: script, Detail: script}}}
	a.Local = []store.LocalDelivery{{Account: s.accountID("victim@example.org"), Recipient: hostile}}
	s.must(s.store.Accept(ctx, a))
	return a.ID.String()
}

// A hostileChecker repeats what strangers wrote.
type hostileChecker struct{ text string }

func (h hostileChecker) report() (admin.CheckReport, error) {
	return admin.CheckReport{
		Checks: []store.CheckResult{{Check: h.text, Result: h.text, Detail: h.text}}, Results: h.text, Reply: h.text, Explained: []string{h.text},
	}, nil
}

func (h hostileChecker) CheckSPF(context.Context, admin.CheckRequest) (admin.CheckReport, error) {
	return h.report()
}

func (h hostileChecker) CheckDKIM(context.Context, admin.CheckRequest) (admin.CheckReport, error) {
	return h.report()
}

func (h hostileChecker) CheckDMARC(context.Context, admin.CheckRequest) (admin.CheckReport, error) {
	return h.report()
}

func (h hostileChecker) CheckMessage(context.Context, admin.CheckRequest) (admin.CheckReport, error) {
	return h.report()
}

// A page that fails says so, without the reason; the log has it.
func TestOurTroubleIsNotShown(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	broken := *s.server
	broken.Admin = brokenAdmin{s.admin}
	s.http.Config.Handler = broken.Handler()
	for _, path := range []string{"/", "/messages"} {
		a := b.get(path)
		a.has(t, http.StatusInternalServerError, errOurs.Title)
		if strings.Contains(a.body, "secret detail") || a.header.Get("Content-Security-Policy") == "" {
			t.Errorf("the answer is\n%v\n%s", a.header, a.body)
		}
	}
	wantAll(t, s.log.String(), "secret detail", "request panicked")
}

type brokenAdmin struct{ Admin }

func (brokenAdmin) Overview(context.Context, string) (admin.Overview, error) {
	return admin.Overview{}, errors.New("secret detail")
}

func (brokenAdmin) SearchTrace(context.Context, admin.TraceSearch) (admin.TraceFound, error) {
	panic("secret detail")
}
