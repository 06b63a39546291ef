package sqlite

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// However mail comes, is collected and is sent, at the end no message is without
// a reference, no reference without a message, no chunk without a body, and the
// counted usage is the real one.
func TestReferencesHold(t *testing.T) {
	s, ids := openFilled(t, 4)
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 7))
			for range 60 {
				if err := randomStep(s, ids, random); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "everything is reaped", func() bool {
		return number(t, s, `SELECT (SELECT COUNT(*) FROM reap) + (SELECT COUNT(*) FROM staging)`) == 0
	})
	for name, query := range map[string]string{
		"messages without a reference": `SELECT COUNT(*) FROM message m
			WHERE NOT EXISTS (SELECT 1 FROM entry WHERE message = m.id) AND NOT EXISTS (SELECT 1 FROM queue WHERE message = m.id)`,
		"references without a message":    `SELECT COUNT(*) FROM pragma_foreign_key_check`,
		"chunks too many or too few":      `SELECT (SELECT COUNT(*) FROM chunk) - (SELECT COALESCE(SUM(chunks), 0) FROM message)`,
		"staged bodies":                   `SELECT COUNT(*) FROM staging`,
		"octets too many or too few":      `SELECT (SELECT COALESCE(SUM(length(data)), 0) FROM chunk) - (SELECT COALESCE(SUM(size), 0) FROM message)`,
		"accounts whose usage is wrong":   `SELECT COUNT(*) FROM account a WHERE used_count <> (SELECT COUNT(*) FROM entry WHERE account = a.id) OR used_bytes <> (SELECT COALESCE(SUM(size), 0) FROM entry WHERE account = a.id)`,
		"items in the wrong class":        `SELECT COUNT(*) FROM queue WHERE class <> CASE WHEN cancel OR report THEN 2 WHEN attempts > 0 THEN 1 ELSE 0 END`,
		"items with the wrong origin":     `SELECT COUNT(*) FROM queue WHERE origin <> '' AND sender NOT LIKE '%@' || origin OR (origin = '') <> (sender = '')`,
		"trails without their acceptance": `SELECT COUNT(*) FROM trail t WHERE NOT EXISTS (SELECT 1 FROM event WHERE trail = t.id AND kind = 'accepted')`,
	} {
		if n := number(t, s, query); n != 0 {
			t.Errorf("%s: %d", name, n)
		}
	}
	if n := number(t, s, `SELECT COUNT(*) FROM message`); n == 0 {
		t.Error("nothing is left: the test shows nothing")
	}
	checkNothingForgotten(t, s)
	for _, id := range ids {
		if got, want := s.usage.get(id).Messages, number(t, s, fmt.Sprintf(`SELECT COUNT(*) FROM entry WHERE account = %d`, id)); got != want {
			t.Errorf("account %d: usage in memory says %d messages, there are %d", id, got, want)
		}
	}
}

// checkNothingForgotten claims all that may be claimed, by what the claims say is
// left and by what Changes tells, and finds nothing that they have passed over.
func checkNothingForgotten(t *testing.T, s *Store) {
	t.Helper()
	if n := len(s.claims.items) + len(s.claims.lanes); n != 0 {
		t.Errorf("%d claims are left although all are settled", n)
	}
	lanes, err := s.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	claimed := make(map[store.QueueID]bool)
	for _, l := range lanes {
		for due := l.Due; !due.IsZero(); {
			c, err := s.ClaimLane(t.Context(), store.LaneClaim{Lane: l.Lane, Now: due, Works: 2, PerWork: 2})
			if err != nil || len(c.Items) == 0 {
				t.Fatalf("nothing is claimed of %+v at %v (%v)", l.Lane, due, err)
			}
			for _, i := range c.Items {
				if claimed[i.ID] {
					t.Errorf("item %d is claimed twice", i.ID)
				}
				claimed[i.ID] = true
			}
			due = c.Next
		}
	}
	if want := number(t, s, `SELECT COUNT(*) FROM queue WHERE hold = 0`); int64(len(claimed)) != want {
		t.Errorf("%d items are claimed, %d wait", len(claimed), want)
	}
}

