package main

import (
	"encoding/json"
	"strings"
	"testing"

	"postroom/store/admin"
)

// What a command changes is in the journal under the name of who ran it, and is
// taken back from there, with a server and without.
func TestJournalCommands(t *testing.T) {
	t.Run("while no server runs", func(t *testing.T) { testJournalCommands(t, newPlace(t)) })
	t.Run("while a server runs", func(t *testing.T) {
		p := newPlace(t)
		p.listen()
		testJournalCommands(t, p)
	})
}

func testJournalCommands(t *testing.T, p *place) {
	has := func(out string, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("it prints\n%s\nwithout %q", out, text)
			}
		}
	}
	has(p.do("", "journal", "list"), "Nothing has been changed yet.")
	p.do("", "domain", "add", "example.org")
	p.do("", "alias", "add", "info@example.org", "alice@example.net")
	p.do("", "alias", "remove", "info@example.org")
	user := systemUser()
	has(p.do("", "journal", "list"), "ID", "command line", user+" removed the alias info@example.org → alice@example.net", user+" added the domain example.org")
	if out := p.do("", "journal", "list", "--about", "INFO@", "--limit", "1"); strings.Contains(out, "added") {
		t.Errorf("with a limit of 1 it prints\n%s", out)
	}
	has(p.do("", "journal", "list", "--who", "nobody"), "No change fits.")
	p.fails(statusUsage, "", "journal", "list", "--limit", "0")
	has(p.do("", "journal", "show", "3"), "alias.remove", "targets", "alice@example.net", "*", "postroom journal undo 3")
	has(p.do("", "journal", "undo", "3"), "Undone: "+user+" added the alias info@example.org → alice@example.net, which undid entry 3.")
	has(p.do("", "alias", "list"), "info@example.org")
	has(p.fails(statusFailed, "", "journal", "undo", "3"), "This was undone already, by entry 4.")
	has(p.do("", "journal", "list"), "(undone by 4)")
	has(p.fails(statusFailed, "", "journal", "show", "77"), "There is no entry 77")
	var entry admin.JournalEntry
	if err := json.Unmarshal([]byte(p.do("", "journal", "show", "4", "--json")), &entry); err != nil {
		t.Fatal(err)
	}
	if entry.Action != "alias.add" || entry.Undoes != 3 || entry.Actor != (admin.Actor{Name: user, Via: admin.ViaCommand}) {
		t.Errorf("the entry is %+v", entry)
	}
}
