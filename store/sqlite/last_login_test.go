package sqlite

import (
	"net/netip"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// What a login costs whose mail program polls: the time to note it again.
func BenchmarkNoteLogin(b *testing.B) {
	s, err := Open(b.Context(), Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.AddDomain(b.Context(), store.Domain{Name: "example.org"}); err != nil {
		b.Fatal(err)
	}
	a, err := s.AddAccount(b.Context(), store.Account{Address: mail.Address{Local: "alice", Domain: "example.org"}})
	if err != nil {
		b.Fatal(err)
	}
	login := store.Login{Account: a.ID, Protocol: "pop3", At: time.Now(), Client: netip.MustParseAddr("192.0.2.1"), AppPassword: "Phone"}
	for b.Loop() {
		s.NoteLogin(login)
	}
}

// A mail program that polls writes once a minute at most.
func TestPollingIsNoNews(t *testing.T) {
	var l logins
	news := 0
	at := time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC)
	for i := range 10 * 60 {
		if l.isNews(store.Login{Account: 1, Protocol: "pop3", At: at.Add(time.Duration(i) * time.Second), Client: netip.MustParseAddr("192.0.2.1")}) {
			news++
		}
	}
	if news != 10 {
		t.Errorf("within ten minutes there was news %d times", news)
	}
	if !l.isNews(store.Login{Account: 1, Protocol: "pop3", At: at.Add(599 * time.Second), Client: netip.MustParseAddr("192.0.2.2")}) {
		t.Error("another client is no news")
	}
}