// randomStep does one of the things that happen to a store.
func randomStep(s *Store, ids []store.AccountID, random *rand.Rand) error {
	ctx := context.Background()
	account := ids[random.IntN(len(ids))]
	switch random.IntN(8) {
	case 6:
		return changeSome(ctx, s, random)
	case 0, 1:
		a := localMessage(s, account, random.IntN(900<<10))
		if random.IntN(2) == 0 {
			a.Local = append(a.Local, store.LocalDelivery{Account: ids[random.IntN(len(ids))], Recipient: mail.Address{Local: "v", Domain: "example.org"}})
		}
		if random.IntN(2) == 0 {
			a.Outbound = []store.Outbound{randomRecipient(random), randomRecipient(random)}
		}
		if random.IntN(4) == 0 {
			a.Owed = []store.OwedReport{{Recipient: randomRecipient(random).Recipient, Kind: store.OwedDelivered}}
		}
		return s.Accept(ctx, a)
	case 2:
		a := localMessage(s, account, 1+random.IntN(900<<10))
		a.Body = io.LimitReader(a.Body, a.Size-1)
		if s.Accept(ctx, a) == nil {
			return fmt.Errorf("half a body was accepted")
		}
		return nil
	case 3:
		entries, err := s.Entries(ctx, account)
		if err != nil {
			return err
		}
		removal := store.Removal{Account: account, At: s.now()}
		for _, e := range entries {
			if random.IntN(3) == 0 {
				removal.Messages = append(removal.Messages, e.Message)
			}
		}
		return s.RemoveEntries(ctx, removal)
	default:
		return settleSome(ctx, s, ids, random)
	}
}

func randomRecipient(random *rand.Rand) store.Outbound {
	domain := []string{"example.com", "b.example"}[random.IntN(2)]
	o := store.Outbound{Recipient: mail.Recipient{Address: mail.Address{Local: "r", Domain: domain}}}
	if random.IntN(2) == 0 {
		o.Sender = mail.Address{Local: "a@b", Domain: "our.example"}
	}
	return o
}

// changeSome does what the admin does to the queue.
func changeSome(ctx context.Context, s *Store, random *rand.Rand) error {
	changes := []func(context.Context, store.QueueFilter) (int64, error){
		s.RetryQueue, s.HoldQueue, s.ReleaseQueue, s.ReturnQueue, s.CancelQueue,
	}
	items, err := s.Queue(ctx, store.QueueFilter{})
	if err != nil || len(items) == 0 {
		return err
	}
	_, err = changes[random.IntN(len(changes))](ctx, store.QueueFilter{Message: items[random.IntN(len(items))].Message})
	return err
}

// settleSome claims of any lane, some of it together with others, and settles it.
func settleSome(ctx context.Context, s *Store, ids []store.AccountID, random *rand.Rand) error {
	lanes, err := s.Lanes(ctx)
	if err != nil || len(lanes) == 0 {
		return err
	}
	claim := store.LaneClaim{Lane: lanes[random.IntN(len(lanes))].Lane, Now: s.now(), Works: 3, PerWork: 2}
	if random.IntN(2) == 0 {
		claim.Together = func(l store.Lane) bool { return l.Class == claim.Lane.Class }
	}
	if random.IntN(4) == 0 {
		late := s.now().Add(time.Hour)
		claim.Late = &late
	}
	claimed, err := s.ClaimLane(ctx, claim)
	if err != nil {
		return err
	}
	settlement := store.Settlement{At: s.now(), Health: []store.Health{{Destination: claim.Lane.Domain}}}
	for _, i := range claimed.Items {
		o := store.Outcome{Item: i.ID, Message: i.Message, Result: store.Result(1 + random.IntN(5)), Retry: s.now().Add(time.Millisecond)}
		if o.Result == store.Failed {
			settlement.Reports = append(settlement.Reports, localMessage(s, ids[0], 300<<10))
		}
		settlement.Outcomes = append(settlement.Outcomes, o)
	}
	return s.Settle(ctx, settlement)
}

// A client that is slow to read holds nothing up: no read transaction is open
// between two reads of a body, or after a snapshot was taken.
func TestNoReadTransactionOutlivesACall(t *testing.T) {
	s, ids := openFilled(t, 1)
	a := localMessage(s, ids[0], 1<<20)
	if err := s.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	body, err := s.OpenEntry(t.Context(), ids[0], a.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadFull(body, make([]byte, 300<<10)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Entries(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the background's own reads are over", func() bool {
		var busy int
		err := s.writer.do(t.Context(), 0, func(*tx) error { return nil })
		if err == nil {
			err = s.checkDB.Load().QueryRow(`PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, new(int), new(int))
		}
		if err != nil {
			t.Fatal(err)
		}
		return busy == 0
	})
	if rest, err := io.ReadAll(body); err != nil || len(rest) == 0 {
		t.Errorf("%d octets were left to read (%v)", len(rest), err)
	}
}
