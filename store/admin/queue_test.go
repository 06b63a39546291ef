package admin_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// know settles what is known of destinations.
func (f *fixture) know(health ...store.Health) {
	f.t.Helper()
	f.must(f.store.Settle(f.t.Context(), store.Settlement{At: f.now, Health: health}))
}

// listed returns what the one recipient of a selection is shown as.
func (f *fixture) listed(selection admin.QueueSelection) admin.QueueItem {
	f.t.Helper()
	list, err := f.Queue(f.t.Context(), selection)
	f.must(err)
	if len(list) != 1 {
		f.t.Fatalf("%+v finds %+v, want one recipient", selection, list)
	}
	return list[0]
}

func TestQueueBySender(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	f.accept("alice@example.org", 100, nil, "x@elsewhere.example", "y@other.example")
	f.accept("bob@example.org", 200, nil, "x@elsewhere.example")
	for _, test := range []struct {
		it        string
		selection admin.QueueSelection
		want      int
	}{
		{"finds a sender", admin.QueueSelection{Sender: "<Alice@Example.org>"}, 2},
		{"narrows by domain", admin.QueueSelection{Sender: "alice@example.org", Domain: "other.example"}, 1},
		{"narrows by message", admin.QueueSelection{Sender: "bob@example.org", Message: "100@example.org"}, 0},
		{"finds nobody else", admin.QueueSelection{Sender: "carol@example.org"}, 0},
	} {
		if list, err := f.Queue(ctx, test.selection); err != nil || len(list) != test.want {
			t.Errorf("it %s: got %+v, %v, want %d", test.it, list, err, test.want)
		}
	}
	_, err := f.Queue(ctx, admin.QueueSelection{Sender: "alice"})
	f.fails(err, admin.Invalid, nil, `"alice" is not a mail address`)
	bob := admin.QueueSelection{Sender: "bob@example.org"}
	for _, step := range []struct {
		it   string
		do   func() (int64, error)
		want int64
	}{
		{"holds", func() (int64, error) { return f.HoldQueue(ctx, bob) }, 1},
		{"lists held mail", func() (int64, error) { return f.lengthOf(admin.QueueSelection{Held: true}) }, 1},
		{"releases", func() (int64, error) { return f.ReleaseQueue(ctx, bob) }, 1},
		{"retries", func() (int64, error) { return f.RetryQueue(ctx, bob) }, 1},
		{"cancels", func() (int64, error) { return f.CancelQueue(ctx, bob) }, 1},
		{"leaves the others", func() (int64, error) { return f.lengthOf(admin.QueueSelection{}) }, 2},
	} {
		if n, err := step.do(); n != step.want || err != nil {
			t.Errorf("it %s: %d, %v, want %d", step.it, n, err, step.want)
		}
	}
	_, err = f.HoldQueue(ctx, bob)
	f.fails(err, admin.NotFound, store.ErrNotFound, "No mail from bob@example.org is in the queue.")
	_, err = f.ReleaseQueue(ctx, admin.QueueSelection{Sender: "alice@example.org", Held: true})
	f.fails(err, admin.NotFound, store.ErrNotFound, "No held mail from alice@example.org is in the queue.")
}

func (f *fixture) lengthOf(selection admin.QueueSelection) (int64, error) {
	list, err := f.Queue(f.t.Context(), selection)
	return int64(len(list)), err
}

