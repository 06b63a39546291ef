package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// example returns a path that a route's pattern matches.
func (r route) example(s *site) string {
	p := newPages(s.server)
	icon, err := p.assetURL("icon.svg")
	s.must(err)
	switch r.path {
	case "/{$}":
		return "/"
	case "/assets/{name}":
		return icon
	case "/confirm-password":
		return "/confirm-password?again=yes"
	case "/messages/{id}":
		return messageURL(s.receive("kim@friends.example", 100, boss).String())
	case "/messages/{id}/sender":
		return messageURL(s.receive("kim@friends.example", 100, boss).String()) + "/sender"
	case "/accounts/selected":
		return "/accounts/selected?do=disable&account=ticked@example.org"
	case "/long-work/{id}", "/long-work/{id}/stop":
		return strings.Replace(r.path, "{id}", s.begin().id, 1)
	case "/lists/remove", "/lists/change":
		return r.path + "?action=block&what=lost.example"
	case "/devices/remove", "/devices/change":
		return r.path + "?network=192.168.1.21"
	case "/domains/{name}/dkim/remove":
		keys, err := s.admin.DKIMKeys(s.t.Context(), "spare.example")
		s.must(err)
		return "/domains/spare.example/dkim/remove?selector=" + keys[0].Selector
	case "/journal/{id}", "/journal/{id}/undo":
		entries, err := s.admin.Journal(s.t.Context(), admin.JournalSearch{Action: "alias", Limit: 1})
		s.must(err)
		return strings.Replace(r.path, "{id}", fmt.Sprint(entries[0].ID), 1)
	case "/queue/return":
		return "/queue/return?message=" + s.submit(boss, "a@elsewhere.example").String()
	case "/routes/remove", "/routes/change":
		return r.path + "?domain=lost.example&from="
	case "/sources/remove", "/sources/change":
		return r.path + "?ip=192.0.2.1&for="
	}
	return strings.NewReplacer("{name}", "spare.example", "{address}", boss, "{source}", "spare@example.org").Replace(r.path)
}

// TestRoutesKeepTheirDoors walks the route table: each route as a stranger, as
// somebody who has lost the right to be here, as a user, as an administrator whose
// password was given long ago and lately, and with methods that it doesn't list.
func TestRoutesKeepTheirDoors(t *testing.T) {
	s := newSite(t)
	s.exemplary()
	s.account(admin.NewAccount{Address: "former@example.org", Password: bossPassword, Admin: true})
	former := s.browser()
	former.post("/login", "username", "former@example.org", "password", bossPassword).has(t, http.StatusSeeOther)
	s.must(s.admin.DisableAccount(t.Context(), "former@example.org", false))
	stale := s.signedIn()
	s.wait(confirmFor + time.Second)
	s.account(admin.NewAccount{Address: "user@example.org", Password: bossPassword})
	stranger, user, chief, lured := s.browser(), s.signedInAs("user@example.org"), s.signedIn(), s.signedIn()
	lured.header.Set("Sec-Fetch-Site", "cross-site")

	routes := newPages(s.server).routes()
	for _, r := range routes {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			path := r.example(s)
			for who, b := range map[string]*browser{"a stranger": stranger, "a former administrator": former} {
				a := b.do(r.method, path, strings.NewReader(""))
				if r.needs.who() != needNobody && (a.code != http.StatusSeeOther || !strings.HasPrefix(a.location, "/login")) {
					t.Errorf("%s is answered %d to %q, want a redirect to /login", who, a.code, a.location)
				}
				if r.needs.who() == needNobody && r.path != "/login/code" && strings.HasPrefix(a.location, "/login?") {
					t.Errorf("%s is asked to sign in", who)
				}
			}
			if r.needs.who() != needNobody { // who signs out is a stranger
				a := user.do(r.method, path, strings.NewReader(""))
				refused := a.code == http.StatusForbidden && strings.Contains(a.body, errNotAdmin.Title)
				if r.path == "/{$}" {
					refused = a.location == "/me"
				}
				if refused != (r.needs.who() == needAdmin) {
					t.Errorf("a user is answered %d to %q", a.code, a.location)
				}
			}
			if r.needs&lately != 0 {
				a := stale.do(r.method, path, strings.NewReader(""))
				if a.code != http.StatusSeeOther || !strings.HasPrefix(a.location, "/confirm-password?") {
					t.Errorf("with a password given long ago it is answered %d to %q", a.code, a.location)
				}
			}
			if r.method == "POST" { // by a form on another site
				lured.do("POST", path, strings.NewReader("")).has(t, http.StatusForbidden, errCrossOrigin.Title)
			}
			for _, method := range []string{"HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "POST", "GET"} {
				if listed := slices.ContainsFunc(routes, func(o route) bool {
					return o.path == r.path && (o.method == method || o.method == "GET" && method == "HEAD")
				}); listed {
					continue
				}
				for _, b := range []*browser{stranger, user, chief} {
					a := b.do(method, path, nil)
					a.has(t, http.StatusMethodNotAllowed)
					if !strings.Contains(a.header.Get("Allow"), r.method) {
						t.Errorf("%s is refused without saying that %s is allowed: %q", method, r.method, a.header.Get("Allow"))
					}
				}
			}
			switch {
			case r.path == "/domains/{name}/dns/zone": // a file
				chief.get(path).has(t, http.StatusOK, "IN MX")
			case r.method == "GET" && r.needs.who() != needNobody:
				chief.get(path).has(t, http.StatusOK, "<h1", boss)
			}
		})
	}
	if queue, err := s.admin.Queue(t.Context(), admin.QueueSelection{}); err != nil || len(queue) == 0 {
		t.Errorf("strangers emptied the queue: %v, %v", queue, err)
	}
	if routes, err := s.admin.Routes(t.Context()); err != nil || len(routes) != 1 {
		t.Errorf("strangers changed the routes: %v, %v", routes, err)
	}
	if sources, err := s.admin.Sources(t.Context()); err != nil || len(sources) != 1 {
		t.Errorf("strangers changed the source addresses: %v, %v", sources, err)
	}
	if entries, err := s.admin.AccessEntries(t.Context(), ""); err != nil || len(entries) != 1 {
		t.Errorf("strangers changed the lists: %v, %v", entries, err)
	}
	if devices, err := s.admin.Devices(t.Context()); err != nil || len(devices) != 1 {
		t.Errorf("strangers changed the devices: %v, %v", devices, err)
	}
	if keys, err := s.admin.DKIMKeys(t.Context(), "spare.example"); err != nil || len(keys) != 2 {
		t.Errorf("strangers changed the keys: %d, %v", len(keys), err)
	}
	if _, err := s.admin.Account(t.Context(), boss); err != nil {
		t.Errorf("strangers removed the administrator: %v", err)
	}
}

