package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// A ListStore is what the tests of long lists need of a backend.
type ListStore interface {
	ListAccounts(ctx context.Context, q store.ListQuery) (store.ListPart[store.Account], error)
	ListDomains(ctx context.Context, q store.ListQuery) (store.ListPart[store.DomainSize], error)
	ListAliases(ctx context.Context, q store.ListQuery) (store.ListPart[store.Alias], error)
	ListAccess(ctx context.Context, q store.ListQuery) (store.ListPart[store.AccessEntry], error)
	AddAlias(ctx context.Context, a store.Alias) error
	Alias(ctx context.Context, source mail.Address) (store.Alias, error)
	AliasesTo(ctx context.Context, address mail.Address) ([]store.Alias, error)
}

// RunLists runs the tests of long lists, which are part of Run.
func RunLists(t *testing.T, b Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"it lists accounts in parts", listsAccounts},
		{"it lists domains with how much they have", listsDomains},
		{"it lists aliases, and finds those that lead to an address", listsAliases},
		{"it lists the admin's own lists without what has ended", listsAccess},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFixture(t, b)) })
	}
}

// shows checks a part of a list, by the names of its rows.
func shows[T any](t *testing.T, it string, part store.ListPart[T], err error, name func(T) string, offset, matching int64, want ...string) {
	t.Helper()
	var got []string
	for _, row := range part.Rows {
		got = append(got, name(row))
	}
	if err != nil || !slices.Equal(got, want) || part.Offset != offset || part.Matching != matching {
		t.Errorf("%s: %q at %d of %d, %v; want %q at %d of %d", it, got, part.Offset, part.Matching, err, want, offset, matching)
	}
}

func listsAccounts(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.AddDomain(ctx, store.Domain{Name: "a.example", Created: f.now})
	f.must(err)
	for i, name := range []string{"Zoe 100%", "Yan", "x_y"} {
		_, err := f.AddAccount(ctx, store.Account{
			Address: address(fmt.Sprintf("user%d@a.example", i)), Name: name, Quota: int64(100 * (2 - i)), Admin: i == 1,
			Created: f.now.Add(time.Duration(i) * time.Hour),
		})
		f.must(err)
	}
	a := f.message("some mail, which has 83 octets or so with its fields in front, or is about as long as")
	a.Local = []store.LocalDelivery{{Account: f.alice, Recipient: address("alice@example.org")}}
	f.must(f.Accept(ctx, a))
	quota := int64(10)
	_, err = f.ChangeAccount(ctx, f.alice, store.AccountChange{Quota: &quota})
	f.must(err)
	f.must(f.SetStanding(ctx, f.bob, store.Disabled))
	all := []string{"user0@a.example", "user1@a.example", "user2@a.example", "alice@example.org", "bob@example.org", "carol@example.org"}
	for _, test := range []struct {
		it               string
		q                store.ListQuery
		offset, matching int64
		want             []string
	}{
		{"all", store.ListQuery{}, 0, 6, all},
		{"the first part", store.ListQuery{Limit: 2}, 0, 6, all[:2]},
		{"the next part", store.ListQuery{Limit: 2, Offset: 2}, 2, 6, all[2:4]},
		{"the last part for one behind it", store.ListQuery{Limit: 4, Offset: 400}, 4, 6, all[4:]},
		{"a text in an address", store.ListQuery{Text: "R1@A.ex"}, 0, 1, all[1:2]},
		{"a text in a name", store.ListQuery{Text: "zoe"}, 0, 1, all[:1]},
		{"a percent sign itself", store.ListQuery{Text: "%"}, 0, 1, all[:1]},
		{"a line itself", store.ListQuery{Text: "_"}, 0, 1, all[2:3]},
		{"nothing", store.ListQuery{Text: "nothing", Offset: 50, Limit: 10}, 0, 0, nil},
		{"by name, the last first", store.ListQuery{Sort: "name", Descending: true, Limit: 2}, 0, 6, []string{all[0], all[1]}},
		{"the youngest first", store.ListQuery{Sort: "created", Descending: true, Limit: 2}, 0, 6, []string{all[2], all[1]}},
		{"the fullest first", store.ListQuery{Sort: "full", Descending: true, Limit: 1}, 0, 6, all[3:4]},
		{"in its own order for a word that it doesn't know", store.ListQuery{Sort: "drop table", Limit: 1}, 0, 6, all[:1]},
		{"administrators", store.ListQuery{Status: store.ListAdmins}, 0, 1, all[1:2]},
		{"who is disabled", store.ListQuery{Status: store.ListDisabled}, 0, 1, all[4:5]},
		{"who is enabled, with a text", store.ListQuery{Status: store.ListEnabled, Text: "example.org"}, 0, 2, []string{all[3], all[5]}},
		{"who is full", store.ListQuery{Status: store.ListFull}, 0, 1, all[3:4]},
		{"who has never logged in", store.ListQuery{Status: store.ListUnused}, 0, 6, all},
	} {
		part, err := f.ListAccounts(ctx, test.q)
		shows(t, test.it, part, err, func(a store.Account) string { return a.Address.String() }, test.offset, test.matching, test.want...)
		if part.All != 6 {
			t.Errorf("%s: %d in all", test.it, part.All)
		}
	}
}

