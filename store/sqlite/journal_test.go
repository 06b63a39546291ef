package sqlite

import (
	"errors"
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
	now := fromMicros(micros(time.Now())) // an old entry would soon be removed
	add := func(name string) (*store.Change, error) {
		c := &store.Change{At: now, Who: "root", Via: "command line", Action: "domain.add", Subject: name, After: `{}`}
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
