package sqlite

import (
	"context"
	"errors"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// What a disabled account had in the queue is not stuck when the account is
// removed: the admin can release it.
func TestQueueOfRemovedAccountCanBeReleased(t *testing.T) {
	s, ids := openFilled(t, 1)
	a := localMessage(s, ids[0], 10)
	a.Account, a.Local = ids[0], nil
	a.Outbound = []store.Outbound{{Recipient: mail.Recipient{Address: mail.Address{Local: "r", Domain: "example.com"}}}}
	if err := s.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if err := s.SetStanding(t.Context(), ids[0], store.Disabled); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveAccount(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	claim := func() int {
		lane := store.Lane{Domain: "example.com", Account: ids[0]}
		claimed, err := s.ClaimLane(t.Context(), store.LaneClaim{Lane: lane, Now: time.Now(), Works: 10, PerWork: 10})
		if err != nil {
			t.Fatal(err)
		}
		return len(claimed.Items)
	}
	if n := claim(); n != 0 {
		t.Errorf("%d items are sent although they are held", n)
	}
	if n, err := s.ReleaseQueue(t.Context(), store.QueueFilter{}); n != 1 || err != nil {
		t.Errorf("%d items released (%v), want 1", n, err)
	}
	if n := claim(); n != 1 {
		t.Errorf("%d items are sent after the release, want 1", n)
	}
}

// A large maildrop is emptied in steps; whoever stops in the middle finds the
// account with the rest.
func TestRemoveAccountInSteps(t *testing.T) {
	s, err := Open(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := fill(t, s, 2)[0]
	if err := fillMaildrop(t, s, id); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var total int64
	err = s.RemoveAccount(store.WithProgress(ctx, func(done, all int64) {
		if total = all; done > all/2 {
			stop()
		}
	}), id)
	left, entriesErr := s.Entries(t.Context(), id)
	account, accountErr := s.Account(t.Context(), id)
	if !errors.Is(err, context.Canceled) || entriesErr != nil || accountErr != nil || total != 100_001 {
		t.Fatalf("stopped with %v, %v, %v of %d", err, entriesErr, accountErr, total)
	}
	if n := int64(len(left)); n == 0 || n >= total/2 || account.Usage.Messages != n || account.Usage.Bytes != n {
		t.Errorf("%d are left, and %+v counted", n, account.Usage)
	}
	if err := s.RemoveAccount(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Account(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
	if err := s.reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	var messages int
	if err := s.queryRow(`SELECT COUNT(*) FROM message`).Scan(&messages); err != nil || messages != 0 {
		t.Errorf("%d messages are left, %v", messages, err)
	}
}
