package admin_test

import (
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// overRelay leads all mail to a relay, but that for one domain.
func overRelay(store.Ways) func(store.Lane) string {
	return func(l store.Lane) string {
		if l.Domain == "direct.example" {
			return l.Domain
		}
		return "relay smtp.example:587"
	}
}

func TestRelayOfDestinations(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.Leading = overRelay
	ctx := t.Context()
	later := f.now.Add(time.Hour)
	f.accept("alice@example.org", 100, nil, "x@one.example", "y@two.example", "z@two.example", "x@direct.example", "x@held.example", "x@paused.example")
	_, err := f.HoldQueue(ctx, admin.QueueSelection{Domain: "held.example"})
	f.must(err)
	f.must(f.PauseDestination(ctx, "paused.example"))
	f.know(
		store.Health{Destination: "relay smtp.example:587", Host: "smtp.example", Failures: 3, NextTry: later, Reply: "connection refused"},
		store.Health{Destination: "one.example", Host: "mx.one.example", LastSuccess: f.now, Reply: "250 before there was a relay"},
	)
	list, err := f.Destinations(ctx)
	f.must(err)
	got := make(map[string]admin.Destination)
	for _, d := range list {
		got[d.Destination] = d
	}
	if d := got["relay smtp.example:587"]; d.State != "failing" || d.Waiting != 3 {
		t.Errorf("the relay is %+v, want three waiting for it", d)
	}
	for _, domain := range []string{"one.example", "two.example"} {
		d := got[domain]
		if d.State != "failing" || d.LastReply != "connection refused" || !d.NextTry.Equal(later) || strings.Join(d.Over, ";") != "relay smtp.example:587" {
			t.Errorf("%s is %+v, want it to be doing as its relay", domain, d)
		}
	}
	for domain, state := range map[string]string{"direct.example": "ok", "held.example": "ok", "paused.example": "paused"} {
		if d := got[domain]; d.State != state || d.Over != nil || d.LastReply != "" {
			t.Errorf("%s is %+v, want it %s", domain, d, state)
		}
	}
	if item := f.listed(admin.QueueSelection{Domain: "one.example"}); !item.NextAttempt.Equal(later) || item.LastReply != "connection refused" {
		t.Errorf("what waits for the relay is tried at %v after %q", item.NextAttempt, item.LastReply)
	}
	if item := f.listed(admin.QueueSelection{Domain: "direct.example"}); !item.NextAttempt.Equal(f.now) || item.LastReply != "" {
		t.Errorf("what doesn't go there is tried at %v after %q", item.NextAttempt, item.LastReply)
	}
}
