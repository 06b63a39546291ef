package storetest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"postroom/store"
)

// A ChangeStore is what the tests of changes need of a backend.
type ChangeStore interface {
	ChangeAccount(ctx context.Context, id store.AccountID, change store.AccountChange) (before store.Account, err error)
	ChangeRoute(ctx context.Context, r store.Route) (before store.Route, err error)
	ChangeSource(ctx context.Context, s store.Source) (before store.Source, err error)
	ChangeAccess(ctx context.Context, what string, action store.AccessAction, change store.AccessChange) (before store.AccessEntry, err error)
	MoveDevice(ctx context.Context, network netip.Prefix, account store.AccountID) (before store.Device, err error)
}

// RunChanges runs the tests of what is changed in place, which are part of Run.
func RunChanges(t *testing.T, b Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"it changes an account", changesAccount},
		{"it keeps the last administrator who can sign in", keepsLastAdmin},
		{"it changes a route and a source where they are", changesWays},
		{"it changes an entry of the lists", changesAccess},
		{"it moves a device to another account", movesDevice},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFixture(t, b)) })
	}
}

func changesAccount(t *testing.T, f *fixture) {
	ctx := t.Context()
	name, quota, admin := "Alice A.", int64(5000), true
	before, err := f.ChangeAccount(ctx, f.alice, store.AccountChange{Name: &name, Quota: &quota, Admin: &admin})
	f.must(err)
	if before.ID != f.alice || before.Name != "" || before.Quota != 0 || before.Admin {
		t.Errorf("before: %+v", before)
	}
	less := int64(10)
	_, err = f.ChangeAccount(ctx, f.alice, store.AccountChange{Quota: &less})
	f.must(err)
	f.reopen()
	after, err := f.Account(ctx, f.alice)
	f.must(err)
	if after.Name != name || after.Quota != less || !after.Admin || after.Address != before.Address {
		t.Errorf("after: %+v", after)
	}
	_, err = f.ChangeAccount(ctx, 12345, store.AccountChange{Name: &name})
	f.is(err, store.ErrNotFound)
}

func keepsLastAdmin(t *testing.T, f *fixture) {
	ctx, yes, no := t.Context(), true, false
	set := func(id store.AccountID, admin *bool) error {
		_, err := f.ChangeAccount(ctx, id, store.AccountChange{Admin: admin})
		return err
	}
	f.must(set(f.bob, &no)) // who is none
	f.must(set(f.alice, &yes))
	f.is(set(f.alice, &no), store.ErrLastAdmin)
	f.must(set(f.bob, &yes))
	f.must(f.SetStanding(ctx, f.bob, store.Disabled))
	f.is(set(f.alice, &no), store.ErrLastAdmin) // bob can't sign in
	f.must(f.SetStanding(ctx, f.bob, store.Enabled))
	f.must(set(f.alice, &no))
	f.is(set(f.bob, &no), store.ErrLastAdmin)
	if a, err := f.Account(ctx, f.bob); err != nil || !a.Admin {
		t.Errorf("the last administrator is %+v, %v", a, err)
	}
}

