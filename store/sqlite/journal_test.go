package sqlite

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"postroom/store"
)

func (s *Store) allChanges(t *testing.T) []store.Change {
	t.Helper()
	list, err := s.Journal(t.Context(), store.JournalQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestEntryCommitsWithItsChange(t *testing.T) {
	s, err := Open(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string) (*store.Change, error) {
		c := &store.Change{At: time.UnixMicro(1), Who: "root", Via: "command line", Action: "domain.add", Subject: name, After: `{}`}
		_, err := s.AddDomain(store.WithChange(t.Context(), c), store.Domain{Name: name})
		return c, err
	}
	c, err := add("example.org")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Change(t.Context(), c.ID); err != nil || got != *c {
		t.Errorf("the entry is %+v, %v, want %+v", got, err, *c)
	}
	if c, err = add("example.org"); !errors.Is(err, store.ErrConflict) || c.ID != 0 {
		t.Errorf("the same again: %v, with the entry %d", err, c.ID)
	}
	s.writer.beforeCommit = func() error { return errors.New("no") }
	if c, err = add("example.net"); err == nil || c.ID != 0 {
		t.Errorf("without a commit: %v, with the entry %d", err, c.ID)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), s.opts); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	domains, err := s.Domains(t.Context())
	if list := s.allChanges(t); err != nil || len(list) != 1 || len(domains) != 1 {
		t.Errorf("there are %+v and %+v, %v; want one of each", list, domains, err)
	}
}

// What can't be written into the journal isn't done.
func TestChangeFailsWithItsEntry(t *testing.T) {
	s := openTest(t)
	first := &store.Change{Action: "domain.add", Subject: "example.org"}
	if _, err := s.AddDomain(store.WithChange(t.Context(), first), store.Domain{Name: "example.org"}); err != nil {
		t.Fatal(err)
	}
	undo := func(name string, id store.ChangeID) error {
		c := &store.Change{Action: "domain.add", Subject: name, Undoes: id}
		_, err := s.AddDomain(store.WithChange(t.Context(), c), store.Domain{Name: name})
		return err
	}
	if err := undo("example.net", first.ID+7); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("undoing what isn't there: %v", err)
	}
	if err := undo("example.com", first.ID); err != nil {
		t.Error(err)
	}
	if err := undo("example.net", first.ID); !errors.Is(err, store.ErrConflict) {
		t.Errorf("undoing it twice: %v", err)
	}
	domains, err := s.Domains(t.Context())
	list := s.allChanges(t)
	if err != nil || len(domains) != 2 || len(list) != 2 {
		t.Fatalf("there are %+v and %+v, %v", domains, list, err)
	}
	if list[1].UndoneBy != list[0].ID || list[0].Undoes != list[1].ID {
		t.Errorf("entries don't lead to each other: %+v", list)
	}
}

func TestOneEntryCountsAllItems(t *testing.T) {
	s := openTest(t)
	c := &store.Change{Action: "queue.hold", Counts: true}
	ctx := store.WithChange(t.Context(), c)
	for _, n := range []int64{0, 2000, 0, 5} {
		err := s.write(ctx, 0, func(tx *tx) error {
			tx.touched = n
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 && c.ID == 0 {
			if list := s.allChanges(t); len(list) != 0 {
				t.Errorf("nothing was changed, and there is %+v", list)
			}
		}
	}
	if list := s.allChanges(t); len(list) != 1 || list[0].Touched != 2005 {
		t.Errorf("the journal has %+v", list)
	}
}

func TestJournalIsSearched(t *testing.T) {
	s := openTest(t)
	start := time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC)
	for i, c := range []store.Change{
		{Who: "anna@example.org", Via: "web", Client: "192.0.2.9", Action: "alias.add", Subject: "info@example.org"},
		{Who: "root", Via: "command line", Action: "alias.remove", Subject: "Info@example.org"},
		{Via: "server", Action: "dkim.make", Subject: "example.org"},
		{Who: "anna@example.org", Via: "web", Action: "aliases.x", Subject: "100%"},
	} {
		c.At = start.Add(time.Duration(i) * time.Hour)
		if err := s.NoteChange(store.WithChange(t.Context(), &c)); err != nil {
			t.Fatal(err)
		}
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
		{"begins at a time", store.JournalQuery{Since: start.Add(time.Hour)}, "4 3 2"},
		{"ends before a time", store.JournalQuery{Until: start.Add(time.Hour)}, "1"},
		{"has nothing from later", store.JournalQuery{Since: start.Add(9 * time.Hour)}, ""},
		{"narrows", store.JournalQuery{Who: "anna", About: "info", Action: "alias", Since: start, Until: start.Add(time.Hour)}, "1"},
	} {
		list, err := s.Journal(t.Context(), test.q)
		got := ""
		for i, c := range list {
			if i > 0 {
				got += " "
			}
			got += fmt.Sprint(c.ID)
		}
		if err != nil || got != test.want {
			t.Errorf("it %s: got %q, %v, want %q", test.it, got, err, test.want)
		}
	}
}

func TestJournalIsShortened(t *testing.T) {
	s := openTest(t)
	now := time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC)
	fill := func(n int64, at time.Time) {
		t.Helper()
		err := s.write(t.Context(), 0, func(tx *tx) error {
			_, err := tx.exec(`
				WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
				INSERT INTO journal (at, who, via, client, action, subject, before, after, touched, undoes, undone_by)
				SELECT ?, 'root', 'command line', '', 'alias.add', 'info@example.org', '', '', 0, 0, 0 FROM n`, n, micros(at))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	fill(300, now.Add(-401*24*time.Hour))
	fill(10, now.Add(-399*24*time.Hour))
	if err := s.expireJournal(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if list := s.allChanges(t); len(list) != 10 || list[9].ID != 301 {
		t.Errorf("%d entries are left", len(list))
	}
	fill(mostChanges-10+3, now)
	if err := s.expireJournal(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if list := s.allChanges(t); len(list) != mostChanges || list[mostChanges-1].ID != 304 {
		t.Errorf("%d entries are left, want %d", len(list), mostChanges)
	}
}
