package sqlite

import (
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
