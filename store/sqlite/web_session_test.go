package sqlite

import (
	"errors"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

func TestWebSessions(t *testing.T) {
	now := time.Now()
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sessions := s.WebSessions()
	find := func(token, want string) {
		t.Helper()
		data, found, err := sessions.Find(t.Context(), token)
		if err != nil || string(data) != want || found != (want != "") {
			t.Errorf("%s: got %q, %v, %v, want %q", token, data, found, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	session := func(id int64, data string, lasts time.Duration) store.WebSession {
		return store.WebSession{ID: id, Data: []byte(data), Began: now, Seen: now, Expires: now.Add(lasts)}
	}
	find("a", "")
	must(sessions.Add(t.Context(), "a", session(1, "first", time.Hour)))
	must(sessions.Change(t.Context(), "a", session(1, "second", time.Hour)))
	must(sessions.Add(t.Context(), "b", session(2, "other", 2*time.Hour)))
	find("a", "second")
	find("b", "other")
	now = now.Add(90 * time.Minute)
	find("a", "")
	must(sessions.Add(t.Context(), "c", session(3, "third", time.Hour)))
	if n := number(t, s, `SELECT COUNT(*) FROM web_session`); n != 2 {
		t.Errorf("%d sessions are kept, want 2: one is over", n)
	}
	must(sessions.Delete(t.Context(), "b"))
	find("b", "")
	if n := number(t, s, `SELECT COUNT(*) FROM web_session WHERE token = 'c'`); n != 0 {
		t.Error("a token is kept as it is")
	}
	if err := sessions.Change(t.Context(), "b", session(2, "again", time.Hour)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a session that was ended comes back: %v", err)
	}
	find("b", "")
}

func TestWebSessionsBelongToAccounts(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.AddDomain(t.Context(), store.Domain{Name: "example.org"})
	must(err)
	account := func(local string) store.AccountID {
		t.Helper()
		a, err := s.AddAccount(t.Context(), store.Account{Address: mail.Address{Local: local, Domain: "example.org"}})
		must(err)
		return a.ID
	}
	alice, bob := account("alice"), account("bob")
	var last int64
	add := func(id store.AccountID) int64 {
		t.Helper()
		last++
		must(s.WebSessions().Add(t.Context(), string(rune('a'+last)), store.WebSession{
			ID: last, Account: id, Data: []byte("x"), Began: now, Seen: now.Add(time.Duration(last) * time.Second),
			Expires: now.Add(time.Hour), Client: "192.0.2.1", Agent: "Browser",
		}))
		return last
	}
	want := func(id store.AccountID, ids ...int64) {
		t.Helper()
		list, err := s.SessionsOf(t.Context(), id)
		must(err)
		var got []int64
		for _, w := range list {
			got = append(got, w.ID)
			if w.Account != id || w.Client != "192.0.2.1" || w.Agent != "Browser" || !w.Began.Equal(now) {
				t.Errorf("a session is %+v", w)
			}
		}
		if len(got) != len(ids) || len(ids) > 0 && got[0] != ids[0] {
			t.Errorf("sessions are %v, want %v", got, ids)
		}
	}
	first, second, third, other := add(alice), add(alice), add(alice), add(bob)
	want(alice, third, second, first)
	must(s.EndSession(t.Context(), alice, second))
	want(alice, third, first)
	for _, id := range []int64{second, other} {
		if err := s.EndSession(t.Context(), alice, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("session %d is ended: %v", id, err)
		}
	}
	add(alice)
	if n, err := s.EndSessions(t.Context(), alice, first); n != 2 || err != nil {
		t.Errorf("%d sessions have ended, %v, want 2", n, err)
	}
	want(alice, first)
	must(s.SetSecret(t.Context(), alice, store.Secret{Hash: "new"}))
	want(alice)
	want(bob, other)
	must(s.SetStanding(t.Context(), bob, store.Disabled))
	want(bob)
	must(s.SetStanding(t.Context(), bob, store.Enabled))
	add(bob)
	must(s.RemoveAccount(t.Context(), bob))
	if n := number(t, s, `SELECT COUNT(*) FROM web_session`); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}
