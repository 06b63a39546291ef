package sqlite

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pressly/goose/v3"

	"postroom/migrations"
	"postroom/store"
)

// oldQueue puts items into a database of the first version: one by sender, held
// and tried as the columns say.
const oldQueue = `
INSERT INTO message (id, at, sender, header_id, eight_bit, utf8, ret, envid, account, size, first_chunk, chunks)
VALUES (1, 1, 'a@b.example', 'x', 0, 0, 0, '', 0, 1, 1, 1);
INSERT INTO chunk (id, data) VALUES (1, x'78');
INSERT INTO queue (message, sender, recipient, domain, notify, orcpt, account, created, expires, due, attempts, hold, cancel)
VALUES
	(1, 'a@b.example',          '1@example.com', 'example.com', 0, '', 0, 1, 99, 1, 0, 0, 0),
	(1, '"x@y"@b.example',      '2@example.com', 'example.com', 0, '', 7, 1, 99, 2, 3, 0, 0),
	(1, '"@@ \"@c"@b.example',  '3@example.com', 'example.com', 0, '', 0, 1, 99, 3, 0, 0, 1),
	(1, '',                     '4@example.com', 'example.com', 0, '', 0, 1, 99, 4, 1, 0, 0),
	(1, 'a@[IPv6:2001:db8::1]', '5@example.com', 'example.com', 0, '', 0, 1, 99, 5, 0, 0, 0),
	(1, 'a@b.example',          '6@example.com', 'example.com', 0, '', 0, 1, 99, 6, 0, 1, 0);`

// What waits in a database of the first version is in the right lanes afterwards.
func TestMigrationMakesLanes(t *testing.T) {
	dir := t.TempDir()
	makeOld(t, filepath.Join(dir, FileName))
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	lanes, err := s.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []store.Lane
	for _, l := range lanes {
		got = append(got, l.Lane)
	}
	want := []store.Lane{
		{Domain: "example.com", Class: store.Retried},
		{Domain: "example.com", Origin: "[IPv6:2001:db8::1]"},
		{Domain: "example.com", Origin: "b.example"},
		{Domain: "example.com", Origin: "b.example", Class: store.Paperwork},
		{Domain: "example.com", Account: 7, Origin: "b.example", Class: store.Retried},
	}
	if !slices.Equal(got, want) {
		t.Errorf("lanes are\n%+v, want\n%+v", got, want)
	}
	items, err := s.Queue(t.Context(), store.QueueFilter{})
	if err != nil || len(items) != 6 {
		t.Fatalf("%d items (%v), want 6", len(items), err)
	}
	for _, i := range items {
		if i.Origin != i.Sender.Domain {
			t.Errorf("the origin of %v is %q", i.Sender, i.Origin)
		}
	}
	if n := number(t, s, `SELECT COUNT(*) FROM pragma_foreign_key_check`); n != 0 {
		t.Errorf("%d references lead nowhere", n)
	}
}

// makeOld makes a database of the first version, with a queue.
func makeOld(t *testing.T, path string) {
	t.Helper()
	first, err := fs.ReadFile(migrations.Files, "0001_initial.sql")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "0001_initial.sql"), first, 0o600); err != nil {
		t.Fatal(err)
	}
	db := openWriter(path, DefaultPageSize)
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS(folder), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), oldQueue); err != nil {
		t.Fatal(err)
	}
}
