package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"postroom/store/admin"
)

// recipientsOut submits n messages for two recipients elsewhere.
func (s *site) recipientsOut(from string, n int) {
	s.t.Helper()
	for range n {
		s.submit(from, "a@elsewhere.example", "b@elsewhere.example")
	}
}

func TestLimitsOfAnAccount(t *testing.T) {
	s := newSite(t)
	s.account(admin.NewAccount{Address: "alice@example.org"})
	b := s.signedIn()
	page := accountURL("alice@example.org")
	b.get(page).has(t, http.StatusOK, "Set other limits", "no limit")
	b.follow(b.post(page+"/limits", "do", "set", "messages_per_hour", "10", "messages_per_day", "none", "recipients_per_hour", "", "recipients_per_day", " 100 ")).
		has(t, http.StatusOK, "The limits are set. They hold from now on.", "0 of 10", "10 left", "0 of 100", `name="messages_per_hour" value="10"`, `name="messages_per_day" value="none"`,
			`name="recipients_per_hour" value="" placeholder="configuration: none"`, "Back to the configuration")
	s.recipientsOut("alice@example.org", 9)
	b.get(page).has(t, http.StatusOK, "9 of 10", "1 left", "18 of 100", "82 left", `aria-label="Messages an hour: 90 % of the limit used"`, `usage warn`, "more is free", "in 1 h")
	b.post(page+"/limits", "do", "set", "messages_per_hour", "many", "recipients_per_day", "7").
		has(t, http.StatusUnprocessableEntity, "is not a limit", `role="alert"`, `<details class="change" open>`, `value="many"`, `name="recipients_per_day" value="7"`)
	b.get("/limits").has(t, http.StatusOK, page+`#limits`, "9 of 10")
	b.follow(b.post(page+"/limits", "do", "clear", "messages_per_hour", "10")).has(t, http.StatusOK, "From now on the configuration’s limits hold.", "Set other limits")
	b.post(accountURL("nobody@example.org")+"/limits", "do", "set", "messages_per_hour", "10").has(t, http.StatusNotFound, "There is no account nobody@example.org")
}

func TestLimitsOfADomainAndTheServer(t *testing.T) {
	s := newSite(t)
	s.account(admin.NewAccount{Address: "alice@example.org"})
	b := s.signedIn()
	page := domainURL("example.org")
	b.get("/limits").has(t, http.StatusOK, "Nobody is near a limit", "Everybody together")
	b.follow(b.post(page+"/limits", "do", "set", "messages_per_day", "20")).has(t, http.StatusOK, "0 of 20")
	b.post(page+"/limits", "do", "set", "messages_per_day", "0").has(t, http.StatusUnprocessableEntity, "A limit of 0", `value="0"`)
	b.follow(b.post("/limits", "do", "set", "recipients_per_hour", "19")).has(t, http.StatusOK, "0 of 19")
	b.post("/limits", "do", "set", "recipients_per_hour", "-1").has(t, http.StatusUnprocessableEntity, "is not a limit", `value="-1"`)
	s.recipientsOut("alice@example.org", 9)
	b.get("/limits").has(t, http.StatusOK, "18 of 19", page+"#limits", "domain</span>", "9 of 20")
	b.get(accountURL("alice@example.org")).has(t, http.StatusOK, "The same mail counts for", "this server", "which has used 94 % of a limit")
	s.wait(61 * time.Minute)
	b = s.signedIn()
	b.get("/limits").has(t, http.StatusOK, "0 of 19")
	_, err := s.admin.AddDomain(t.Context(), admin.AddDomain{Name: "held.example", Backup: true})
	s.must(err)
	if a := b.get("/domains/held.example"); a.code != http.StatusOK || strings.Contains(a.body, "recipients_per_hour") {
		t.Errorf("a backup domain has limits: %d\n%s", a.code, a.body)
	}
	b.post("/domains/held.example/limits", "do", "set", "messages_per_day", "20").has(t, http.StatusUnprocessableEntity, "is a backup domain")
	b.post("/domains/nothing.example/limits", "do", "set", "messages_per_day", "20").has(t, http.StatusNotFound)
}

func TestDevices(t *testing.T) {
	s := newSite(t)
	s.account(admin.NewAccount{Address: "scanner@example.org"})
	b := s.signedIn()
	b.get("/devices").has(t, http.StatusOK, "There are no devices", "without a password and without encryption", `placeholder="scanner@example.org"`)
	b.follow(b.post("/devices", "network", "192.168.1.20", "account", "Scanner@example.org")).
		has(t, http.StatusOK, "Whatever comes from 192.168.1.20 may submit mail as scanner@example.org from now on.", "/devices/remove?network=192.168.1.20")
	b.follow(b.post("/devices", "network", "2001:db8::/64", "account", "scanner@example.org")).has(t, http.StatusOK, "2001:db8::/64")
	b.post("/devices", "network", "the scanner", "account", "scanner@example.org").has(t, http.StatusUnprocessableEntity, `role="alert"`, `value="the scanner"`, `value="scanner@example.org"`)
	b.post("/devices", "network", "192.168.1.21", "account", "nobody@example.org").has(t, http.StatusNotFound, "There is no account nobody@example.org", `value="192.168.1.21"`)
	b.post("/devices", "network", "192.168.1.20", "account", "scanner@example.org").has(t, http.StatusConflict, `role="alert"`)
	s.must(s.admin.DisableAccount(t.Context(), "scanner@example.org", false))
	b.get("/devices").has(t, http.StatusOK, "disabled", "it can’t send")
	b.get("/devices/remove?network=192.168.1.20").has(t, http.StatusOK, "Take the right to submit from 192.168.1.20?")
	b.get("/devices/remove?network=192.168.1.99").has(t, http.StatusNotFound)
	b.follow(b.post("/devices/remove", "network", "192.168.1.20")).has(t, http.StatusOK, "192.168.1.20 can’t submit without logging in any more.")
	b.post("/devices/remove", "network", "192.168.1.20").has(t, http.StatusNotFound)
	b.follow(b.post("/devices/remove", "network", "2001:db8::/64")).has(t, http.StatusOK, "There are no devices")
}