func listsDomains(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, d := range []store.Domain{{Name: "a.example", Created: f.now}, {Name: "b.example", Backup: true, Created: f.now}} {
		_, err := f.AddDomain(ctx, d)
		f.must(err)
	}
	f.must(f.AddAlias(ctx, store.Alias{Source: address("info@a.example"), Targets: []mail.Address{address("alice@example.org")}}))
	name := func(d store.DomainSize) string { return fmt.Sprintf("%s %d %d", d.Name, d.Accounts, d.Aliases) }
	part, err := f.ListDomains(ctx, store.ListQuery{Sort: "accounts", Descending: true})
	shows(t, "the largest first", part, err, name, 0, 3, "example.org 3 0", "a.example 0 1", "b.example 0 0")
	part, err = f.ListDomains(ctx, store.ListQuery{Sort: "use"})
	shows(t, "local ones first", part, err, name, 0, 3, "a.example 0 1", "example.org 3 0", "b.example 0 0")
	part, err = f.ListDomains(ctx, store.ListQuery{Text: "B.ex"})
	shows(t, "a text", part, err, name, 0, 1, "b.example 0 0")
	if len(part.Rows) == 1 && !part.Rows[0].Backup {
		t.Errorf("it is %+v", part.Rows[0])
	}
}

func listsAliases(t *testing.T, f *fixture) {
	ctx := t.Context()
	for source, targets := range map[string][]mail.Address{
		"team@example.org":  {address("bob@example.org"), address("Alice@example.org")},
		"help@example.org":  {address("far@far.test")},
		"sales@example.org": {address("alice@example.org")},
	} {
		f.must(f.AddAlias(ctx, store.Alias{Source: address(source), Targets: targets, Created: f.now}))
	}
	f.must(f.AddAlias(ctx, store.Alias{Source: mail.Address{Domain: "example.org"}, Targets: []mail.Address{address("carol@example.org")}}))
	name := func(a store.Alias) string { return a.Source.Local + "@" + a.Source.Domain }
	part, err := f.ListAliases(ctx, store.ListQuery{})
	shows(t, "all", part, err, name, 0, 4, "@example.org", "help@example.org", "sales@example.org", "team@example.org")
	if got := part.Rows[3].Targets; len(got) != 2 || got[0] != address("bob@example.org") || got[1] != address("Alice@example.org") {
		t.Errorf("an alias leads to %v", got)
	}
	part, err = f.ListAliases(ctx, store.ListQuery{Text: "FAR.test"})
	shows(t, "a text in a target", part, err, name, 0, 1, "help@example.org")
	found, err := f.AliasesTo(ctx, address("ALICE@example.org"))
	f.must(err)
	if len(found) != 2 || found[0].Source.Local != "sales" || found[1].Source.Local != "team" {
		t.Errorf("to alice lead %+v", found)
	}
	alias, err := f.Alias(ctx, address("Help@example.org"))
	if err != nil || len(alias.Targets) != 1 || !alias.Created.Equal(f.now) {
		t.Errorf("it is %+v, %v", alias, err)
	}
	if catchAll, err := f.Alias(ctx, mail.Address{Domain: "example.org"}); err != nil || catchAll.Targets[0] != address("carol@example.org") {
		t.Errorf("the catch-all is %+v, %v", catchAll, err)
	}
	if _, err := f.Alias(ctx, address("gone@example.org")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("one that isn't there: %v", err)
	}
}

func listsAccess(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, e := range []store.AccessEntry{
		{What: "spam.example", Action: store.Block, Note: "Too much"},
		{What: "eve@friends.example", Action: store.Allow},
		{What: "192.0.2.0/24", Action: store.Block, Expires: f.now.Add(time.Hour)},
		{What: "198.51.100.0/24", Action: store.Block, Expires: f.now.Add(time.Minute)},
	} {
		_, err := f.SetAccess(ctx, e)
		f.must(err)
	}
	f.now = f.now.Add(2 * time.Minute)
	what := func(e store.AccessEntry) string { return e.What }
	part, err := f.ListAccess(ctx, store.ListQuery{})
	shows(t, "all", part, err, what, 0, 3, "192.0.2.0/24", "spam.example", "eve@friends.example")
	part, err = f.ListAccess(ctx, store.ListQuery{Text: "too MUCH"})
	shows(t, "a text in a note", part, err, what, 0, 1, "spam.example")
	part, err = f.ListAccess(ctx, store.ListQuery{Text: "allowed"})
	shows(t, "what is allowed", part, err, what, 0, 1, "eve@friends.example")
	part, err = f.ListAccess(ctx, store.ListQuery{Sort: "until", Limit: 1, Offset: 1})
	shows(t, "the second that ends", part, err, what, 1, 3, "spam.example")
	if part.All != 3 {
		t.Errorf("%d in all", part.All)
	}
}
