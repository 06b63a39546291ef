package admin_test

import (
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

func TestChangeAccount(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx, quota, negative, yes, no := t.Context(), int64(2_000_000), int64(-1), true, false
	name, lines := "Alice A.", "a\nb"
	got, err := f.ChangeAccount(ctx, admin.ChangeAccount{Address: "ALICE@example.org", Name: &name, Quota: &quota})
	f.must(err)
	if got.Name != name || got.Quota != quota || !got.Admin {
		t.Errorf("changed to %+v", got)
	}
	if shown, err := f.Account(ctx, "alice@example.org"); err != nil || shown != got {
		t.Errorf("it is shown as %+v, %v, want %+v", shown, err, got)
	}
	for _, test := range []struct {
		change admin.ChangeAccount
		kind   admin.Kind
		wraps  error
		says   string
	}{
		{admin.ChangeAccount{Address: "alice@example.org"}, admin.Invalid, nil, "Say what is to be different"},
		{admin.ChangeAccount{Address: "alice@example.org", Quota: &negative}, admin.Invalid, nil, "can't be negative"},
		{admin.ChangeAccount{Address: "alice@example.org", Name: &lines}, admin.Invalid, nil, "one line"},
		{admin.ChangeAccount{Address: "nobody@example.org", Admin: &no}, admin.NotFound, store.ErrNotFound, "There is no account nobody@example.org."},
		{admin.ChangeAccount{Address: "alice@example.org", Admin: &no}, admin.InUse, store.ErrLastAdmin, "Make somebody else one first."},
	} {
		_, err := f.ChangeAccount(ctx, test.change)
		f.fails(err, test.kind, test.wraps, test.says)
	}
	_, err = f.ChangeAccount(ctx, admin.ChangeAccount{Address: "bob@example.org", Admin: &yes})
	f.must(err)
	got, err = f.ChangeAccount(ctx, admin.ChangeAccount{Address: "alice@example.org", Admin: &no})
	if err != nil || got.Admin || got.Name != name {
		t.Errorf("changed to %+v, %v", got, err)
	}
}

func TestChangeRoute(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	_, err := f.AddRoute(ctx, admin.AddRoute{Domain: "a.example", Host: "one.example:587", User: "u", Password: "secret", From: "bob@example.org"})
	f.must(err)
	stored := func() store.Route {
		routes, err := f.store.Routes(ctx)
		f.must(err)
		return routes[0]
	}
	text := func(s string) *string { return &s }
	for _, test := range []struct {
		it     string
		change admin.ChangeRoute
		want   store.Route
	}{
		{"leads elsewhere", admin.ChangeRoute{Host: text("two.example")}, store.Route{Host: "two.example", Port: 25, TLS: store.TLSMust, User: "u", Password: "secret"}},
		{"keeps an empty password's", admin.ChangeRoute{User: text("u"), Password: text(""), TLS: text("may")}, store.Route{Host: "two.example", Port: 25, User: "u", Password: "secret"}},
		{"has a new password", admin.ChangeRoute{Password: text("other")}, store.Route{Host: "two.example", Port: 25, User: "u", Password: "other"}},
		{"has another user", admin.ChangeRoute{User: text("v"), Password: text("third")}, store.Route{Host: "two.example", Port: 25, User: "v", Password: "third"}},
		{"logs in no more", admin.ChangeRoute{User: text("")}, store.Route{Host: "two.example", Port: 25}},
		{"leads by MX", admin.ChangeRoute{Host: text("mx"), TLS: text("must")}, store.Route{TLS: store.TLSMust}},
	} {
		test.change.Domain = "a.example"
		_, err := f.ChangeRoute(ctx, test.change)
		f.must(err)
		got := stored()
		if got.Host != test.want.Host || got.Port != test.want.Port || got.TLS != test.want.TLS || got.User != test.want.User || got.Password != test.want.Password || got.For.Address != "bob@example.org" {
			t.Errorf("it %s: %+v", test.it, got)
		}
	}
	_, err = f.ChangeRoute(ctx, admin.ChangeRoute{Domain: "a.example", User: text("w")})
	f.fails(err, admin.Invalid, nil, "There is no password for the user w")
	_, err = f.ChangeRoute(ctx, admin.ChangeRoute{Domain: "b.example", Host: text("mx")})
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no route for b.example.")
	_, err = f.ChangeRoute(ctx, admin.ChangeRoute{Domain: "a.example", From: "example.org", Host: text("mx")})
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is one for a.example from bob@example.org")
}

func TestChangeTheRest(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	_, err := f.AddSource(ctx, admin.AddSource{IP: "192.0.2.1", Name: "one.example"})
	f.must(err)
	source, err := f.ChangeSource(ctx, admin.ChangeSource{IP: "192.0.2.1", Name: "two.example."})
	if err != nil || source.Name != "two.example" || !source.Created.Equal(f.now) {
		t.Errorf("the source is %+v, %v", source, err)
	}
	_, err = f.ChangeSource(ctx, admin.ChangeSource{IP: "192.0.2.1", For: "bob@example.org"})
	f.fails(err, admin.NotFound, store.ErrNotFound, "No mail from bob@example.org is told to leave from 192.0.2.1.")

	_, err = f.AddDevice(ctx, admin.AddDevice{Network: "192.0.2.7", Account: "alice@example.org"})
	f.must(err)
	device, err := f.MoveDevice(ctx, admin.MoveDevice{Network: "192.0.2.7", Account: "bob@example.org"})
	if err != nil || device.Account != "bob@example.org" {
		t.Errorf("the device is %+v, %v", device, err)
	}
	_, err = f.MoveDevice(ctx, admin.MoveDevice{Network: "192.0.2.7", Account: "nobody@example.org"})
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no account nobody@example.org.")
	_, err = f.MoveDevice(ctx, admin.MoveDevice{Network: "192.0.2.8", Account: "bob@example.org"})
	f.fails(err, admin.NotFound, store.ErrNotFound, "192.0.2.8 is not a device.")

	_, err = f.AddAccess(ctx, admin.AddAccess{Action: "block", What: "spam.example", Note: "spams"})
	f.must(err)
	note, span, never, nonsense := "no more", "2d", "", "soon"
	entry, err := f.ChangeAccess(ctx, admin.ChangeAccess{Action: "block", What: "@spam.example", Expires: &span})
	if err != nil || entry.Note != "spams" || !entry.Expires.Equal(f.now.Add(48*time.Hour)) {
		t.Errorf("the entry is %+v, %v", entry, err)
	}
	entry, err = f.ChangeAccess(ctx, admin.ChangeAccess{Action: "block", What: "spam.example", Note: &note, Expires: &never})
	if err != nil || entry.Note != note || !entry.Expires.IsZero() {
		t.Errorf("the entry is %+v, %v", entry, err)
	}
	_, err = f.ChangeAccess(ctx, admin.ChangeAccess{Action: "block", What: "spam.example"})
	f.fails(err, admin.Invalid, nil, "Say what is to be different")
	_, err = f.ChangeAccess(ctx, admin.ChangeAccess{Action: "block", What: "spam.example", Expires: &nonsense})
	f.fails(err, admin.Invalid, nil, "is not a length of time")
	_, err = f.ChangeAccess(ctx, admin.ChangeAccess{Action: "allow", What: "spam.example", Note: &note})
	f.fails(err, admin.NotFound, store.ErrNotFound, "not in the allow list but in the block list")
}