func TestHeadersAreOnEveryAnswer(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	icon, err := newPages(s.server).assetURL("icon.svg")
	s.must(err)
	big := strings.NewReader("name=" + strings.Repeat("x", 1<<20))
	cross := s.browser()
	cross.header.Set("Sec-Fetch-Site", "cross-site")
	answers := map[string]answer{
		"a page": b.get("/"), "a redirect": s.browser().get("/"), "no page": b.get("/nothing"), "a wrong method": b.do("PUT", "/", nil),
		"an asset": b.get(icon), "a refused form": b.post("/domains", "name", "not a domain"), "too much": b.do("POST", "/domains", big),
		"another site's request": cross.post("/login"), "a path to be cleaned": b.get("//domains/../accounts"), "sign-in": s.browser().get("/login"),
	}
	for name, a := range answers {
		t.Run(name, func(t *testing.T) {
			csp := a.header.Get("Content-Security-Policy")
			wantAll(t, csp, "default-src 'none'", "style-src 'self'", "script-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'")
			if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Referrer-Policy") == "" {
				t.Errorf("headers are missing: %v", a.header)
			}
			if caching := a.header.Get("Cache-Control"); name != "an asset" && caching != "no-store" {
				t.Errorf("Cache-Control is %q", caching)
			}
			if strings.Contains(a.body, "style=") || strings.Contains(a.body, "<script>") || strings.Contains(a.body, " onclick") {
				t.Error("the page has inline style or script")
			}
		})
	}
}

func TestWhatIsNoForm(t *testing.T) {
	s := newSite(t)
	for _, b := range []*browser{s.browser(), s.signedIn()} {
		for _, path := range []string{"/login", "/domains", "/queue"} {
			if a := b.do("POST", path, strings.NewReader("name=%zz")); a.code == http.StatusInternalServerError {
				t.Errorf("%s takes it for a fault of ours", path)
			}
		}
	}
	s.browser().do("POST", "/login", strings.NewReader("username=%zz")).has(t, http.StatusBadRequest, errBadForm.Title)
}

func TestPagesAreSmall(t *testing.T) {
	s := newSite(t)
	paths := s.examples()
	b := s.signedIn()
	for name, path := range paths {
		if n := len(b.get(path).body); n > 100_000 {
			t.Errorf("%s (%s) has %d octets", name, path, n)
		}
	}
	s.store.SetAllowances(store.Allowances{})
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("member%d@club%d.example", i, i%7))
	}
	id := s.submit(boss, many...)
	s.round(s.deferred)
	for _, path := range []string{messageURL(id.String()), "/queue", "/messages", "/queue/return?message=" + id.String()} {
		a := b.get(path)
		a.has(t, http.StatusOK)
		if len(a.body) > 100_000 {
			t.Errorf("with a message for 1000 %s has %d octets", path, len(a.body))
		}
	}
	b.get(messageURL(id.String())).has(t, http.StatusOK, "for all 1000 recipients", "further steps", "and 960 more")
	var total int
	for _, a := range newPages(s.server).assets {
		total += len(a.content)
	}
	if total > 200_000 {
		t.Errorf("all assets together have %d octets", total)
	}
}

func TestAssetsAreKeptForEver(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	login := b.get("/login").body
	_, rest, _ := strings.Cut(login, `href="/assets/postroom.`)
	hash, _, _ := strings.Cut(rest, `"`)
	a := b.get("/assets/postroom." + hash)
	a.has(t, http.StatusOK, "--accent")
	if !strings.Contains(a.header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") {
		t.Errorf("headers are %v", a.header)
	}
	for _, wrong := range []string{"/assets/postroom.css", "/assets/postroom.0000000000.css", "/assets/..%2fweb.go", "/assets/"} {
		b.get(wrong).has(t, http.StatusNotFound)
	}
}
