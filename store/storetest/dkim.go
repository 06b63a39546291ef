package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postroom/store"
)

// A DKIMStore is what the tests of keys need of a backend.
type DKIMStore interface {
	AddDKIMKeys(ctx context.Context, keys ...store.DKIMKey) error
	DKIMKeys(ctx context.Context, domain string) ([]store.DKIMKey, error)
	StartDKIMKey(ctx context.Context, domain, selector string, at time.Time) error
	RemoveDKIMKey(ctx context.Context, domain, selector string) error
	SigningKeys(ctx context.Context, domain string) (string, []store.DKIMKey, error)
}

// RunDKIM runs the tests of keys that sign, which are part of Run.
func RunDKIM(t *testing.T, b Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"it keeps keys, over a restart too", keepsDKIMKeys},
		{"it takes no key twice, and none for a strange domain", refusesDKIMKeys},
		{"it lets a key take over from those of its algorithm", startsDKIMKey},
		{"it knows at once who signs for a domain and for those below it", findsSigningKeys},
		{"it removes the keys with their domain", removesDKIMKeys},
		{"it knows what it has written itself", knowsOwnMail},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFixture(t, b)) })
	}
}

// dkimKey is a key of the fixture's domain.
func (f *fixture) dkimKey(selector, algorithm string, since time.Time) store.DKIMKey {
	return store.DKIMKey{
		Domain: "example.org", Selector: selector, Algorithm: algorithm, Private: []byte(selector),
		Created: f.now, Since: since,
	}
}

func (f *fixture) addDKIMKeys(keys ...store.DKIMKey) {
	f.t.Helper()
	if err := f.AddDKIMKeys(f.t.Context(), keys...); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) wantDKIMKeys(domain string, want ...store.DKIMKey) {
	f.t.Helper()
	got, err := f.DKIMKeys(f.t.Context(), domain)
	if err != nil {
		f.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.DKIMKey{}, "ID"), cmpopts.EquateEmpty()); diff != "" {
		f.t.Errorf("keys of %q (-want +got):\n%s", domain, diff)
	}
}

func keepsDKIMKeys(t *testing.T, f *fixture) {
	rsa, next := f.dkimKey("a", "rsa", f.now), f.dkimKey("b", "ed25519", time.Time{})
	f.addDKIMKeys(rsa, next)
	f.reopen()
	f.wantDKIMKeys("", rsa, next)
	f.wantDKIMKeys("example.org", rsa, next)
	f.wantDKIMKeys("example.net")
	if err := f.RemoveDKIMKey(t.Context(), "example.org", "a"); err != nil {
		t.Fatal(err)
	}
	f.wantDKIMKeys("", next)
	if err := f.RemoveDKIMKey(t.Context(), "example.org", "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removing it again: %v, want ErrNotFound", err)
	}
}

func refusesDKIMKeys(t *testing.T, f *fixture) {
	if _, err := f.AddDomain(t.Context(), store.Domain{Name: "held.example", Backup: true}); err != nil {
		t.Fatal(err)
	}
	f.addDKIMKeys(f.dkimKey("a", "rsa", f.now))
	fresh, strange, held := f.dkimKey("b", "rsa", f.now), f.dkimKey("c", "rsa", f.now), f.dkimKey("c", "rsa", f.now)
	strange.Domain, held.Domain = "example.net", "held.example"
	for name, test := range map[string]struct {
		key  store.DKIMKey
		want error
	}{
		"a selector that is taken":   {f.dkimKey("a", "ed25519", f.now), store.ErrConflict},
		"a domain that isn't here":   {strange, store.ErrNotFound},
		"a domain that we only hold": {held, store.ErrNotFound},
	} {
		if err := f.AddDKIMKeys(t.Context(), fresh, test.key); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	f.wantDKIMKeys("", f.dkimKey("a", "rsa", f.now)) // all or none
}

func startsDKIMKey(t *testing.T, f *fixture) {
	before, later := f.now.Add(-time.Hour), f.now.Add(time.Hour)
	gone, old, other := f.dkimKey("gone", "rsa", before), f.dkimKey("old", "rsa", before), f.dkimKey("other", "ed25519", before)
	gone.Until = f.now
	next, waiting := f.dkimKey("next", "rsa", time.Time{}), f.dkimKey("waiting", "rsa", time.Time{})
	f.addDKIMKeys(gone, old, other, next, waiting)
	if err := f.StartDKIMKey(t.Context(), "example.org", "next", later); err != nil {
		t.Fatal(err)
	}
	next.Since, old.Until = later, later
	f.wantDKIMKeys("example.org", gone, old, other, next, waiting)
	if err := f.StartDKIMKey(t.Context(), "example.org", "missing", later); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a key that isn't there: %v, want ErrNotFound", err)
	}
	f.wantDKIMKeys("example.org", gone, old, other, next, waiting)
}

func findsSigningKeys(t *testing.T, f *fixture) {
	want := func(domain, owner string, selectors ...string) {
		t.Helper()
		got, keys, err := f.SigningKeys(t.Context(), domain)
		var names []string
		for _, k := range keys {
			names = append(names, k.Selector)
		}
		if owner == "" {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %q, %v, want ErrNotFound", domain, got, err)
			}
		} else if err != nil || got != owner || !slices.Equal(names, selectors) {
			t.Errorf("%s: %s signs with %v (%v), want %s with %v", domain, got, names, err, owner, selectors)
		}
	}
	want("example.org", "example.org")
	want("mail.example.org", "example.org")
	want("org", "")
	want("notexample.org", "")
	f.addDKIMKeys(f.dkimKey("a", "rsa", f.now))
	want("example.org", "example.org", "a")
	want("a.b.example.org", "example.org", "a")
	if _, err := f.AddDomain(t.Context(), store.Domain{Name: "b.example.org"}); err != nil {
		t.Fatal(err)
	}
	want("a.b.example.org", "b.example.org")
	if err := f.RemoveDomain(t.Context(), "b.example.org"); err != nil {
		t.Fatal(err)
	}
	want("a.b.example.org", "example.org", "a")
	if _, err := f.AddDomain(t.Context(), store.Domain{Name: "c.example.org", Backup: true}); err != nil {
		t.Fatal(err)
	}
	want("c.example.org", "example.org", "a")
	if err := f.RemoveDKIMKey(t.Context(), "example.org", "a"); err != nil {
		t.Fatal(err)
	}
	want("example.org", "example.org")
}

func removesDKIMKeys(t *testing.T, f *fixture) {
	if _, err := f.AddDomain(t.Context(), store.Domain{Name: "example.net"}); err != nil {
		t.Fatal(err)
	}
	key := f.dkimKey("a", "rsa", f.now)
	key.Domain = "example.net"
	f.addDKIMKeys(key)
	if err := f.RemoveDomain(t.Context(), "example.net"); err != nil {
		t.Fatal(err)
	}
	f.wantDKIMKeys("")
}

func knowsOwnMail(t *testing.T, f *fixture) {
	for _, origin := range []store.Origin{store.FromServer, store.FromUs} {
		a := outbound(f.message("Subject: x\r\n\r\n"), "far@example.com")
		a.Origin = origin
		f.accept(a)
		for _, items := range [][]store.QueueItem{f.queue(), f.claim()} {
			if len(items) != 1 || items[0].Ours != (origin == store.FromUs) {
				t.Errorf("a message of origin %d is %+v", origin, items)
			}
		}
		f.settle(outcome(f.queue()[0], store.Sent))
	}
}
