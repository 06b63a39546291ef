package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postroom/store"
	"postroom/store/admin"
)

// newest returns the newest entry of the journal about something.
func (s *site) newest(about string) admin.JournalEntry {
	s.t.Helper()
	entries, err := s.admin.Journal(s.t.Context(), admin.JournalSearch{About: about, Limit: 1})
	s.must(err)
	if len(entries) == 0 {
		s.t.Fatalf("nothing is in the journal about %s", about)
	}
	return entries[0]
}

func TestJournal(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.follow(b.post("/aliases", "source", "info@example.org", "targets", boss)).has(t, http.StatusOK)
	b.follow(b.post(aliasURL("info@example.org")+"/remove")).has(t, http.StatusOK)
	removed := s.newest("info@example.org")
	if want := (admin.Actor{Name: boss, Via: admin.ViaWeb, Client: "127.0.0.1"}); removed.Actor != want || removed.Action != "alias.remove" {
		t.Errorf("the entry is %+v, want one by %+v", removed, want)
	}
	sentence := boss + " removed the alias info@example.org → " + boss
	b.get("/journal").has(t, http.StatusOK, sentence, "web, 127.0.0.1", entryURL(removed.ID), "The server added the domain example.org")
	entry := b.get(entryURL(removed.ID))
	entry.has(t, http.StatusOK, sentence, "targets", "gone", "nothing", entryURL(removed.ID)+"/undo", "/journal?about=info%40example.org")
	b.get(entryURL(removed.ID)+"/undo").has(t, http.StatusOK, "Undo this change?", sentence, "info@example.org is brought back", "targets: "+boss)
	b.follow(b.post(entryURL(removed.ID)+"/undo")).has(t, http.StatusOK, "It is undone", "which undid entry", "undone already, by entry")
	b.get("/aliases").has(t, http.StatusOK, aliasURL("info@example.org"))
	b.follow(b.post(entryURL(removed.ID)+"/undo")).has(t, http.StatusOK, "notice bad", "undone already, by entry")
	b.follow(b.get(entryURL(removed.ID)+"/undo")).has(t, http.StatusOK, "notice bad", "undone already, by entry")
	undo := s.newest("info@example.org")
	b.get(entryURL(undo.ID)).has(t, http.StatusOK, fmt.Sprintf(`href="%s">entry %d`, entryURL(removed.ID), removed.ID))
	b.get("/journal/12345").has(t, http.StatusNotFound, "There is no entry 12345")
	b.post("/journal/12345/undo").has(t, http.StatusNotFound, "There is no entry 12345")
	b.get("/journal/x").has(t, http.StatusNotFound, errNoPage.Title)
	b.get(accountURL(boss)).has(t, http.StatusOK, "/journal?about=postmaster%40example.org")
	b.get("/domains/example.org").has(t, http.StatusOK, "/journal?about=example.org")
	account := s.newest(boss)
	b.get(entryURL(account.ID)).has(t, http.StatusOK, "Removing an account removes its mail")
}

func TestJournalIsNarrowed(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.post("/domains", "name", "new.example")
	s.wait(48 * time.Hour)
	b = s.signedIn()
	s.alias("info@example.org", boss)
	const alias, domain = "added the alias info@example.org", "added the domain new.example"
	for _, test := range []struct {
		it, query string
		alias     bool
		domain    bool
	}{
		{"has all", "", true, true},
		{"finds what it is about", "about=INFO", true, false},
		{"finds who", "who=postmaster%40", false, true},
		{"finds from where", "who=127.0.0.1", false, true},
		{"finds what the server did", "who=server", true, false},
		{"finds a kind", "action=domain", false, true},
		{"begins with a day", "since=2026-11-22", true, false},
		{"ends with a day", "until=2026-11-20", false, true},
		{"takes both ends", "since=2026-11-20&until=2026-11-22", true, true},
		{"goes on below an entry", fmt.Sprintf("below=%d", s.newest("info").ID), false, true},
	} {
		a := b.get("/journal?" + test.query)
		a.has(t, http.StatusOK)
		if strings.Contains(a.body, alias) != test.alias || strings.Contains(a.body, domain) != test.domain {
			t.Errorf("it %s: got\n%s", test.it, a.body)
		}
	}
	b.get("/journal?about=nothing").has(t, http.StatusOK, "No change fits", `href="/journal"`)
	b.get("/journal?below=1").has(t, http.StatusOK, "There are no older changes", "Back to the newest")
	b.get("/journal?since=soon").has(t, http.StatusUnprocessableEntity, "&#34;soon&#34; is not a day", "Mend what the red note says")
}

