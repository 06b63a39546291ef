package admin_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// settings is all that an undo may be about, in one text without the times at which
// things were made.
func (f *fixture) settings() string {
	f.t.Helper()
	ctx := f.t.Context()
	var all []any
	for _, list := range []func() (any, error){
		func() (any, error) { return f.Domains(ctx) },
		func() (any, error) { return f.DomainRecipients(ctx, "held.example") },
		func() (any, error) { return f.Accounts(ctx) },
		func() (any, error) {
			account, _ := f.Account(ctx, "bob@example.org") // it may be gone
			return account, nil
		},
		func() (any, error) { return f.Aliases(ctx) },
		func() (any, error) { return f.Routes(ctx) },
		func() (any, error) { return f.Sources(ctx) },
		func() (any, error) { return f.AccessEntries(ctx, "") },
		func() (any, error) { return f.AllLimits(ctx) },
		func() (any, error) { return f.Devices(ctx) },
		func() (any, error) { return f.Destinations(ctx) },
		func() (any, error) { return f.Queue(ctx, admin.QueueSelection{}) },
	} {
		part, err := list()
		f.must(err)
		all = append(all, part)
	}
	text, err := json.Marshal(all)
	f.must(err)
	var plain any
	f.must(json.Unmarshal(text, &plain))
	text, err = json.MarshalIndent(withoutTimes(plain), "", " ")
	f.must(err)
	return string(text)
}

func withoutTimes(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withoutTimes(v[i])
		}
	case map[string]any:
		for _, name := range []string{"created", "next_attempt", "paused_since"} {
			delete(v, name)
		}
		for name := range v {
			v[name] = withoutTimes(v[name])
		}
	}
	return v
}

// Whatever changes something is taken back, and that is taken back too; or there is
// a reason why not.
func TestUndo(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.must(dropped(f.AddDomain(t.Context(), admin.AddDomain{Name: "held.example", Backup: true})))
	f.must(dropped(f.AddAccess(t.Context(), admin.AddAccess{Action: "block", What: "spam.example"})))
	message := f.accept("alice@example.org", 100, nil, "x@elsewhere.example", "y@elsewhere.example", "z@other.example")
	ctx := admin.WithActor(t.Context(), anna)
	undone := make(map[string]bool)
	for _, change := range f.changes(message.String(), filepath.Join(t.TempDir(), "backup")) {
		before := f.settings()
		if err := change.do(ctx); err != nil {
			t.Fatalf("%s: %v", change.operation, err)
		}
		after, entry := f.settings(), f.journal()[0]
		shown, err := f.JournalEntry(ctx, entry.ID)
		f.must(err)
		undo, err := f.Undo(ctx, entry.ID)
		if reason, ok := errors.AsType[*admin.Error](err); ok && shown.WhyNot == reason.Text {
			if strings.Contains(reason.Text, "This kind of change") || f.settings() != after {
				t.Errorf("%s isn't undone: %s", entry.Action, reason)
			}
			continue
		}
		if err != nil || shown.WhyNot != "" {
			t.Fatalf("%s: %v, and it is shown as %q", entry.Action, err, shown.WhyNot)
		}
		undone[entry.Action] = true
		if got := f.settings(); got != before {
			t.Errorf("%s is undone to\n%s\nwant\n%s", entry.Action, got, before)
		}
		if undo.Undoes != entry.ID || undo.Actor != anna || undo.ID != f.journal()[0].ID {
			t.Errorf("%s is undone by %+v", entry.Action, undo)
		}
		_, err = f.Undo(ctx, entry.ID)
		f.fails(err, admin.Conflict, store.ErrConflict, "undone already, by entry")
		if _, err := f.Undo(ctx, undo.ID); err != nil {
			f.must(change.do(ctx)) // a route's password is not known
		}
		if got := f.settings(); got != after {
			t.Errorf("%s is done again to\n%s\nwant\n%s", entry.Action, got, after)
		}
	}
	if len(undone) < 20 {
		t.Errorf("only these are undone: %v", undone)
	}
}

// What has been changed since isn't trampled on.
func TestUndoIsRefused(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.must(dropped(f.AddDomain(t.Context(), admin.AddDomain{Name: "held.example", Backup: true})))
	ctx := t.Context()
	last := func() store.ChangeID { return f.journal()[0].ID }
	alias := func(target string) {
		t.Helper()
		f.must(dropped(f.AddAlias(ctx, admin.NewAlias{Source: "info@example.org", Targets: []string{target}})))
	}
	alias("alice@example.org")
	added := last()
	f.must(dropped(f.RemoveAlias(ctx, "info@example.org")))
	removed := last()
	f.refuses(added, "isn't there any more")
	alias("bob@example.org")
	f.refuses(added, "has been changed since")
	f.refuses(removed, "another one")

	f.must(dropped(f.AddDomain(ctx, admin.AddDomain{Name: "example.net"})))
	domain := last()
	f.must(dropped(f.AddAccount(ctx, admin.NewAccount{Address: "x@example.net"})))
	f.refuses(domain, "still has 1 account")

	f.must(dropped(f.ChangeAccount(ctx, admin.ChangeAccount{Address: "bob@example.org", Quota: new(int64(5)), Name: new("Bob")})))
	quota := last()
	f.must(dropped(f.ChangeAccount(ctx, admin.ChangeAccount{Address: "bob@example.org", Quota: new(int64(6))})))
	f.refuses(quota, "has been changed since")
	f.must(dropped(f.Undo(ctx, last())))
	f.must(dropped(f.ChangeAccount(ctx, admin.ChangeAccount{Address: "bob@example.org", Admin: new(true)})))
	f.must(dropped(f.Undo(ctx, quota)))
	if bob, err := f.Account(ctx, "bob@example.org"); err != nil || bob.Quota != 0 || bob.Name != "" || !bob.Admin {
		t.Errorf("what was changed in other ways doesn't stay: %+v, %v", bob, err)
	}

	f.must(dropped(f.AddAccess(ctx, admin.AddAccess{Action: "block", What: "spam.example", Expires: "1h"})))
	f.must(f.RemoveAccess(ctx, admin.RemoveAccess{Action: "block", What: "spam.example"}))
	f.now = f.now.Add(2 * time.Hour)
	f.refuses(last(), "would have ended by now")

	f.must(f.DisableAccount(ctx, "bob@example.org", false))
	disabled := last()
	f.must(dropped(f.RemoveAccount(ctx, "bob@example.org")))
	f.refuses(disabled, "There is no account bob@example.org.")
	f.refuses(last(), "The account's mail and its passwords are gone.")
	f.refuses(1<<40, "There is no entry")
}

// refuses checks that an entry isn't undone, and why.
func (f *fixture) refuses(id store.ChangeID, says string) {
	f.t.Helper()
	before, entries := f.settings(), len(f.journal())
	_, err := f.Undo(f.t.Context(), id)
	reason, ok := errors.AsType[*admin.Error](err)
	if !ok || !strings.Contains(reason.Text, says) {
		f.t.Errorf("undoing %d: got %v, want %q", id, err, says)
	}
	if f.settings() != before || len(f.journal()) != entries {
		f.t.Errorf("undoing %d is refused and changes something", id)
	}
}
