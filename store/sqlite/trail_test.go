package sqlite

import (
	"slices"
	"testing"
	"time"

	"postroom/store"
)

func TestTrailsAreFound(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{}, "alice@example.org")
	older := f.queued(t, alice, "Someone@elsewhere.example", "other@elsewhere.example") // Message-ID m@example.org
	newer := f.received(t, alice, 50)                                                   // Message-ID r@elsewhere.example
	find := func(t *testing.T, text string, limit int) []store.MessageID {
		t.Helper()
		page, err := f.Trails(t.Context(), store.TrailQuery{Text: text, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		var ids []store.MessageID
		for _, trail := range page.Trails {
			ids = append(ids, trail.ID)
			if len(trail.Events) < 2 || trail.Events[0].Kind != store.Accepted {
				t.Errorf("events of %v are %+v", trail.ID, trail.Events)
			}
		}
		return ids
	}
	both := []store.MessageID{newer, older}
	for _, when := range []string{"before they are indexed", "after"} {
		t.Run(when, func(t *testing.T) {
			for _, test := range []struct {
				it, text string
				limit    int
				want     []store.MessageID
			}{
				{"gives all, newest first", "", 0, both},
				{"gives as many as are wanted", "", 1, both[:1]},
				{"finds an ID", older.String(), 0, both[1:]},
				{"finds a Message-ID", "m@example.org", 0, both[1:]},
				{"finds a Message-ID in brackets", " <m@example.org> ", 0, both[1:]},
				{"finds sender and recipient", "alice@example.org", 0, both},
				{"finds the newest of many", "alice@example.org", 1, both[:1]},
				{"finds a recipient without case", "someone@ELSEWHERE.example", 0, both[1:]},
				{"finds nothing", "nobody@example.org", 0, nil},
			} {
				t.Run(test.it, func(t *testing.T) {
					if got := find(t, test.text, test.limit); !slices.Equal(got, test.want) {
						t.Errorf("%q: got %v, want %v", test.text, got, test.want)
					}
				})
			}
		})
		for more := true; more; {
			var err error
			if more, err = f.indexTrails(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := number(t, f.Store, `SELECT COUNT(*) FROM trail_new`); n != 0 {
		t.Errorf("%d trails are still new", n)
	}
}

func TestTrailKeysAreEachOnce(t *testing.T) {
	h := trailHead{headerID: "x@y.example", sender: "A@b.example", recipients: []string{"a@B.example", "", "not an address"}}
	want := []string{"a:a@b.example", "a:not an address", "m:x@y.example"}
	if got := h.keys(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCounts(t *testing.T) {
	now := time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)
	s, err := Open(t.Context(), Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f := &directoryFixture{Store: s, accounts: make(map[store.AccountID]string)}
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{}, "alice@example.org")
	f.alias(t, "sales@example.org", "alice@example.org")
	yesterday := now.Add(-13 * time.Hour)
	now = yesterday
	f.queued(t, alice, "x@elsewhere.example")
	now = now.Add(13 * time.Hour)
	f.queued(t, alice, "x@elsewhere.example", "y@elsewhere.example")
	f.received(t, alice, 50)
	if _, err := f.HoldQueue(t.Context(), store.QueueFilter{Limit: 0}); err != nil {
		t.Fatal(err)
	}
	got, err := f.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := store.Counts{
		Domains: 1, Accounts: 1, Aliases: 1,
		Queued: 3, Held: 3, Oldest: got.Oldest,
		Received: 2, Delivered: 1,
	}
	if got != want || !got.Oldest.Equal(yesterday) {
		t.Errorf("got %+v, want %+v, the oldest of %v", got, want, yesterday)
	}
}

func TestQuotaNotices(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{Quota: 10_000}, "alice@example.org")
	free := f.account(t, store.Account{}, "free@example.org")
	f.received(t, free, 9000)
	owed := func() (percents []int) {
		t.Helper()
		notices, err := f.QuotaNotices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range notices {
			if n.Account != alice || n.Address.String() != "alice@example.org" || n.Quota != 10_000 || n.Usage != f.usage.get(alice) {
				t.Errorf("notice is %+v", n)
			}
			percents = append(percents, n.Percent)
		}
		return percents
	}
	tell := func(percent int) {
		t.Helper()
		err := f.write(t.Context(), 0, func(tx *tx) error {
			_, err := tx.exec(`UPDATE account SET notice_told = ? WHERE id = ?`, percent, alice)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(when string, want ...int) {
		t.Helper()
		if got := owed(); !slices.Equal(got, want) {
			t.Errorf("%s: notices of %v are owed, want %v", when, got, want)
		}
	}
	select {
	case <-f.UsageChanged(): // of free
	default:
		t.Error("mail for a maildrop isn't signalled")
	}
	f.received(t, alice, 7000)
	expect("at 70 %")
	large := f.received(t, alice, 1200)
	expect("above 80 %", 80)
	expect("until it is told", 80)
	tell(80)
	expect("once told")
	last := f.received(t, alice, 1300)
	expect("above 95 %", 95)
	tell(95)
	expect("once told of that")
	err := f.RemoveEntries(t.Context(), store.Removal{Account: alice, At: f.now(), Messages: []store.MessageID{large, last}})
	if err != nil {
		t.Fatal(err)
	}
	expect("below 75 %")
	f.received(t, alice, 1500)
	expect("above 80 % again", 80)
}
