package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"postroom/store/admin"
)

func TestTickedAccounts(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	for i := range 15 {
		s.account(admin.NewAccount{Address: fmt.Sprintf("user%02d@example.org", i)})
	}
	s.alias("team@example.org", "user01@example.org", "user02@example.org")
	s.receive("kim@friends.example", 1000, "user01@example.org")
	s.receive("kim@friends.example", 500, "user02@example.org")
	s.submit("user01@example.org", "a@far.example")
	_, err := s.admin.AddDevice(ctx, admin.AddDevice{Network: "192.0.2.7", Account: "user01@example.org"})
	s.must(err)
	_, err = s.admin.AddAppPassword(ctx, "user02@example.org", "phone")
	s.must(err)
	_, err = s.admin.SetLimit(ctx, admin.SetLimit{Name: "user02@example.org", MessagesPerHour: "7"})
	s.must(err)
	b := s.signedIn()
	list := b.get("/accounts")
	list.has(t, http.StatusOK, `<input type="checkbox" name="account" value="user01@example.org" form="chosen"`)
	if strings.Contains(list.body, `name="account" value="`+boss) {
		t.Error("one's own account can be ticked")
	}
	const two = "&account=user01@example.org&account=user02@example.org"
	b.get("/accounts/selected?do=disable"+two).has(t, http.StatusOK, "Disable 2 accounts?", "user01@example.org: 1 message", "what they have in the queue is held")
	b.follow(b.post("/accounts/selected", "do", "disable", "account", "user01@example.org", "account", "user02@example.org")).has(t, http.StatusOK, "2 accounts are disabled")
	b.get("/accounts?status=disabled").has(t, http.StatusOK, "user01@example.org", "user02@example.org")
	b.follow(b.post("/accounts/selected", "do", "enable", "account", "user01@example.org")).has(t, http.StatusOK, "1 account is enabled again.")

	remove := "/accounts/selected?do=remove&account=" + boss + two
	b.get(remove).has(t, http.StatusOK, "Remove 2 accounts?", "2 messages (", "1 app password", "1 device that submits", "their limits", "1 recipient in the queue",
		"Aliases that lead to them", "team@example.org", "You are signed in with one of them", "type <code>remove 2</code>")
	b.post("/accounts/selected", "do", "remove", "account", "user01@example.org", "account", "user02@example.org", "typed", "remove 3").
		has(t, http.StatusUnprocessableEntity, "Nothing was removed", "Remove 2 accounts?")
	b.follow(b.post("/accounts/selected", "do", "remove", "account", boss, "account", "user01@example.org", "account", "user02@example.org", "typed", "Remove 2")).
		has(t, http.StatusOK, "2 accounts are removed, with all mail.")
	b.follow(b.get(remove)).has(t, http.StatusOK, "You are signed in with this account")
	b.follow(b.get("/accounts/selected?do=remove")).has(t, http.StatusOK, "Nothing was ticked")
	b.get("/accounts/selected?do=explode&account=user03@example.org").has(t, http.StatusNotFound)
	if accounts, err := s.admin.Accounts(ctx); err != nil || len(accounts) != 14 {
		t.Errorf("%d accounts are left, %v", len(accounts), err)
	}
}