func TestEachQueueItemReadsPages(t *testing.T) {
	f := newFixture(t)
	f.fill()
	var to []string
	for i := range 2500 {
		to = append(to, fmt.Sprintf("r%04d@d%d.example", i, i%2))
	}
	f.accept("alice@example.org", 100, nil, to...)
	var got []string
	f.must(f.EachQueueItem(t.Context(), admin.QueueSelection{}, func(item admin.QueueItem) error {
		got = append(got, item.To)
		return nil
	}))
	if !slices.Equal(got, to) {
		t.Errorf("got %d recipients, want %d, each once and in order", len(got), len(to))
	}
	if n, err := f.lengthOf(admin.QueueSelection{Domain: "d1.example"}); n != 1250 || err != nil {
		t.Errorf("one domain has %d, %v, want 1250", n, err)
	}
	enough, seen := errors.New("enough"), 0
	err := f.EachQueueItem(t.Context(), admin.QueueSelection{}, func(admin.QueueItem) error {
		if seen++; seen == 1100 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || seen != 1100 {
		t.Errorf("stopped after %d with %v", seen, err)
	}
}

func TestQueueItemKnowsItsDestination(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.accept("alice@example.org", 100, nil, "x@dead.example")
	f.accept("alice@example.org", 200, nil, "x@well.example")
	later := f.now.Add(time.Hour)
	f.know(
		store.Health{Destination: "dead.example", Failures: 3, NextTry: later, Reply: "connection refused"},
		store.Health{Destination: "well.example", NextTry: later, Reply: "250 thanks"},
	)
	if got := f.listed(admin.QueueSelection{Domain: "dead.example"}); !got.NextAttempt.Equal(later) || got.LastReply != "connection refused" {
		t.Errorf("where nobody can be reached it is tried at %v after %q", got.NextAttempt, got.LastReply)
	}
	if got := f.listed(admin.QueueSelection{Domain: "well.example"}); !got.NextAttempt.Equal(f.now) || got.LastReply != "" {
		t.Errorf("where all is well it is tried at %v after %q", got.NextAttempt, got.LastReply)
	}
	f.know(store.Health{Destination: "dead.example", Failures: 4, NextTry: f.now.Add(-time.Hour)})
	if got := f.listed(admin.QueueSelection{Domain: "dead.example"}); !got.NextAttempt.Equal(f.now) {
		t.Errorf("it is tried at %v, before it is due", got.NextAttempt)
	}
}

func TestQueueItemSaysWhyItIsHeld(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	f.accept("bob@example.org", 100, nil, "x@elsewhere.example")
	_, err := f.HoldQueue(ctx, admin.QueueSelection{All: true})
	f.must(err)
	f.must(f.DisableAccount(ctx, "bob@example.org", false))
	f.must(f.PauseDestination(ctx, "elsewhere.example"))
	got := f.listed(admin.QueueSelection{Held: true})
	if got.Status != "held" || !slices.Equal(got.HeldBy, []string{"admin", "account", "pause"}) || got.Account != "bob@example.org" || got.Size != 100 {
		t.Errorf("got %+v", got)
	}
}

func TestShowQueue(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	id := f.accept("alice@example.org", 100, nil, "x@elsewhere.example", "y@other.example")
	f.accept("alice@example.org", 200, nil, "x@elsewhere.example")
	items, err := f.store.Queue(ctx, store.QueueFilter{Message: id, Domain: "other.example"})
	f.must(err)
	f.must(f.store.Settle(ctx, store.Settlement{At: f.now, Outcomes: []store.Outcome{{
		Item: items[0].ID, Message: id, Recipient: f.address("y@other.example"), Result: store.Deferred, Retry: f.now.Add(time.Hour), Reply: "451 later",
		Events: []store.Event{
			{Kind: store.Attempt, Time: f.now, Recipient: "y@other.example", Host: "mx1.other.example", Reply: "421 busy"},
			{Kind: store.Attempt, Time: f.now, Recipient: "y@other.example", Host: "mx2.other.example", Reply: "451 later"},
			{Kind: store.Postponed, Time: f.now, Recipient: "y@other.example"},
		},
	}}}))
	for _, text := range []string{id.String(), "<100@example.org>"} {
		shown, err := f.ShowQueue(ctx, text)
		f.must(err)
		if len(shown) != 2 || shown[0].To != "x@elsewhere.example" || shown[1].Attempts != 1 {
			t.Fatalf("%s shows %+v", text, shown)
		}
		var hosts []string
		for _, event := range shown[1].Events {
			if event.Kind == store.Attempt {
				hosts = append(hosts, event.Host)
			}
		}
		if !slices.Equal(hosts, []string{"mx1.other.example", "mx2.other.example"}) {
			t.Errorf("%s shows attempts at %q", text, hosts)
		}
		if n := len(shown[0].Events); n != 1 || shown[0].Events[0].Kind != store.Queued {
			t.Errorf("%s shows %+v for a recipient that wasn't tried", text, shown[0].Events)
		}
	}
	_, err = f.ShowQueue(ctx, "0000000000000")
	f.fails(err, admin.NotFound, store.ErrNotFound, "The message 0000000000000 is not in the queue.")
	_, err = f.ShowQueue(ctx, " ")
	f.fails(err, admin.Invalid, nil, "Say which message is meant")
}

func TestCountQueue(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	id := f.accept("alice@example.org", 100, nil, "x@elsewhere.example", "y@other.example", "z@other.example")
	f.accept("bob@example.org", 200, nil, "x@elsewhere.example")
	_, err := f.HoldQueue(ctx, admin.QueueSelection{Message: id.String(), Domain: "other.example"})
	f.must(err)
	for _, test := range []struct {
		it        string
		selection admin.QueueSelection
		want      int64
	}{
		{"counts all", admin.QueueSelection{}, 4},
		{"counts what is held", admin.QueueSelection{Held: true}, 2},
		{"counts a domain", admin.QueueSelection{Domain: "Elsewhere.example"}, 2},
		{"counts what a domain has held", admin.QueueSelection{Domain: "other.example", Held: true}, 2},
		{"counts nothing of another domain", admin.QueueSelection{Domain: "nothing.example"}, 0},
		{"counts a sender", admin.QueueSelection{Sender: "alice@example.org"}, 3},
		{"counts a sender at a domain", admin.QueueSelection{Sender: "alice@example.org", Domain: "other.example"}, 2},
		{"counts a message", admin.QueueSelection{Message: id.String()}, 3},
	} {
		if n, exact, err := f.CountQueue(ctx, test.selection); n != test.want || !exact || err != nil {
			t.Errorf("it %s: %d, %v, %v, want %d", test.it, n, exact, err, test.want)
		}
	}
	_, _, err = f.CountQueue(ctx, admin.QueueSelection{Domain: "a b"})
	f.fails(err, admin.Invalid, nil, `"a b" is not a domain name`)
}

func TestQueueAfter(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.accept("alice@example.org", 100, nil, "a@one.example", "b@two.example", "c@one.example")
	all, err := f.Queue(t.Context(), admin.QueueSelection{})
	f.must(err)
	for _, test := range []struct {
		selection admin.QueueSelection
		want      int
	}{
		{admin.QueueSelection{After: all[0].Position}, 2},
		{admin.QueueSelection{After: all[0].Position, Domain: "one.example"}, 1},
		{admin.QueueSelection{After: all[2].Position}, 0},
	} {
		if rest, err := f.Queue(t.Context(), test.selection); err != nil || len(rest) != test.want {
			t.Errorf("%+v finds %+v, %v, want %d", test.selection, rest, err, test.want)
		}
	}
}
