package sqlite

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"postroom/store"
	"postroom/store/mail"
)

// A directoryFixture is a small directory and the names of what is in it.
type directoryFixture struct {
	*Store
	accounts map[store.AccountID]string
}

func address(t testing.TB, text string) mail.Address {
	t.Helper()
	if strings.HasPrefix(text, "@") {
		return mail.Address{Domain: text[1:]}
	}
	if text == "postmaster" {
		return mail.Address{Local: text}
	}
	a, err := mail.ParseAddress(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return a
}

func (f *directoryFixture) domain(t testing.TB, name string, backup bool) {
	t.Helper()
	if _, err := f.AddDomain(t.Context(), store.Domain{Name: name, Backup: backup}); err != nil {
		t.Fatal(err)
	}
}

// recipients adds a backup domain with a list of recipients.
func (f *directoryFixture) recipients(t testing.TB, name string, locals ...string) {
	t.Helper()
	f.domain(t, name, true)
	if err := f.SetBackupRecipients(t.Context(), name, append([]string{}, locals...)); err != nil {
		t.Fatal(err)
	}
}

func (f *directoryFixture) account(t testing.TB, a store.Account, text string) store.AccountID {
	t.Helper()
	a.Address = address(t, text)
	added, err := f.AddAccount(t.Context(), a)
	if err != nil {
		t.Fatalf("add %s: %v", text, err)
	}
	f.accounts[added.ID] = text
	return added.ID
}

func (f *directoryFixture) alias(t testing.TB, source string, targets ...string) {
	t.Helper()
	a := store.Alias{Source: address(t, source)}
	for _, text := range targets {
		a.Targets = append(a.Targets, address(t, text))
	}
	if err := f.AddAlias(t.Context(), a); err != nil {
		t.Fatalf("add alias %s: %v", source, err)
	}
}

func (f *directoryFixture) id(t testing.TB, text string) store.AccountID {
	t.Helper()
	a, err := f.AccountByAddress(t.Context(), address(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

// says puts an answer of Resolve into words.
func (f *directoryFixture) says(r store.Resolution, err error) string {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "nobody"
	case errors.Is(err, store.ErrRefused):
		return "refused"
	case err != nil:
		return err.Error()
	}
	var words []string
	switch {
	case !r.Ours:
		words = append(words, "not ours:")
	case r.Backup:
		words = append(words, "held:")
	}
	for _, d := range r.Destinations {
		switch {
		case d.Account == 0:
			words = append(words, "remote "+d.Remote.String())
		case d.Account == r.Direct:
			words = append(words, "direct "+f.accounts[d.Account])
		default:
			words = append(words, f.accounts[d.Account])
		}
	}
	return strings.Join(words, " ")
}

func newDirectory(t testing.TB) *directoryFixture {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &directoryFixture{Store: s, accounts: make(map[store.AccountID]string)}
}

// fillDirectory adds what the tables below speak of.
func fillDirectory(t testing.TB, f *directoryFixture) {
	t.Helper()
	f.domain(t, "example.org", false)
	f.domain(t, "example.net", false)
	f.domain(t, "backup.example", true)
	f.recipients(t, "listed.example", "User")
	f.recipients(t, "empty.example")
	for _, local := range []string{"alice", "bob", "carol", "bob+work"} {
		f.account(t, store.Account{}, local+"@example.org")
	}
	f.account(t, store.Account{Admin: true}, "root@example.org")
	f.account(t, store.Account{Admin: true}, "root2@example.org")
	f.account(t, store.Account{Admin: true, Disabled: true}, "oldroot@example.org")
	f.account(t, store.Account{Disabled: true}, "away@example.org")
	f.account(t, store.Account{Disabled: true, Refuse: true}, "gone@example.org")
	f.account(t, store.Account{Disabled: true, Refuse: true}, "abuse@example.net")
	f.account(t, store.Account{}, "dave@example.net")
	f.alias(t, "sales@example.org", "bob@example.org", "carol@example.org", "ext@elsewhere.example")
	f.alias(t, "team@example.org", "sales@example.org", "alice+team@example.org", "bob@example.org")
	f.alias(t, "alice+list@example.org", "bob@example.org")
	f.alias(t, "some@example.org", "gone@example.org", "alice@example.org")
	f.alias(t, "none@example.org", "gone@example.org")
	f.alias(t, "dangling@example.org", "nobody@example.org")
	f.alias(t, "held@example.org", "user@backup.example")
	f.alias(t, "unlisted@example.org", "other@listed.example")
	f.alias(t, "boss@example.org", "postmaster@example.org")
	f.alias(t, "@example.net", "dave@example.net")
	f.alias(t, "viacatchall@example.org", "whoever@example.net")
}

func TestResolve(t *testing.T) {
	f := newDirectory(t)
	fillDirectory(t, f)
	for _, test := range []struct{ it, address, want string }{
		{"finds an account", "alice@example.org", "direct alice@example.org"},
		{"folds case", "ALICE@Example.ORG", "direct alice@example.org"},
		{"puts a tag aside", "alice+shop@example.org", "direct alice@example.org"},
		{"takes a quoted local part", `"alice"@example.org`, "direct alice@example.org"},
		{"prefers an account that has the tag", "bob+work@example.org", "direct bob+work@example.org"},
		{"prefers an alias that has the tag", "alice+list@example.org", "bob@example.org"},
		{"follows an alias", "sales@example.org", "bob@example.org carol@example.org remote ext@elsewhere.example"},
		{"follows an alias under a tag", "sales+x@example.org", "bob@example.org carol@example.org remote ext@elsewhere.example"},
		{"follows a chain, each once", "team@example.org", "bob@example.org carol@example.org remote ext@elsewhere.example alice@example.org"},
		{"leaves out an account that is refused", "some@example.org", "alice@example.org"},
		{"refuses what leads to refused accounts alone", "none@example.org", "refused"},
		{"refuses a disabled account's mail if asked to", "gone@example.org", "refused"},
		{"takes a disabled account's mail otherwise", "away@example.org", "direct away@example.org"},
		{"finds nobody behind a dangling alias", "dangling@example.org", "nobody"},
		{"finds nobody", "nobody@example.org", "nobody"},
		{"doesn't take an empty local part for a catch-all", `""@example.org`, "nobody"},
		{"gives the rest to the catch-all", "whoever@example.net", "dave@example.net"},
		{"prefers an account to the catch-all", "dave@example.net", "direct dave@example.net"},
		{"follows an alias through a catch-all", "viacatchall@example.org", "dave@example.net"},
		{"gives postmaster to the enabled admins", "postmaster@example.org", "root@example.org root2@example.org"},
		{"gives Abuse to them too", "Abuse@example.org", "root@example.org root2@example.org"},
		{"gives a role to them before the catch-all", "postmaster@example.net", "root@example.org root2@example.org"},
		{"gives a role to them if its account is refused", "abuse@example.net", "root@example.org root2@example.org"},
		{"gives postmaster alone to them", "postmaster", "root@example.org root2@example.org"},
		{"follows an alias to a role", "boss@example.org", "root@example.org root2@example.org"},
		{"doesn't know other domains", "Someone@elsewhere.example", "not ours: remote Someone@elsewhere.example"},
		{"hands on what a backup domain gets", "Any.One@backup.example", "held: remote Any.One@backup.example"},
		{"follows an alias into a backup domain", "held@example.org", "remote user@backup.example"},
		{"takes whom a backup domain is known to have", "User@listed.example", "held: remote User@listed.example"},
		{"takes nobody else of it", "other@listed.example", "nobody"},
		{"puts no tag aside there", "user+tag@listed.example", "nobody"},
		{"takes its postmaster", "Postmaster@listed.example", "held: remote Postmaster@listed.example"},
		{"takes no other role of it", "abuse@listed.example", "nobody"},
		{"takes nobody but the postmaster for an empty list", "user@empty.example", "nobody"},
		{"takes the postmaster for an empty list", "postmaster@empty.example", "held: remote postmaster@empty.example"},
		{"sends an alias to a listed domain on", "unlisted@example.org", "remote other@listed.example"},
	} {
		t.Run(test.it, func(t *testing.T) {
			for range 2 { // worked out, and remembered
				if got := f.says(f.Resolve(t.Context(), address(t, test.address))); got != test.want {
					t.Errorf("%s: got %q, want %q", test.address, got, test.want)
				}
			}
		})
	}
}

// No answer from before a change of the list is given after it.
func TestResolveFollowsBackupRecipients(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "backup.example", true)
	user := address(t, "user@backup.example")
	expect := func(when, want string) {
		t.Helper()
		for range 2 {
			if got := f.says(f.Resolve(t.Context(), user)); got != want {
				t.Errorf("%s: got %q, want %q", when, got, want)
			}
		}
	}
	const taken, nobody = "held: remote user@backup.example", "nobody"
	for _, step := range []struct {
		when, want string
		change     func() error
	}{
		{"at first", taken, func() error { return nil }},
		{"with others on the list", nobody, func() error {
			return f.AddBackupRecipients(t.Context(), "backup.example", []string{"other"})
		}},
		{"on the list", taken, func() error {
			return f.AddBackupRecipients(t.Context(), "backup.example", []string{"USER"})
		}},
		{"off the list", nobody, func() error {
			return f.RemoveBackupRecipients(t.Context(), "backup.example", []string{"user"})
		}},
		{"without a list", taken, func() error { return f.SetBackupRecipients(t.Context(), "backup.example", nil) }},
		{"with an empty list", nobody, func() error {
			return f.SetBackupRecipients(t.Context(), "backup.example", []string{})
		}},
		{"once the domain isn't ours", "not ours: remote user@backup.example", func() error {
			return f.RemoveDomain(t.Context(), "backup.example")
		}},
	} {
		if err := step.change(); err != nil {
			t.Fatalf("%s: %v", step.when, err)
		}
		expect(step.when, step.want)
	}
}

func TestResolveRolesWithoutAdmin(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	f.domain(t, "example.net", false)
	resolve := func(text string) string { return f.says(f.Resolve(t.Context(), address(t, text))) }
	if got := resolve("postmaster@example.org"); got != "nobody" {
		t.Errorf("without accounts: %q", got)
	}
	f.account(t, store.Account{}, "alice@example.org")
	f.account(t, store.Account{Disabled: true}, "away@example.net")
	if got := resolve("postmaster@example.net"); got != "alice@example.org" {
		t.Errorf("without an enabled account of the domain: %q", got)
	}
	f.account(t, store.Account{}, "dave@example.net")
	if got := resolve("postmaster@example.net"); got != "dave@example.net" {
		t.Errorf("with an enabled account of the domain: %q", got)
	}
	if got := resolve("postmaster"); got != "alice@example.org" {
		t.Errorf("postmaster alone: %q", got)
	}
}

func TestResolveCutsLoopsAndDepth(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	f.account(t, store.Account{}, "alice@example.org")
	for i := range 30 {
		f.alias(t, fmt.Sprintf("a%d@example.org", i), fmt.Sprintf("a%d@example.org", i+1))
	}
	f.alias(t, "a30@example.org", "alice@example.org")
	if got := f.says(f.Resolve(t.Context(), address(t, "a0@example.org"))); got != "nobody" {
		t.Errorf("a chain of 31: %q", got)
	}
	if got := f.says(f.Resolve(t.Context(), address(t, "a15@example.org"))); got != "alice@example.org" {
		t.Errorf("a chain of 16: %q", got)
	}
	// A loop through a catch-all can't be seen when the alias is added.
	f.alias(t, "@example.org", "x@example.org", "alice@example.org")
	if got := f.says(f.Resolve(t.Context(), address(t, "anything@example.org"))); got != "alice@example.org" {
		t.Errorf("a catch-all that leads to itself: %q", got)
	}
}

func TestResolveRoomIsFresh(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{Quota: 1000}, "alice@example.org")
	f.account(t, store.Account{}, "bob@example.org")
	f.alias(t, "sales@example.org", "alice@example.org")
	room := func(text string) int64 {
		t.Helper()
		r, err := f.Resolve(t.Context(), address(t, text))
		if err != nil {
			t.Fatal(err)
		}
		return r.Room
	}
	if got := room("alice@example.org"); got != 1000 {
		t.Errorf("empty: room is %d, want 1000", got)
	}
	f.usage.add(alice, 1500, 3)
	if got := room("alice@example.org"); got != -500 {
		t.Errorf("overfull: room is %d, want -500", got)
	}
	if err := f.SetQuota(t.Context(), alice, 2000); err != nil {
		t.Fatal(err)
	}
	if got := room("alice+tag@example.org"); got != 500 {
		t.Errorf("with more quota: room is %d, want 500", got)
	}
	for _, text := range []string{"bob@example.org", "sales@example.org"} {
		if got := room(text); got != store.Unlimited {
			t.Errorf("%s: room is %d, want no bound", text, got)
		}
	}
}

func TestMaySend(t *testing.T) {
	f := newDirectory(t)
	fillDirectory(t, f)
	for _, test := range []struct {
		it, account, address string
		want                 bool
	}{
		{"allows the own address", "alice@example.org", "Alice@example.org", true},
		{"allows any tag", "alice@example.org", "alice+any@example.org", true},
		{"allows a tag that an alias has taken", "alice@example.org", "alice+list@example.org", true},
		{"allows an alias with a tag to its target", "bob@example.org", "alice+list@example.org", true},
		{"forbids a tag that another account has", "bob@example.org", "bob+work@example.org", false},
		{"allows that account its address", "bob+work@example.org", "bob+work@example.org", true},
		{"allows an alias", "carol@example.org", "sales@example.org", true},
		{"allows an alias through others", "carol@example.org", "team@example.org", true},
		{"allows an alias that leads to a tag of it", "alice@example.org", "team@example.org", true},
		{"forbids another's alias", "alice@example.org", "sales@example.org", false},
		{"forbids another's address", "alice@example.org", "bob@example.org", false},
		{"forbids a catch-all", "dave@example.net", "whoever@example.net", false},
		{"forbids an alias that leads through a catch-all", "dave@example.net", "viacatchall@example.org", false},
		{"allows a role to who reads it", "root@example.org", "postmaster@example.net", true},
		{"forbids a role to others", "alice@example.org", "postmaster@example.org", false},
		{"forbids other domains", "alice@example.org", "alice@elsewhere.example", false},
		{"forbids backup domains", "alice@example.org", "alice@backup.example", false},
		{"forbids nobody's address", "alice@example.org", "nobody@example.org", false},
		{"forbids an empty local part", "dave@example.net", `""@example.net`, false},
	} {
		t.Run(test.it, func(t *testing.T) {
			for range 2 {
				got, err := f.MaySend(t.Context(), f.id(t, test.account), address(t, test.address))
				if err != nil || got != test.want {
					t.Errorf("%s as %s: got %v, %v, want %v", test.account, test.address, got, err, test.want)
				}
			}
		})
	}
	if may, err := f.MaySend(t.Context(), f.id(t, "alice@example.org"), mail.Address{}); may || err != nil {
		t.Errorf("as nobody: got %v, %v", may, err)
	}
}

// After a change has been made no answer from before it is given.
func TestResolveWhileTheDirectoryChanges(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{}, "alice@example.org")
	list := address(t, "list@example.org")
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 50 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, err := f.Resolve(t.Context(), list)
				switch got := f.says(r, err); got {
				case "nobody", "alice@example.org":
				default:
					t.Errorf("got %q", got)
					return
				}
			}
		})
	}
	for range 8 {
		f.alias(t, "list@example.org", "alice@example.org")
		if got := f.says(f.Resolve(t.Context(), list)); got != "alice@example.org" {
			t.Errorf("after adding: %q", got)
		}
		if may, err := f.MaySend(t.Context(), alice, list); !may || err != nil {
			t.Errorf("after adding: may send is %v, %v", may, err)
		}
		if err := f.RemoveAlias(t.Context(), list); err != nil {
			t.Error(err)
		}
		if got := f.says(f.Resolve(t.Context(), list)); got != "nobody" {
			t.Errorf("after removing: %q", got)
		}
		if may, err := f.MaySend(t.Context(), alice, list); may || err != nil {
			t.Errorf("after removing: may send is %v, %v", may, err)
		}
	}
	close(stop)
	readers.Wait()
}

func TestDirectoryCacheIsBounded(t *testing.T) {
	var c directoryCache
	for i := range maxRemembered + 100 {
		c.keepResolution(0, fmt.Sprint(i), resolved{})
	}
	if len(c.resolved) != maxRemembered {
		t.Errorf("%d answers are kept, want %d", len(c.resolved), maxRemembered)
	}
	_, _, before := c.resolution("1")
	c.clear()
	c.keepResolution(before, "old", resolved{})
	if _, ok, _ := c.resolution("old"); ok {
		t.Error("an answer from before the change is kept")
	}
}

func BenchmarkResolve(b *testing.B) {
	f := newDirectory(b)
	fillDirectory(b, f)
	known, remote := address(b, "alice+shop@example.org"), address(b, "someone@elsewhere.example")
	b.Run("remembered", func(b *testing.B) {
		for b.Loop() {
			if _, err := f.Resolve(b.Context(), known); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("worked out", func(b *testing.B) {
		for b.Loop() {
			f.directory.clear()
			if _, err := f.Resolve(b.Context(), known); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("not ours", func(b *testing.B) {
		for b.Loop() {
			if _, err := f.Resolve(b.Context(), remote); err != nil {
				b.Fatal(err)
			}
		}
	})
}
