package sqlite

import (
	"errors"
	"fmt"
	"testing"

	"postroom/store"
)

func (f *directoryFixture) forward(t testing.TB, keep bool, from string, to ...string) {
	t.Helper()
	forward := store.Forward{Keep: keep}
	for _, text := range to {
		forward.Targets = append(forward.Targets, address(t, text))
	}
	if err := f.SetForward(t.Context(), f.id(t, from), forward); err != nil {
		t.Fatal(err)
	}
}

func TestResolveForward(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	for _, local := range []string{"alice", "bob", "carol", "dave", "kept", "away", "both", "self", "lost", "half", "refused", "a", "b", "c", "list", "member", "via"} {
		f.account(t, store.Account{}, local+"@example.org")
	}
	f.account(t, store.Account{Admin: true}, "root@example.org")
	f.account(t, store.Account{Disabled: true}, "off@example.org")
	f.account(t, store.Account{Disabled: true, Refuse: true}, "gone@example.org")
	f.alias(t, "sales@example.org", "away@example.org", "bob@example.org")
	f.alias(t, "both-ways@example.org", "away@example.org", "x@far.test")
	f.alias(t, "team@example.org", "member@example.org", "bob@example.org")
	f.alias(t, "loop-list@example.org", "via@example.org")
	f.forward(t, true, "kept@example.org", "x@far.test")
	f.forward(t, false, "away@example.org", "x@far.test")
	f.forward(t, false, "both@example.org", "x@far.test", "bob@example.org")
	f.forward(t, false, "self@example.org", "self@example.org", "x@far.test")
	f.forward(t, false, "lost@example.org", "nobody@example.org")
	f.forward(t, false, "half@example.org", "nobody@example.org", "bob@example.org")
	f.forward(t, false, "refused@example.org", "gone@example.org")
	f.forward(t, false, "a@example.org", "b@example.org")
	f.forward(t, false, "b@example.org", "c@example.org")
	f.forward(t, false, "c@example.org", "a@example.org")
	f.forward(t, false, "member@example.org", "team@example.org")
	f.forward(t, false, "via@example.org", "loop-list@example.org")
	f.forward(t, false, "list@example.org", "sales@example.org", "kept@example.org")
	f.forward(t, false, "off@example.org", "x@far.test")
	f.forward(t, false, "root@example.org", "x@far.test")
	for _, test := range []struct{ it, address, want string }{
		{"keeps a copy and sends one on", "kept@example.org", "direct kept@example.org remote x@far.test"},
		{"sends on alone", "away@example.org", "remote x@far.test"},
		{"sends on under a tag", "away+tag@example.org", "remote x@far.test"},
		{"sends to several", "both@example.org", "remote x@far.test bob@example.org"},
		{"keeps what leads to the account itself", "self@example.org", "direct self@example.org remote x@far.test"},
		{"keeps what leads to nobody", "lost@example.org", "direct lost@example.org"},
		{"keeps nothing if one target is somebody's", "half@example.org", "bob@example.org"},
		{"keeps what leads to accounts that are refused", "refused@example.org", "direct refused@example.org"},
		{"ends a loop where it began", "a@example.org", "direct a@example.org"},
		{"ends it so from each of its accounts", "c@example.org", "direct c@example.org"},
		{"follows a forward behind an alias", "sales@example.org", "remote x@far.test bob@example.org"},
		{"follows alias and forward to one place once", "both-ways@example.org", "remote x@far.test"},
		{"keeps what a list brings back to its member", "member@example.org", "direct member@example.org bob@example.org"},
		{"keeps for the member what the list is addressed with", "team@example.org", "member@example.org bob@example.org"},
		{"keeps what a loop of alias and forward would turn round", "via@example.org", "direct via@example.org"},
		{"keeps it too if the alias was addressed", "loop-list@example.org", "via@example.org"},
		{"follows forwards one after the other", "list@example.org", "remote x@far.test bob@example.org kept@example.org"},
		{"forwards nothing of a disabled account", "off@example.org", "direct off@example.org"},
		{"forwards what a role gets", "postmaster@example.org", "remote x@far.test"},
	} {
		t.Run(test.it, func(t *testing.T) {
			for range 2 {
				if got := f.says(f.Resolve(t.Context(), address(t, test.address))); got != test.want {
					t.Errorf("%s: got %q, want %q", test.address, got, test.want)
				}
			}
		})
	}
	for _, test := range []struct {
		it, account, address string
		want                 bool
	}{
		{"allows the own address although mail for it goes on", "away@example.org", "away+x@example.org", true},
		{"allows an alias although its mail goes on", "away@example.org", "sales@example.org", true},
		{"gives no right to the target of a forward", "bob@example.org", "both@example.org", false},
		{"gives none through an alias either", "bob@example.org", "both-ways@example.org", false},
	} {
		t.Run(test.it, func(t *testing.T) {
			if got, err := f.MaySend(t.Context(), f.id(t, test.account), address(t, test.address)); err != nil || got != test.want {
				t.Errorf("%s as %s: got %v, %v", test.account, test.address, got, err)
			}
		})
	}
}

// However long a chain is, its mail arrives somewhere.
func TestResolveForwardDepth(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	const length = 3 * maxAliasDepth
	name := func(i int) string { return fmt.Sprintf("a%d@example.org", i) }
	for i := range length {
		f.account(t, store.Account{}, name(i))
	}
	for i := range length {
		f.forward(t, false, name(i), name((i+1)%length))
	}
	want := name(maxAliasDepth)
	if got := f.says(f.Resolve(t.Context(), address(t, name(0)))); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestForwardIsKeptAndEnds(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{Quota: 1000}, "alice@example.org")
	resolve := func() store.Resolution {
		t.Helper()
		r, err := f.Resolve(t.Context(), address(t, "alice@example.org"))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	f.usage.add(alice, 1500, 3)
	f.forward(t, false, "alice@example.org", "x@far.test")
	if r := resolve(); r.Room != store.Unlimited || r.Direct != 0 || len(r.Forwarders) != 1 || r.Forwarders[0] != alice {
		t.Errorf("without a copy the quota is judged: %+v", r)
	}
	f.forward(t, true, "alice@example.org", "x@far.test")
	if r := resolve(); r.Room != -500 || r.Direct != alice || len(r.Forwarders) != 0 {
		t.Errorf("with a copy the quota isn't judged: %+v", r)
	}
	if got, err := f.Forward(t.Context(), alice); err != nil || !got.Keep || len(got.Targets) != 1 || got.Targets[0] != address(t, "x@far.test") {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := f.SetForward(t.Context(), alice, store.Forward{}); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Forward(t.Context(), alice); err != nil || got.Keep || len(got.Targets) != 0 {
		t.Errorf("after its end: %+v, %v", got, err)
	}
	f.forward(t, true, "alice@example.org", "x@far.test", "Bob@example.org")
	if got, err := f.ForwardsTo(t.Context(), address(t, "bob@EXAMPLE.org")); err != nil || len(got) != 1 || got[0] != address(t, "alice@example.org") {
		t.Errorf("to bob go on %v, %v", got, err)
	}
	if got, err := f.ForwardsTo(t.Context(), address(t, "alice@example.org")); err != nil || len(got) != 0 {
		t.Errorf("to alice go on %v, %v", got, err)
	}
	if err := f.RemoveAccount(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	if err := f.SetForward(t.Context(), alice, store.Forward{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of a removed account: %v", err)
	}
}
