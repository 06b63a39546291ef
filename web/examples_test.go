package web

import (
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"postroom/store"
	"postroom/store/admin"
)

// exemplary gives the site what the examples of the routes are about.
func (s *site) exemplary() {
	s.t.Helper()
	ctx := s.t.Context()
	s.domain("spare.example")
	s.alias("spare@example.org", boss)
	s.account(admin.NewAccount{Address: "ticked@example.org"})
	_, err := s.admin.AddRoute(ctx, admin.AddRoute{Domain: "lost.example", Host: "mx"})
	s.must(err)
	_, err = s.admin.AddSource(ctx, admin.AddSource{IP: "192.0.2.1"})
	s.must(err)
	_, err = s.admin.AddAccess(ctx, admin.AddAccess{Action: "block", What: "lost.example"})
	s.must(err)
	_, err = s.admin.AddDevice(ctx, admin.AddDevice{Network: "192.168.1.21", Account: boss})
	s.must(err)
	s.alias("undone@example.org", boss)
}

// A door is a page of the route table at a path.
type door struct {
	name, path string
	needs      need
}

// doors returns each page that the route table leads to, at its example. A GET
// route whose example is no page fails the test, unless what it gives is a file.
func (s *site) doors() []door {
	s.t.Helper()
	chief, stranger := s.signedIn(), s.browser()
	var doors []door
	for _, r := range newPages(s.server).routes() {
		if r.method != http.MethodGet || r.path == "/login/code" { // there is no such page without a password
			continue
		}
		d := door{nameOf(r.path), r.example(s), r.needs}
		if r.path == "/setup" { // shut while somebody can sign in; the first run's own tests look at it
			continue
		}
		if strings.Contains(d.path, "{") {
			s.t.Fatalf("the route %s has no example", r.path)
		}
		visitor := chief
		if r.needs.who() == needNobody {
			visitor = stranger
		}
		a := visitor.get(d.path)
		switch {
		case a.code != http.StatusOK:
			s.t.Errorf("the example %s of %s is answered %d, so nothing is shown of that page", d.path, r.path, a.code)
		case strings.HasPrefix(a.header.Get("Content-Type"), "text/html"):
			doors = append(doors, d)
		}
	}
	return doors
}

// nameOf makes the name of a page, for messages and files, of its pattern.
func nameOf(pattern string) string {
	name := strings.Trim(strings.NewReplacer("{$}", "overview", "{", "", "}", "", "/", "-").Replace(pattern), "-")
	return "route-" + name
}

// examples are the paths of all pages of a busy site by name: each of the route
// table, and what data makes of them.
func (s *site) examples() map[string]string {
	s.t.Helper()
	s.fill()
	s.trust()
	s.exemplary()
	s.secondFactor("alice@example.org")
	_, err := s.admin.AddAppPassword(s.t.Context(), boss, "Thunderbird on the laptop")
	s.must(err)
	s.note("alice@example.org", "pop3", "198.51.100.7", "Phone")
	for _, client := range []string{"203.0.113.7", "2001:db8:1:2::7"} {
		s.note(boss, "submission", client, "")
		s.store.NoteFailedLogin(store.Login{Account: s.accountID(boss), Protocol: "pop3", At: s.now(), Client: netip.MustParseAddr(client)})
	}
	paths := map[string]string{"nothing-found": "/messages?q=nobody@nowhere.example", "no-page": "/nothing/here"}
	for _, d := range s.doors() {
		if d.needs.who() != needNobody {
			paths[d.name] = d.path
		}
	}
	s.addPaths(paths)
	return paths
}

// bareExamples are the paths of the pages that there are without any data.
func (s *site) bareExamples() map[string]string {
	s.t.Helper()
	b := s.signedIn()
	paths := map[string]string{
		"domain": "/domains/example.org", "dns": "/domains/example.org/dns", "account": accountURL(boss),
		"nothing-found": "/messages?q=nobody@nowhere.example", "no-page": "/nothing/here",
	}
	for _, r := range newPages(s.server).routes() {
		path := strings.TrimSuffix(r.path, "{$}")
		if r.method != http.MethodGet || r.needs.who() == needNobody || strings.Contains(path, "{") {
			continue
		}
		if a := b.get(path); a.code == http.StatusOK && strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			paths[nameOf(r.path)] = path
		}
	}
	return paths
}

