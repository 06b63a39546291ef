package admin_test

import (
	"encoding/json"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

func TestDestinations(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	if list, err := f.Destinations(ctx); err != nil || list == nil || len(list) != 0 {
		t.Errorf("at first: %+v, %v, want an empty list", list, err)
	}
	f.accept("alice@example.org", 100, nil, "x@dead.example", "y@dead.example", "x@new.example", "x@paused.example", "x@held.example")
	_, err := f.HoldQueue(ctx, admin.QueueSelection{Domain: "held.example"})
	f.must(err)
	f.know(
		store.Health{Destination: "dead.example", Host: "mx.dead.example", Failures: 2, LastFailure: f.now, NextTry: f.now.Add(time.Hour), Reply: "connection refused"},
		store.Health{Destination: "relay smtp.example:587", Host: "smtp.example", LastSuccess: f.now, Reply: "250 ok"},
		store.Health{Destination: "paused.example as example.org", LastSuccess: f.now},
	)
	f.must(f.PauseDestination(ctx, "Paused.example"))
	f.must(f.PauseDestination(ctx, "empty.example"))
	list, err := f.Destinations(ctx)
	f.must(err)
	want := []string{
		`{"destination":"dead.example","domain":"dead.example","state":"failing","waiting":2,"held":0,"sending":0,"oldest":"2026-05-06T07:08:09Z","failures":2,` +
			`"last_failure":"2026-05-06T07:08:09Z","next_try":"2026-05-06T08:08:09Z","host":"mx.dead.example","last_reply":"connection refused"}`,
		`{"destination":"empty.example","domain":"empty.example","state":"paused","waiting":0,"held":0,"sending":0,"failures":0,` +
			`"paused_since":"2026-05-06T07:08:09Z","host":"","last_reply":""}`,
		`{"destination":"held.example","domain":"held.example","state":"ok","waiting":0,"held":1,"sending":0,"oldest":"2026-05-06T07:08:09Z","failures":0,"host":"","last_reply":""}`,
		`{"destination":"new.example","domain":"new.example","state":"ok","waiting":1,"held":0,"sending":0,"oldest":"2026-05-06T07:08:09Z","failures":0,"host":"","last_reply":""}`,
		`{"destination":"paused.example","domain":"paused.example","state":"paused","waiting":0,"held":1,"sending":0,"oldest":"2026-05-06T07:08:09Z","failures":0,` +
			`"paused_since":"2026-05-06T07:08:09Z","host":"","last_reply":""}`,
		`{"destination":"paused.example as example.org","domain":"paused.example","state":"paused","waiting":0,"held":0,"sending":0,"failures":0,` +
			`"last_success":"2026-05-06T07:08:09Z","paused_since":"2026-05-06T07:08:09Z","host":"","last_reply":""}`,
		`{"destination":"relay smtp.example:587","state":"ok","waiting":0,"held":0,"sending":0,"failures":0,"last_success":"2026-05-06T07:08:09Z","host":"smtp.example","last_reply":"250 ok"}`,
	}
	if len(list) != len(want) {
		t.Fatalf("got %d destinations, want %d: %+v", len(list), len(want), list)
	}
	for i, d := range list {
		encoded, err := json.Marshal(d)
		f.must(err)
		if string(encoded) != want[i] {
			t.Errorf("got  %s\nwant %s", encoded, want[i])
		}
	}
}

func TestPauseDestination(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	id := f.accept("alice@example.org", 100, nil, "x@elsewhere.example")
	both := f.accept("bob@example.org", 200, nil, "x@elsewhere.example", "x@other.example")
	f.must(f.PauseDestination(ctx, "Elsewhere.example"))
	f.fails(f.PauseDestination(ctx, "elsewhere.example"), admin.Conflict, store.ErrConflict, "elsewhere.example is paused already.")
	f.fails(f.PauseDestination(ctx, "x@elsewhere.example"), admin.Invalid, nil, "is not a domain name")
	f.fails(f.ResumeDestination(ctx, "other.example"), admin.NotFound, store.ErrNotFound, "other.example is not paused.")
	if got := f.listed(admin.QueueSelection{Message: id.String()}); got.Status != "held" {
		t.Errorf("while paused: %+v", got)
	}
	const stays = "Mail for elsewhere.example stays here, because the destination is paused. Resume it first."
	for _, selection := range []admin.QueueSelection{
		{Domain: "elsewhere.example"},
		{Message: id.String()},
		{Sender: "alice@example.org"},
		{Message: both.String(), Domain: "elsewhere.example"},
	} {
		_, err := f.RetryQueue(ctx, selection)
		f.fails(err, admin.InUse, nil, stays)
		_, err = f.ReleaseQueue(ctx, selection)
		f.fails(err, admin.InUse, nil, stays)
	}
	for _, selection := range []admin.QueueSelection{
		{All: true},
		{Message: both.String()},
		{Sender: "bob@example.org"},
		{Domain: "other.example"},
	} {
		if n, err := f.RetryQueue(ctx, selection); n == 0 || err != nil {
			t.Errorf("retrying %+v: %d, %v", selection, n, err)
		}
	}
	f.must(f.ResumeDestination(ctx, "elsewhere.example"))
	if n, err := f.RetryQueue(ctx, admin.QueueSelection{Message: id.String()}); n != 1 || err != nil {
		t.Errorf("retrying what was resumed: %d, %v", n, err)
	}
	if got := f.listed(admin.QueueSelection{Message: id.String()}); got.Status != "waiting" || got.HeldBy != nil {
		t.Errorf("once resumed: %+v", got)
	}
}
