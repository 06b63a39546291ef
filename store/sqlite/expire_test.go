package sqlite

import (
	"sync/atomic"
	"testing"
	"time"

	"postroom/store"
)

func TestOldTrailsAreRemoved(t *testing.T) {
	now := time.Now()
	s, err := Open(t.Context(), Options{
		Dir: t.TempDir(), Now: func() time.Time { return now },
		KeepTrace: 90 * 24 * time.Hour, KeepRefused: 7 * 24 * time.Hour, MostRefusals: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ids := fill(t, s, 1)
	refuse := func() {
		s.Refused(store.Refusal{ID: s.NewMessageID(), From: "spam@example.net", To: []string{"u0@example.org"}, Events: []store.Event{{Time: now, Kind: store.Rejected}}})
		if _, err := s.notes.flush(); err != nil {
			t.Fatal(err)
		}
	}
	kept, collected := localMessage(s, ids[0], 10), localMessage(s, ids[0], 10)
	for _, a := range []store.Acceptance{kept, collected} {
		if err := s.Accept(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RemoveEntries(t.Context(), store.Removal{Account: ids[0], At: now, Messages: []store.MessageID{collected.ID}}); err != nil {
		t.Fatal(err)
	}
	refuse()
	expect := func(when string, accepted, refused int64) {
		t.Helper()
		eventually(t, "bodies are reaped, trails indexed", func() bool {
			return number(t, s, `SELECT (SELECT COUNT(*) FROM reap) + (SELECT COUNT(*) FROM trail_new)`) == 0
		})
		if err := s.expireTrails(t.Context(), s.now()); err != nil {
			t.Fatal(err)
		}
		a, r := number(t, s, `SELECT COUNT(*) FROM trail WHERE refused = 0`), number(t, s, `SELECT COUNT(*) FROM trail WHERE refused = 1`)
		if a != accepted || r != refused {
			t.Errorf("%s: %d trails of accepted and %d of refused mail, want %d and %d", when, a, r, accepted, refused)
		}
		if n := number(t, s, `SELECT COUNT(*) FROM event WHERE trail NOT IN (SELECT id FROM trail)`); n != 0 {
			t.Errorf("%s: %d events without a trail", when, n)
		}
		if n := number(t, s, `SELECT COUNT(*) FROM trail_key WHERE trail NOT IN (SELECT id FROM trail)`); n != 0 {
			t.Errorf("%s: %d keys without a trail", when, n)
		}
	}
	expect("at once", 2, 1)
	now = now.Add(8 * 24 * time.Hour)
	for range 3 {
		refuse()
	}
	expect("after a week, with one refusal too many", 2, 2)
	now = now.Add(90 * 24 * time.Hour)
	expect("after three months, with one message not yet collected", 1, 0)
}

func TestOldDestinationsAreForgotten(t *testing.T) {
	const day = 24 * time.Hour
	began := time.Now()
	var passed atomic.Int64 // read in the background too
	now := func() time.Time { return began.Add(time.Duration(passed.Load())) }
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Now: now, KeepTrace: 90 * day})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	settle := func(list ...store.Health) {
		if err := s.Settle(t.Context(), store.Settlement{At: now(), Health: list}); err != nil {
			t.Fatal(err)
		}
	}
	settle(store.Health{Destination: "old.example", LastSuccess: began}, store.Health{Destination: "dead.example", LastSuccess: began, Failures: 1, LastFailure: began})
	passed.Add(int64(89 * day))
	settle(store.Health{Destination: "dead.example", LastSuccess: began, Failures: 200, LastFailure: now()})
	for _, want := range []int{2, 1, 0} {
		if err := s.expire(t.Context(), s.now()); err != nil {
			t.Fatal(err)
		}
		if list, err := s.Health(t.Context()); len(list) != want || err != nil {
			t.Errorf("%d destinations are known (%v), want %d: %+v", len(list), err, want, list)
		}
		passed.Add(int64(46 * day))
	}
}