// addPaths adds the pages that there are only with data.
func (s *site) addPaths(paths map[string]string) {
	for name, of := range map[string]string{
		"sent": "dana@partner.example", "bounced": "nobody@partner.example", "waiting": "subscriber3@list3.example",
		"held": "suspicious@elsewhere.example", "many": "eve@example.org", "refused": "winner@lottery.example", "collected": "kim@friends.example",
	} {
		trails, err := s.admin.Trace(s.t.Context(), of)
		s.must(err)
		if len(trails) == 0 {
			s.t.Fatalf("no message of %s", of)
		}
		paths["message-"+name] = messageURL(trails[len(trails)-1].ID.String())
	}
	paths["queue-domain"] = "/queue?domain=list1.example"
	paths["queue-held"] = "/queue?held=yes"
	paths["queue-none"] = "/queue?sender=nobody@nowhere.example"
	paths["return-many"] = "/queue/return?sender=grace@example.org"
	paths["destinations-none"] = "/destinations?q=nowhere"
	paths["domain"] = domainURL("example.org")
	paths["domain-backup"] = domainURL("branch-office.example")
	paths["domain-backup-new"] = domainURL("second-office.example")
	paths["source-remove"] = "/sources/remove?ip=192.0.2.18&for=alice@example.org"
	paths["account-alice"] = accountURL("alice@example.org")
	paths["account-disabled"] = accountURL("dan@example.org")
	paths["account-remove"] = accountURL("alice@example.org") + "/remove"
	paths["alias-remove"] = aliasURL("info@example.org") + "/remove"
	paths["domain-remove"] = domainURL("branch-office.example") + "/remove"
	paths["domain-in-use"] = domainURL("example.org") + "/remove"
	paths["accounts-people"] = "/accounts?q=%40example.org"
	paths["accounts-fullest"] = "/accounts?sort=full"
	paths["lists-none"] = "/lists?q=nowhere"
	paths["setup-programs"] = setupAccountURL("alice@example.org")
	paths["setup-dns-other"] = setupDNSURL("books.example.org")
	paths["domain-local"] = domainURL("books.example.org")
	paths["dns"] = domainURL("example.org") + "/dns"
	paths["dns-backup"] = domainURL("branch-office.example") + "/dns"
	paths["dkim-now"] = domainURL("example.org") + "/dkim?now=yes"
	refused := paths["message-refused"]
	paths["sender-block"] = refused + "/sender?action=block"
	paths["sender-allow"] = refused + "/sender?action=allow"
	paths["search-filters"] = "/messages?outcome=refused&ip=203.0.113.0/24&since=2026-11-01"
	paths["search-mistake"] = "/messages?since=tomorrowish&q=alice@example.org"
	paths["search-nothing"] = "/messages?q=nobody@nowhere.example+bounced"
	paths["overview-hour"], paths["overview-month"] = "/?over=hour", "/?over=month"
	paths["search"] = "/messages?q=alice@example.org"
}

// TestNothingScrollsSideways looks at every page at the width of a phone and of
// a laptop, with no data and with much, as regard does.
func TestNothingScrollsSideways(t *testing.T) {
	for life, paths := range map[string]func(*site) map[string]string{"empty": (*site).bareExamples, "busy": (*site).examples} {
		t.Run(life, func(t *testing.T) {
			s := newSite(t)
			look(t, s, life, paths(s))
		})
	}
}

// look visits the pages at both widths.
func look(t *testing.T, s *site, life string, paths map[string]string) {
	t.Helper()
	ctx := chromium(t)
	shoot := func(name, path string) {
		t.Helper()
		s.must(chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(s.http.URL+path)))
		regard(t, ctx, life+"-"+name, 1280)
		s.must(chromedp.Do(ctx, chromedp.EmulateViewport(390, 900)))
		regard(t, ctx, life+"-"+name, 390)
	}
	for _, r := range newPages(s.server).routes() {
		if path := r.path; r.method == http.MethodGet && r.needs.who() == needNobody && !strings.Contains(path, "{") && path != "/favicon.ico" {
			shoot(nameOf(path), path)
		}
	}
	s.must(chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900), signIn(s)))
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		shoot(name, paths[name])
	}
	s.must(chromedp.Do(ctx, chromedp.Click(css(".menu summary"))))
	regard(t, ctx, life+"-menu", 390)
	if log := s.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("pages failed:\n%s", log)
	}
}
