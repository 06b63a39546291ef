package storetest

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postroom/store"
)

// A WaysStore is what the tests of ways need of a backend.
type WaysStore interface {
	AddRoute(ctx context.Context, r store.Route) (store.Route, error)
	Routes(ctx context.Context) ([]store.Route, error)
	RemoveRoute(ctx context.Context, domain string, f store.For) error
	AddSource(ctx context.Context, s store.Source) error
	Sources(ctx context.Context) ([]store.Source, error)
	RemoveSource(ctx context.Context, ip netip.Addr, f store.For) error
	PauseDomain(ctx context.Context, domain string) error
	Ways(ctx context.Context) (store.Ways, error)
	Changes() store.QueueChanges
	BackupRecipients(ctx context.Context, domain string) ([]string, error)
	SetBackupRecipients(ctx context.Context, domain string, locals []string) error
	AddBackupRecipients(ctx context.Context, domain string, locals []string) error
	RemoveBackupRecipients(ctx context.Context, domain string, locals []string) error
	STSPolicy(ctx context.Context, domain string) (store.STSPolicy, error)
	KeepSTSPolicy(ctx context.Context, p store.STSPolicy) error
	ForgetSTSPolicy(ctx context.Context, domain string) error
	Secret(ctx context.Context, name string) ([]byte, error)
	RemoveDomain(ctx context.Context, name string) error
	RemoveAccount(ctx context.Context, id store.AccountID) error
}

// RunWays runs the tests of how mail leaves, which are part of Run.
func RunWays(t *testing.T, b Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"it keeps a route for each domain and sender", keepsRoutes},
		{"it keeps pools of addresses to send from", keepsSources},
		{"it takes an account's routes and sources away with it", removesWaysWithAccount},
		{"it gives all ways together", givesWays},
		{"it tells that ways have changed", tellsOfWays},
		{"it keeps whom a backup domain has", keepsRecipients},
		{"it keeps no recipients for other domains", refusesRecipients},
		{"it keeps MTA-STS policies", keepsPolicies},
		{"it makes a secret once", keepsSecrets},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFixture(t, b)) })
	}
}

// is checks that an error is a certain one.
func (f *fixture) is(err, want error) {
	f.t.Helper()
	if !errors.Is(err, want) {
		f.t.Errorf("got %v, want %v", err, want)
	}
}

