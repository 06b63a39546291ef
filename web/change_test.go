package web

import (
	"net/http"
	"strings"
	"testing"

	"postroom/store/admin"
)

func TestChangeAccount(t *testing.T) {
	s := newSite(t)
	s.account(admin.NewAccount{Address: "zoe@example.org", Quota: 1_500_000_000})
	b := s.signedIn()
	b.get("/accounts/zoe@example.org").has(t, http.StatusOK, `value="1500MB"`)
	b.follow(b.post("/accounts/zoe@example.org/change", "name", "Zoe", "quota", "2 GB", "admin", "yes")).
		has(t, http.StatusOK, "zoe@example.org was changed.", "Zoe", "of 2 GB", "admin", `value="2GB"`)
	b.post("/accounts/zoe@example.org/change", "name", "Zoe Z", "quota", "much").
		has(t, http.StatusUnprocessableEntity, "The quota should be a size", `value="much"`, `value="Zoe Z"`, `<details class="change" open>`)
	b.post("/accounts/gone@example.org/change", "name", "Gone").has(t, http.StatusNotFound, "There is no account gone@example.org.", `href="/accounts"`)
	// One's own right can't be given up here, even if nothing was ticked.
	b.follow(b.post("/accounts/"+boss+"/change", "name", "Boss", "quota", "")).has(t, http.StatusOK, "was changed", "Boss")
	b.follow(b.post("/accounts/zoe@example.org/change", "quota", "")).has(t, http.StatusOK, "no quota")
	if zoe, err := s.admin.Account(t.Context(), "zoe@example.org"); err != nil || zoe.Admin || zoe.Name != "" {
		t.Errorf("zoe is %+v, %v", zoe, err)
	}
}

func TestSizesAreTypedBack(t *testing.T) {
	for _, n := range []int64{1, 1000, 1500, 2_000_000_000, 1_000_000_000_000_000, 123_456_789} {
		if got, err := parseOctets(octetsTyped(n)); got != n || err != nil {
			t.Errorf("%d is typed %q, which is %d, %v", n, octetsTyped(n), got, err)
		}
	}
}

func TestChangeWays(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	_, err := s.admin.AddRoute(ctx, admin.AddRoute{Domain: "far.example", Host: "one.example:587", User: "me", Password: "route secret"})
	s.must(err)
	_, err = s.admin.AddSource(ctx, admin.AddSource{IP: "192.0.2.1", Name: "one.example"})
	s.must(err)
	b := s.signedIn()
	b.get("/routes").has(t, http.StatusOK, `href="/routes/change?domain=far.example&amp;from="`)
	form := b.get("/routes/change?domain=far.example&from=")
	form.has(t, http.StatusOK, "Change the route of mail for far.example", `value="one.example:587"`, `value="me"`, `<option value="must" selected>`)
	if strings.Contains(form.body, "route secret") {
		t.Error("the password is shown")
	}
	b.follow(b.post("/routes/change", "domain", "far.example", "from", "", "host", "two.example", "user", "me", "password", "", "tls", "may")).
		has(t, http.StatusOK, "The route was changed.", "two.example:25", "If offered")
	if routes, err := s.store.Routes(ctx); err != nil || routes[0].Password != "route secret" {
		t.Errorf("routes are %+v, %v", routes, err)
	}
	b.post("/routes/change", "domain", "far.example", "from", "", "host", "two example", "user", "you", "tls", "may").
		has(t, http.StatusUnprocessableEntity, "is not a server", `value="two example"`, `value="you"`)
	for _, gone := range []answer{b.get("/routes/change?domain=gone.example"), b.post("/routes/change", "domain", "gone.example"), b.get("/routes/remove?domain=gone.example")} {
		gone.has(t, http.StatusNotFound, "This route is gone", `href="/routes">Routes</a>`)
	}

	b.get("/sources/change?ip=192.0.2.1&for=").has(t, http.StatusOK, "What 192.0.2.1 calls itself", `value="one.example"`)
	b.follow(b.post("/sources/change", "ip", "192.0.2.1", "for", "", "name", "two.example")).has(t, http.StatusOK, "192.0.2.1 calls itself two.example")
	b.follow(b.post("/sources/change", "ip", "192.0.2.1", "for", "", "name", "")).has(t, http.StatusOK, "calls itself mail.example.org")
	b.post("/sources/change", "ip", "192.0.2.1", "for", "", "name", "two").has(t, http.StatusUnprocessableEntity, "not a full host name", `value="two"`)
	b.get("/sources/change?ip=192.0.2.9&for=").has(t, http.StatusNotFound, "This source address is gone")
}

func TestChangeListsAndDevices(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	s.account(admin.NewAccount{Address: "scanner@example.org"})
	_, err := s.admin.AddDevice(ctx, admin.AddDevice{Network: "192.0.2.7", Account: boss})
	s.must(err)
	_, err = s.admin.AddAccess(ctx, admin.AddAccess{Action: "block", What: "spam.example", Note: "spams", Expires: "7d"})
	s.must(err)
	b := s.signedIn()
	b.get("/lists/change?action=block&what=spam.example").has(t, http.StatusOK, "Mail from spam.example is blocked", "as now: it ends in 7 days", `value="spams"`)
	b.follow(b.post("/lists/change", "action", "block", "what", "spam.example", "note", "still spams", "expires", "same")).has(t, http.StatusOK, "was changed", "still spams", "in 7 days")
	b.follow(b.post("/lists/change", "action", "block", "what", "spam.example", "note", "", "expires", "")).has(t, http.StatusOK, "was changed", "removed</span>")
	b.get("/lists/change?action=block&what=spam.example").has(t, http.StatusOK, "as now: until it is removed")
	b.post("/lists/change", "action", "block", "what", "spam.example", "expires", "soon").has(t, http.StatusUnprocessableEntity, "is not a length of time")
	b.get("/lists/change?action=allow&what=spam.example").has(t, http.StatusNotFound, "This entry is gone", `href="/lists"`)

	b.get("/devices/change?network=192.0.2.7").has(t, http.StatusOK, "Whose mail 192.0.2.7 sends", `value="`+boss+`"`)
	b.follow(b.post("/devices/change", "network", "192.0.2.7", "account", "scanner@example.org")).has(t, http.StatusOK, "192.0.2.7 sends as scanner@example.org from now on.")
	b.post("/devices/change", "network", "192.0.2.7", "account", "nobody@example.org").has(t, http.StatusNotFound, "There is no account nobody@example.org.", `value="nobody@example.org"`)
	b.post("/devices/change", "network", "192.0.2.8", "account", boss).has(t, http.StatusNotFound, "This device is gone")
}