func TestLongJournalHasPages(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	for i := range 120 {
		c := &store.Change{At: s.now(), Who: boss, Via: "web", Action: "alias.add", Subject: fmt.Sprintf("a%03d@example.org", i), After: `{"targets":["x@example.net"]}`}
		s.must(s.store.NoteChange(store.WithChange(t.Context(), c)))
	}
	first := b.get("/journal?about=a")
	first.has(t, http.StatusOK, "a119@example.org", "a070@example.org", "Older")
	for _, not := range []string{"a069@example.org", "Newest"} {
		if strings.Contains(first.body, not) {
			t.Errorf("the first page holds %q", not)
		}
	}
	if len(first.body) > 100_000 {
		t.Errorf("it has %d octets", len(first.body))
	}
	last := s.newest("a070").ID
	b.get(fmt.Sprintf("/journal?about=a&below=%d", last)).has(t, http.StatusOK, "a069@example.org", "a020@example.org", "Newest", "Older")
}

// What the server does by itself while it makes a page isn't said to be the
// visitor's.
func TestJournalNamesWhoDidIt(t *testing.T) {
	s := newSite(t)
	s.signedIn().get("/domains/example.org/dns").has(t, http.StatusOK)
	entries, err := s.admin.Journal(t.Context(), admin.JournalSearch{Action: "dkim"})
	if err != nil || len(entries) != 1 || entries[0].Actor != (admin.Actor{Via: admin.ViaServer}) {
		t.Errorf("the entries are %+v, %v", entries, err)
	}
}

// TestAdministratorUndoesARemoval finds out who removed an alias, takes it back, and
// is told why that can't be done twice.
func TestAdministratorUndoesARemoval(t *testing.T) {
	s := newSite(t)
	s.account(admin.NewAccount{Address: "anna@example.org", Password: bossPassword, Admin: true})
	s.alias("info@example.org", boss, "anna@example.org")
	anna := s.signedInAs("anna@example.org")
	anna.follow(anna.post(aliasURL("info@example.org")+"/remove")).has(t, http.StatusOK)
	s.wait(3 * time.Minute)
	entry := entryURL(s.newest("info@example.org").ID)
	w := newWalk(t, s)
	w.run("look into the journal", chromedp.Click(css(`.side a[href="/journal"]`)), chromedp.WaitVisible(css("#about")))
	w.look("journal-list")
	w.run("look for the alias", chromedp.SendKeys(css("#about"), "info@\r"), chromedp.WaitVisible(css(`#about[value="info@"]`)))
	w.reads("main table", "anna@example.org removed the alias info@example.org → "+boss+", anna@example.org", "web, 127.0.0.1")
	w.run("open it", chromedp.Click(css(`main a[href="`+entry+`"]`)), chromedp.WaitVisible(css("#undo-title")))
	w.reads("main", "3 min ago", "anna@example.org", "Before", "After", "gone")
	w.look("journal-entry")
	w.run("ask for the undo", chromedp.Click(css(`main a[href="`+entry+`/undo"]`)), chromedp.WaitVisible(css(".confirm")))
	w.reads(".confirm", "Undo this change?", "info@example.org is brought back", "targets: "+boss+", anna@example.org")
	w.look("journal-confirm")
	w.run("undo it", chromedp.Click(css(".confirm button")), chromedp.WaitVisible(css(".notice.good")))
	w.reads("main", "It is undone", "undone", "by entry")
	w.look("journal-undone")
	aliases, err := s.admin.Aliases(t.Context())
	if err != nil || len(aliases) != 1 || strings.Join(aliases[0].Targets, " ") != boss+" anna@example.org" {
		t.Errorf("the aliases are %+v, %v", aliases, err)
	}
	w.run("undo it again", chromedp.Navigate(s.http.URL+entry+"/undo"), chromedp.WaitVisible(css(".notice.bad")))
	w.reads(".notice.bad", "This was undone already, by entry")
	w.look("journal-refused")
}