func (f *fixture) same(what string, got, want any) {
	f.t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		f.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// whose is a For of each kind, the narrowest first.
func (f *fixture) whose() []store.For {
	return []store.For{{Account: f.alice, Address: "alice@example.org"}, {Domain: "example.org"}, {}}
}

func keepsRoutes(t *testing.T, f *fixture) {
	ctx := t.Context()
	var want []store.Route
	for i, domain := range []string{store.AnyDomain, "elsewhere.example"} {
		for j, whose := range f.whose() {
			r, err := f.AddRoute(ctx, store.Route{
				Domain: domain, For: whose, Host: "relay.example", Port: 25 + i, TLS: store.TLSPolicy(j), User: "u", Password: "p",
				Created: f.now,
			})
			f.must(err)
			want = append(want, r)
			_, err = f.AddRoute(ctx, store.Route{Domain: domain, For: whose})
			f.is(err, store.ErrConflict)
		}
	}
	_, err := f.AddRoute(ctx, store.Route{Domain: "x.example", For: store.For{Account: 1 << 40}})
	f.is(err, store.ErrNotFound)
	f.reopen()
	routes := func() []store.Route {
		t.Helper()
		got, err := f.Routes(ctx)
		f.must(err)
		for i := range got {
			got[i].Created = got[i].Created.UTC()
		}
		return got
	}
	f.same("routes", routes(), want)
	f.must(f.RemoveRoute(ctx, "elsewhere.example", store.For{Domain: "example.org"}))
	f.is(f.RemoveRoute(ctx, "elsewhere.example", store.For{Domain: "example.org"}), store.ErrNotFound)
	f.must(f.RemoveRoute(ctx, store.AnyDomain, store.For{Account: f.alice}))
	f.must(f.RemoveRoute(ctx, store.AnyDomain, store.For{}))
	f.same("routes that are left", routes(), []store.Route{want[1], want[3], want[5]})
}

func keepsSources(t *testing.T, f *fixture) {
	ctx := t.Context()
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	var want []store.Source
	for _, whose := range f.whose() {
		for _, ip := range []netip.Addr{four, six} {
			s := store.Source{IP: ip, Name: "out.example.org", For: whose, Created: f.now}
			f.must(f.AddSource(ctx, s))
			f.is(f.AddSource(ctx, store.Source{IP: ip, For: whose}), store.ErrConflict)
			want = append(want, s)
		}
	}
	f.is(f.AddSource(ctx, store.Source{IP: four, For: store.For{Account: 1 << 40}}), store.ErrNotFound)
	f.reopen()
	f.must(f.RemoveSource(ctx, six, store.For{Account: f.alice}))
	f.must(f.RemoveSource(ctx, four, store.For{}))
	f.is(f.RemoveSource(ctx, four, store.For{}), store.ErrNotFound)
	got, err := f.Sources(ctx)
	f.must(err)
	for i := range got {
		got[i].Created = got[i].Created.UTC()
	}
	f.same("sources", got, []store.Source{want[0], want[2], want[3], want[5]})
}

func removesWaysWithAccount(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, whose := range []store.For{{Account: f.alice}, {Account: f.bob}} {
		_, err := f.AddRoute(ctx, store.Route{Domain: store.AnyDomain, For: whose})
		f.must(err)
		f.must(f.AddSource(ctx, store.Source{IP: netip.MustParseAddr("192.0.2.1"), For: whose}))
	}
	f.Changes()
	f.must(f.RemoveAccount(ctx, f.alice))
	if !f.Changes().Ways {
		t.Error("nobody is told that ways went with the account")
	}
	w, err := f.Ways(ctx)
	f.must(err)
	if len(w.Routes) != 1 || w.Routes[0].For.Account != f.bob || len(w.Sources) != 1 || w.Sources[0].For.Account != f.bob {
		t.Errorf("ways are %+v, want bob's", w)
	}
}

func givesWays(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.same("ways at first", must(f.Ways(ctx))(f), store.Ways{})
	_, err := f.AddRoute(ctx, store.Route{Domain: "x.example", Host: "relay.example", Port: 25})
	f.must(err)
	f.must(f.AddSource(ctx, store.Source{IP: netip.MustParseAddr("192.0.2.1")}))
	_, err = f.AddDomain(ctx, store.Domain{Name: "backup.example", Backup: true})
	f.must(err)
	f.must(f.PauseDomain(ctx, "y.example"))
	w := must(f.Ways(ctx))(f)
	if len(w.Routes) != 1 || len(w.Sources) != 1 || len(w.Paused) != 1 ||
		w.Paused[0].Domain != "y.example" || !w.Paused[0].Since.Equal(f.now) ||
		!slices.Equal(w.Backup, []string{"backup.example"}) {
		t.Errorf("ways are %+v", w)
	}
}

// must returns a value whose error ends the test.
func must[T any](value T, err error) func(*fixture) T {
	return func(f *fixture) T {
		f.t.Helper()
		f.must(err)
		return value
	}
}

func tellsOfWays(t *testing.T, f *fixture) {
	ctx, ip := t.Context(), netip.MustParseAddr("192.0.2.1")
	for _, step := range []struct {
		name   string
		change func() error
	}{
		{"a route", func() error { _, err := f.AddRoute(ctx, store.Route{Domain: "x.example"}); return err }},
		{"a removed route", func() error { return f.RemoveRoute(ctx, "x.example", store.For{}) }},
		{"a source", func() error { return f.AddSource(ctx, store.Source{IP: ip}) }},
		{"a removed source", func() error { return f.RemoveSource(ctx, ip, store.For{}) }},
		{"a backup domain", func() error {
			_, err := f.AddDomain(ctx, store.Domain{Name: "backup.example", Backup: true})
			return err
		}},
		{"a removed domain", func() error { return f.RemoveDomain(ctx, "backup.example") }},
	} {
		f.Changes()
		select {
		case <-f.QueueChanged():
		default:
		}
		f.must(step.change())
		select {
		case <-f.QueueChanged():
		case <-time.After(10 * time.Second):
			t.Errorf("%s: QueueChanged isn't signalled", step.name)
		}
		if !f.Changes().Ways {
			t.Errorf("%s: Changes doesn't tell of it", step.name)
		}
		if f.Changes().Ways {
			t.Errorf("%s: Changes tells of it twice", step.name)
		}
	}
}

func keepsRecipients(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.AddDomain(ctx, store.Domain{Name: "backup.example", Backup: true})
	f.must(err)
	expect := func(when string, want []string) {
		t.Helper()
		f.same(when, must(f.BackupRecipients(ctx, "backup.example"))(f), want)
	}
	expect("at first", nil)
	f.must(f.AddBackupRecipients(ctx, "backup.example", []string{"Bob", "alice", "bob"}))
	expect("added", []string{"alice", "bob"})
	f.must(f.AddBackupRecipients(ctx, "backup.example", []string{"alice", "carol"}))
	f.is(f.RemoveBackupRecipients(ctx, "backup.example", []string{"alice", "dave"}), store.ErrNotFound)
	expect("after a failure", []string{"alice", "bob", "carol"})
	f.must(f.RemoveBackupRecipients(ctx, "backup.example", []string{"ALICE", "bob"}))
	f.reopen()
	expect("removed", []string{"carol"})
	f.must(f.SetBackupRecipients(ctx, "backup.example", []string{"Dave"}))
	expect("replaced", []string{"dave"})
	f.must(f.SetBackupRecipients(ctx, "backup.example", []string{}))
	expect("with an empty list", []string{})
	f.must(f.AddBackupRecipients(ctx, "backup.example", []string{"alice"}))
	f.must(f.SetBackupRecipients(ctx, "backup.example", nil))
	expect("without a list", nil)
	f.must(f.AddBackupRecipients(ctx, "backup.example", []string{"bob"}))
	expect("with a new list", []string{"bob"})
	f.must(f.RemoveDomain(ctx, "backup.example"))
	_, err = f.BackupRecipients(ctx, "backup.example")
	f.is(err, store.ErrNotFound)
}

func refusesRecipients(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, name := range []string{"example.org", "nowhere.example"} {
		f.is(f.SetBackupRecipients(ctx, name, nil), store.ErrNotFound)
		f.is(f.AddBackupRecipients(ctx, name, []string{"alice"}), store.ErrNotFound)
		f.is(f.RemoveBackupRecipients(ctx, name, nil), store.ErrNotFound)
		_, err := f.BackupRecipients(ctx, name)
		f.is(err, store.ErrNotFound)
	}
}

func keepsPolicies(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.STSPolicy(ctx, "x.example")
	f.is(err, store.ErrNotFound)
	old := store.STSPolicy{Domain: "x.example", ID: "1", Mode: "testing", MX: []string{"a.example", "*.b.example"}, Fetched: f.now, Expires: f.now.Add(time.Hour)}
	f.must(f.KeepSTSPolicy(ctx, old))
	f.must(f.KeepSTSPolicy(ctx, store.STSPolicy{Domain: "y.example", ID: "1", Mode: "none", Fetched: f.now, Expires: f.now}))
	kept := old
	kept.ID, kept.Mode, kept.MX = "2", "enforce", []string{"c.example"}
	f.must(f.KeepSTSPolicy(ctx, kept))
	f.reopen()
	got := must(f.STSPolicy(ctx, "x.example"))(f)
	got.Fetched, got.Expires = got.Fetched.UTC(), got.Expires.UTC()
	f.same("policy", got, kept)
	for range 2 {
		f.must(f.ForgetSTSPolicy(ctx, "x.example"))
	}
	_, err = f.STSPolicy(ctx, "x.example")
	f.is(err, store.ErrNotFound)
	if got := must(f.STSPolicy(ctx, "y.example"))(f); got.Mode != "none" {
		t.Errorf("the other policy is %+v", got)
	}
}

func keepsSecrets(t *testing.T, f *fixture) {
	ctx := t.Context()
	one := must(f.Secret(ctx, "one"))(f)
	if len(one) != 32 || bytes.Equal(one, make([]byte, 32)) {
		t.Errorf("the secret is %x, want 32 random octets", one)
	}
	other := must(f.Secret(ctx, "other"))(f)
	f.reopen()
	again := must(f.Secret(ctx, "one"))(f)
	if !bytes.Equal(one, again) || bytes.Equal(one, other) {
		t.Errorf("one is %x, then %x; the other is %x", one, again, other)
	}
}
