package sqlite

import (
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
)

func TestWebSessions(t *testing.T) {
	now := time.Now()
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var sessions scs.CtxStore = s.WebSessions()
	find := func(token, want string) {
		t.Helper()
		data, found, err := sessions.FindCtx(t.Context(), token)
		if err != nil || string(data) != want || found != (want != "") {
			t.Errorf("%s: got %q, %v, %v, want %q", token, data, found, err, want)
		}
	}
	commit := func(token, data string, expires time.Time) {
		t.Helper()
		if err := sessions.CommitCtx(t.Context(), token, []byte(data), expires); err != nil {
			t.Fatal(err)
		}
	}
	find("a", "")
	commit("a", "first", now.Add(time.Hour))
	commit("a", "second", now.Add(time.Hour))
	commit("b", "other", now.Add(2*time.Hour))
	find("a", "second")
	find("b", "other")
	now = now.Add(90 * time.Minute)
	find("a", "")
	commit("c", "third", now.Add(time.Hour))
	if n := number(t, s, `SELECT COUNT(*) FROM web_session`); n != 2 {
		t.Errorf("%d sessions are kept, want 2: one is over", n)
	}
	if err := sessions.DeleteCtx(t.Context(), "b"); err != nil {
		t.Error(err)
	}
	find("b", "")
	if n := number(t, s, `SELECT COUNT(*) FROM web_session WHERE token = 'c'`); n != 0 {
		t.Error("a token is kept as it is")
	}
}