func changesWays(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, whose := range f.whose() {
		route := store.Route{Domain: "far.test", For: whose, Host: "one.test", Port: 25, Created: f.now}
		added, err := f.AddRoute(ctx, route)
		f.must(err)
		next := store.Route{Domain: "far.test", For: whose, Host: "two.test", Port: 587, TLS: store.TLSMust, User: "u", Password: "p"}
		before, err := f.ChangeRoute(ctx, next)
		f.must(err)
		f.same("the route before", before, added)
		source := store.Source{IP: netip.MustParseAddr("192.0.2.1"), For: whose, Name: "one.test", Created: f.now}
		f.must(f.AddSource(ctx, source))
		was, err := f.ChangeSource(ctx, store.Source{IP: source.IP, For: whose, Name: "two.test"})
		f.must(err)
		f.same("the source before", was, source)
	}
	f.Changes()
	_, err := f.ChangeSource(ctx, store.Source{IP: netip.MustParseAddr("192.0.2.1"), Name: "three.test"})
	f.must(err)
	if !f.Changes().Ways {
		t.Error("nobody is told that the ways have changed")
	}
	f.reopen()
	ways, err := f.Ways(ctx)
	f.must(err)
	for _, r := range ways.Routes {
		if r.Host != "two.test" || r.Port != 587 || r.TLS != store.TLSMust || r.User != "u" || r.Password != "p" || !r.Created.Equal(f.now) {
			t.Errorf("a route is %+v", r)
		}
	}
	for _, s := range ways.Sources {
		if want := map[bool]string{true: "three.test", false: "two.test"}[s.For == store.For{}]; s.Name != want {
			t.Errorf("a source is %+v", s)
		}
	}
	_, err = f.ChangeRoute(ctx, store.Route{Domain: "near.test", Host: "x.test", Port: 25})
	f.is(err, store.ErrNotFound)
	_, err = f.ChangeSource(ctx, store.Source{IP: netip.MustParseAddr("192.0.2.2"), Name: "x.test"})
	f.is(err, store.ErrNotFound)
}

func changesAccess(t *testing.T, f *fixture) {
	ctx := t.Context()
	entry := store.AccessEntry{What: "192.0.2.0/24", Action: store.Block, Note: "guesses", Created: f.now, Expires: f.now.Add(time.Hour)}
	_, err := f.SetAccess(ctx, entry)
	f.must(err)
	note, never := "spams", time.Time{}
	before, err := f.ChangeAccess(ctx, entry.What, store.Block, store.AccessChange{Note: &note})
	f.must(err)
	if !sameAccess(before, entry) {
		t.Errorf("before: %+v", before)
	}
	_, err = f.ChangeAccess(ctx, entry.What, store.Block, store.AccessChange{Expires: &never})
	f.must(err)
	entry.Note, entry.Expires = note, never
	f.now = f.now.Add(2 * time.Hour)
	if f.listed("192.0.2.1") != store.Block {
		t.Error("what never ends has ended")
	}
	list, err := f.AccessEntries(ctx)
	f.must(err)
	if len(list) != 1 || !sameAccess(list[0], entry) {
		t.Errorf("the list is %+v", list)
	}
	_, err = f.ChangeAccess(ctx, entry.What, store.Allow, store.AccessChange{Note: &note})
	f.is(err, store.ErrNotFound)
	_, err = f.ChangeAccess(ctx, "198.51.100.0/24", store.Block, store.AccessChange{Note: &note})
	f.is(err, store.ErrNotFound)
}

func movesDevice(t *testing.T, f *fixture) {
	ctx, network := t.Context(), netip.MustParsePrefix("192.0.2.7/32")
	f.must(f.AddDevice(ctx, store.Device{Network: network, Account: f.alice, Created: f.now}))
	before, err := f.MoveDevice(ctx, network, f.bob)
	f.must(err)
	if before.Account != f.alice || !before.Created.Equal(f.now) {
		t.Errorf("before: %+v", before)
	}
	a := f.submitted(f.alice, "a@far.test")
	a.Device = netip.MustParseAddr("192.0.2.7")
	f.is(f.Accept(ctx, a), store.ErrNoDevice) // an open session
	f.reopen()
	if d, err := f.DeviceOf(ctx, network.Addr()); err != nil || d.Account != f.bob || !d.Created.Equal(f.now) {
		t.Errorf("it is a device of %+v, %v", d, err)
	}
	_, err = f.MoveDevice(ctx, network, 12345)
	f.is(err, store.ErrNotFound)
	_, err = f.MoveDevice(ctx, netip.MustParsePrefix("192.0.2.8/32"), f.bob)
	f.is(err, store.ErrNotFound)
}
