package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"postroom/store"
)

// JournalStore is what the tests need of the journal.
type JournalStore interface {
	NoteChange(ctx context.Context) error
	Journal(ctx context.Context, q store.JournalQuery) ([]store.Change, error)
	Change(ctx context.Context, id store.ChangeID) (store.Change, error)
}

// RunJournal runs the tests of the journal.
func RunJournal(t *testing.T, b Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"it keeps an entry with its change, or neither", notesWithChange},
		{"it undoes no change twice", undoesOnce},
		{"it counts what one entry is about", countsChanged},
		{"it finds what was changed", searchesJournal},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFixture(t, b)) })
	}
}

// journal returns the whole journal.
func (f *fixture) journal() []store.Change {
	f.t.Helper()
	list, err := f.Journal(f.t.Context(), store.JournalQuery{})
	f.must(err)
	return list
}

func notesWithChange(t *testing.T, f *fixture) {
	add := func(name string) (*store.Change, error) {
		c := &store.Change{
			At: f.now, Who: "root", Via: "command line", Client: "192.0.2.1", Action: "domain.add", Subject: name, After: `{"a":1}`,
		}
		_, err := f.AddDomain(store.WithChange(t.Context(), c), store.Domain{Name: name})
		return c, err
	}
	want, err := add("example.net")
	f.must(err)
	if again, err := add("example.net"); !errors.Is(err, store.ErrConflict) || again.ID != 0 {
		t.Errorf("the same again: %v, with the entry %d", err, again.ID)
	}
	if _, err := f.AddDomain(store.WithoutChange(store.WithChange(t.Context(), &store.Change{})), store.Domain{Name: "example.com"}); err != nil {
		t.Error(err)
	}
	f.reopen()
	got, err := f.Change(t.Context(), want.ID)
	f.must(err)
	if !got.At.Equal(want.At) {
		t.Errorf("it is from %v, want %v", got.At, want.At)
	}
	got.At = want.At
	if got != *want || len(f.journal()) != 1 {
		t.Errorf("the entry is %+v, want %+v; all are %+v", got, *want, f.journal())
	}
	if _, err := f.Change(t.Context(), want.ID+1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an entry that isn't there: %v", err)
	}
}

func undoesOnce(t *testing.T, f *fixture) {
	first := &store.Change{At: f.now, Action: "domain.add", Subject: "example.net"}
	_, err := f.AddDomain(store.WithChange(t.Context(), first), store.Domain{Name: "example.net"})
	f.must(err)
	undo := func(name string, id store.ChangeID) error {
		c := &store.Change{At: f.now, Action: "domain.add", Subject: name, Undoes: id}
		_, err := f.AddDomain(store.WithChange(t.Context(), c), store.Domain{Name: name})
		return err
	}
	if err := undo("two.example", first.ID+7); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("undoing what isn't there: %v", err)
	}
	f.must(undo("two.example", first.ID))
	if err := undo("three.example", first.ID); !errors.Is(err, store.ErrConflict) {
		t.Errorf("undoing it twice: %v", err)
	}
	_, err = f.AddDomain(t.Context(), store.Domain{Name: "three.example"})
	f.must(err)
	list := f.journal()
	if len(list) != 2 || list[1].UndoneBy != list[0].ID || list[0].Undoes != list[1].ID {
		t.Errorf("the journal is %+v", list)
	}
}

func countsChanged(t *testing.T, f *fixture) {
	const n = 4500 // more than go into one commit
	a := f.message("x")
	for i := range n {
		a = outbound(a, fmt.Sprintf("%d@elsewhere.example", i))
	}
	f.accept(a)
	hold := func(filter store.QueueFilter) {
		t.Helper()
		c := &store.Change{At: f.now, Action: "queue.hold", Counts: true}
		_, err := f.HoldQueue(store.WithChange(t.Context(), c), filter)
		f.must(err)
	}
	hold(store.QueueFilter{})
	hold(store.QueueFilter{}) // they are held
	hold(store.QueueFilter{Domain: "nowhere.example"})
	if list := f.journal(); len(list) != 1 || list[0].Touched != n {
		t.Errorf("the journal is %+v, want one entry of %d", list, n)
	}
}

func searchesJournal(t *testing.T, f *fixture) {
	for i, c := range []store.Change{
		{Who: "anna@example.org", Via: "web", Client: "192.0.2.9", Action: "alias.add", Subject: "info@example.org"},
		{Who: "root", Via: "command line", Action: "alias.remove", Subject: "Info@example.org"},
		{Via: "server", Action: "dkim.make", Subject: "example.org"},
		{Who: "anna@example.org", Via: "web", Action: "aliases.x", Subject: "100%"},
	} {
		c.At = f.now.Add(time.Duration(i) * time.Hour)
		f.must(f.NoteChange(store.WithChange(t.Context(), &c)))
	}
	for _, test := range []struct {
		it   string
		q    store.JournalQuery
		want string
	}{
		{"has all, the newest first", store.JournalQuery{}, "4 3 2 1"},
		{"stops at the limit", store.JournalQuery{Limit: 2}, "4 3"},
		{"goes on below an entry", store.JournalQuery{Limit: 2, Below: 3}, "2 1"},
		{"finds who", store.JournalQuery{Who: "Anna@"}, "4 1"},
		{"finds by what", store.JournalQuery{Who: "command"}, "2"},
		{"finds from where", store.JournalQuery{Who: "192.0.2.9"}, "1"},
		{"finds a part of the subject", store.JournalQuery{About: "INFO"}, "2 1"},
		{"takes no pattern", store.JournalQuery{About: "%"}, "4"},
		{"finds an action", store.JournalQuery{Action: "alias.add"}, "1"},
		{"finds a kind of actions", store.JournalQuery{Action: "alias"}, "2 1"},
		{"begins at a time", store.JournalQuery{Since: f.now.Add(time.Hour)}, "4 3 2"},
		{"ends before a time", store.JournalQuery{Until: f.now.Add(time.Hour)}, "1"},
		{"has nothing from later", store.JournalQuery{Since: f.now.Add(9 * time.Hour)}, ""},
		{"narrows", store.JournalQuery{Who: "anna", About: "info", Action: "alias", Since: f.now, Until: f.now.Add(time.Hour)}, "1"},
	} {
		list, err := f.Journal(t.Context(), test.q)
		var ids []string
		for _, c := range list {
			ids = append(ids, fmt.Sprint(c.ID))
		}
		if got := strings.Join(ids, " "); err != nil || got != test.want {
			t.Errorf("it %s: got %q, %v, want %q", test.it, got, err, test.want)
		}
	}
}
