package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

func keepsForReports(t *testing.T, f *fixture) {
	a := outbound(f.message("x"), "r@example.com", "s@example.com")
	a.Envelope.TLS, a.Authentic = mail.TLSRequired, true
	a.Outbound[0].Sender = address(`"SRS0=a@b"@our.example`)
	a.Outbound[0].Via = address("list@example.org")
	a.Outbound[1].Sender = mail.Address{}
	a.Outbound[1].Expires = f.now.Add(time.Minute)
	id := f.accept(a)
	items := f.claim()
	if len(items) != 2 {
		t.Fatalf("%d items, want 2", len(items))
	}
	i, j := items[0], items[1]
	if i.Sender != a.Outbound[0].Sender || i.Origin != "our.example" || i.Via != a.Outbound[0].Via || !i.Authentic || i.Envelope != a.Envelope {
		t.Errorf("claimed %+v", i)
	}
	if j.Origin != "" || !j.Via.IsNull() || !j.Expires.Equal(f.now.Add(time.Minute)) {
		t.Errorf("claimed %+v", j)
	}
	if m, err := f.Message(t.Context(), id); err != nil || m.Envelope != a.Envelope {
		t.Errorf("the envelope is %+v (%v), was %+v", m.Envelope, err, a.Envelope)
	}
	trail := f.trails(id.String())[0]
	if e := trail.Events[1]; e.Kind != store.Queued || e.Recipient != "r@example.com" || e.Via != "list@example.org" {
		t.Errorf("queued is %+v", e)
	}
}

func owesReports(t *testing.T, f *fixture) {
	a := f.local(f.message("x"), f.alice)
	to := mail.Recipient{Address: address("to1@example.org"), Notify: mail.NotifySuccess, Original: "rfc822;x@example.org"}
	a.Owed = []store.OwedReport{{Recipient: to, Kind: store.OwedDelivered}}
	id := f.accept(a)
	f.accept(outbound(f.message("x"), "r@example.com"))
	if got := f.queue(); recipients(got) != "r@example.com" {
		t.Errorf("%s are listed, want only what is to be sent", recipients(got))
	}
	if n, err := f.HoldQueue(t.Context(), store.QueueFilter{}); n != 1 || err != nil {
		t.Errorf("%d items are held (%v), want 1", n, err)
	}
	if c, err := f.Counts(t.Context()); err != nil || c.Queued != 1 || c.Held != 1 {
		t.Errorf("%d queued, %d held (%v), want 1 each", c.Queued, c.Held, err)
	}
	f.must(f.PauseDomain(t.Context(), "example.org"))
	f.reopen()
	claimed := f.claimLane(store.LaneClaim{Lane: lane("example.org", store.Paperwork)}).Items
	if len(claimed) != 1 {
		t.Fatalf("%d reports claimed, want 1", len(claimed))
	}
	i := claimed[0]
	if i.Message != id || i.Owed != store.OwedDelivered || i.Recipient != to || i.Sender != a.Envelope.Sender {
		t.Errorf("claimed %+v", i)
	}
	if gone, err := f.Withdrawn(t.Context(), []store.QueueID{i.ID}); len(gone) != 0 || err != nil {
		t.Errorf("the report is withdrawn (%v)", err)
	}
	o := outcome(i, store.Told)
	o.Events = []store.Event{{Time: f.now, Kind: store.Reported, Recipient: "to1@example.org"}}
	before, err := f.Counts(t.Context())
	f.must(err)
	f.settle(o)
	if after, err := f.Counts(t.Context()); err != nil || after != before {
		t.Errorf("counts are %+v (%v), were %+v", after, err, before)
	}
	if got := kinds(f.trails(id.String())[0].Events); !slices.Equal(got, []store.Kind{store.Accepted, store.Delivered, store.Reported}) {
		t.Errorf("the trail is %v", got)
	}
	if again := f.claimLane(store.LaneClaim{Lane: lane("example.org", store.Paperwork)}).Items; len(again) != 0 {
		t.Errorf("the report is owed again")
	}
	f.must(f.RemoveEntries(t.Context(), store.Removal{Account: f.alice, At: f.now, Messages: []store.MessageID{id}}))
	f.eventually("the message is removed", f.gone(id))
}

func keepsHealth(t *testing.T, f *fixture) {
	f.accept(outbound(f.message("x"), "r@example.com"))
	sick := store.Health{Destination: "example.com", Host: "mx", Failures: 3, LastFailure: f.now, NextTry: f.now.Add(time.Hour), Reply: "connection refused"}
	o := outcome(f.claim()[0], store.Deferred)
	o.Retry = f.now.Add(time.Hour)
	f.must(f.Settle(t.Context(), store.Settlement{At: f.now, Outcomes: []store.Outcome{o}, Health: []store.Health{sick}}))
	well := store.Health{Destination: "a.example", LastSuccess: f.now}
	f.must(f.Settle(t.Context(), store.Settlement{At: f.now, Health: []store.Health{well}}))
	f.reopen()
	list, err := f.FailingHealth(t.Context())
	f.must(err)
	if len(list) != 1 || !sameHealth(list[0], sick) {
		t.Errorf("failing are %+v", list)
	}
	list, err = f.Health(t.Context())
	f.must(err)
	if len(list) != 2 || !sameHealth(list[0], well) || !sameHealth(list[1], sick) {
		t.Errorf("health is %+v, want %+v and %+v", list, well, sick)
	}
	sick.Failures, sick.NextTry = 0, time.Time{}
	f.must(f.Settle(t.Context(), store.Settlement{At: f.now, Health: []store.Health{sick}}))
	if list, err = f.Health(t.Context()); err != nil || len(list) != 2 || !sameHealth(list[1], sick) {
		t.Errorf("health is %+v (%v), want %+v", list, err, sick)
	}
}

func listsDestinations(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.accept(outbound(f.message("x"), "1@few.example", "1@many.example", "2@many.example", "1@led.example", "1@paused.example"))
	f.must(f.PauseDomain(ctx, "paused.example"))
	relay := store.Health{Destination: "relay out.example:25", Host: "out", Failures: 2, LastFailure: f.now, NextTry: f.now.Add(time.Hour), Reply: "no route to host"}
	f.must(f.Settle(ctx, store.Settlement{Health: []store.Health{relay, {Destination: "well.example", Host: "mx.well.example", LastSuccess: f.now}}}))
	leading := []store.Leading{
		{Destination: "led.example", Follows: relay.Destination, Led: true},
		{Destination: relay.Destination, Waits: 5},
	}
	key := func(d store.DestinationRow) string { return d.Destination }
	for _, test := range []struct {
		it               string
		q                store.ListQuery
		ways             []store.Leading
		offset, matching int64
		want             []string
	}{
		{
			"it lists what doesn't go on first, then what waits",
			store.ListQuery{},
			nil, 0, 6,
			[]string{"paused.example", relay.Destination, "many.example", "few.example", "led.example", "well.example"},
		},
		{
			"it takes in what is said of other ways",
			store.ListQuery{Limit: 4},
			leading, 0, 6,
			[]string{relay.Destination, "led.example", "paused.example", "many.example"},
		},
		{"it gives the last part for one behind the end", store.ListQuery{Limit: 4, Offset: 40}, leading, 4, 6, []string{"few.example", "well.example"}},
		{"it looks for the host of the one that is followed", store.ListQuery{Text: "OUT"}, leading, 0, 2, []string{relay.Destination, "led.example"}},
		{"it looks for the state", store.ListQuery{Text: "paused"}, nil, 0, 1, []string{"paused.example"}},
		{"it finds nothing", store.ListQuery{Text: "%", Limit: 2}, nil, 0, 0, nil},
	} {
		part, err := f.ListDestinations(ctx, test.q, test.ways)
		shows(t, test.it, part.ListPart, err, key, test.offset, test.matching, test.want...)
		if part.All != 6 || part.Failing != 1 || part.Paused != 1 {
			t.Errorf("%s: of %d it counts %d failing and %d paused, want 6, 1 and 1", test.it, part.All, part.Failing, part.Paused)
		}
	}
	part, err := f.ListDestinations(ctx, store.ListQuery{Text: "led.example"}, leading)
	if f.must(err); len(part.Rows) != 1 || !sameHealth(part.Rows[0].Health, relay) || part.Rows[0].Queue.Waiting != 1 || !part.Rows[0].Queue.Oldest.Equal(f.now) {
		t.Errorf("a led domain is %+v, want it to do as its relay", part.Rows)
	}
	if h, err := f.HealthOf(ctx, relay.Destination); err != nil || !sameHealth(h, relay) {
		t.Errorf("the relay is %+v, %v; want %+v", h, err, relay)
	}
	if h, err := f.HealthOf(ctx, "few.example"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown destination is %+v, %v; want %v", h, err, store.ErrNotFound)
	}
}

func sameHealth(a, b store.Health) bool {
	same := a.LastSuccess.Equal(b.LastSuccess) && a.LastFailure.Equal(b.LastFailure) && a.NextTry.Equal(b.NextTry)
	a.LastSuccess, a.LastFailure, a.NextTry = b.LastSuccess, b.LastFailure, b.NextTry
	return same && a == b
}

func pausesDomain(t *testing.T, f *fixture) {
	ctx := t.Context()
	id := f.accept(outbound(f.message("x"), "1@example.com", "2@example.com", "3@b.example"))
	l := lane("example.com", store.Fresh)
	claimed := f.claimLane(store.LaneClaim{Lane: l, PerWork: 1, Works: 1}).Items
	f.must(f.PauseDomain(ctx, "example.com"))
	if err := f.PauseDomain(ctx, "example.com"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("pausing it again: %v", err)
	}
	if !f.Changes().Ways {
		t.Error("nobody is told of the pause")
	}
	if gone, err := f.Withdrawn(ctx, []store.QueueID{claimed[0].ID}); len(gone) != 1 || err != nil {
		t.Errorf("%d items are withdrawn (%v), want the claimed one", len(gone), err)
	}
	f.settle(outcome(claimed[0], store.Interrupted))
	if c := f.claimLane(store.LaneClaim{Lane: l}); len(c.Items) != 0 || !c.Next.IsZero() {
		t.Errorf("claimed %s of a paused domain, next %v", recipients(c.Items), c.Next)
	}
	both := f.claimLane(store.LaneClaim{Lane: lane("b.example", store.Fresh), Together: func(store.Lane) bool { return true }}).Items
	if got := recipients(both); got != "3@b.example" {
		t.Errorf("claimed %s together", got)
	}
	if n := len(f.laneList()); n != 1 {
		t.Errorf("%d lanes, want the paused one", n)
	}
	held, err := f.Queue(ctx, store.QueueFilter{Held: true})
	if err != nil || recipients(held) != "1@example.com 2@example.com" || held[0].Hold != store.HeldByPause {
		t.Errorf("held are %+v (%v)", held, err)
	}
	f.reopen()
	if n, err := f.ReturnQueue(ctx, store.QueueFilter{Message: id, After: held[0].ID, Domain: "example.com"}); n != 1 || err != nil {
		t.Errorf("%d items returned (%v), want 1", n, err)
	}
	paper := f.claimLane(store.LaneClaim{Lane: lane("example.com", store.Paperwork)}).Items
	if recipients(paper) != "2@example.com" || paper[0].Hold != 0 {
		t.Errorf("claimed %+v, want what is to be returned", paper)
	}
	f.Changes()
	f.must(f.ResumeDomain(ctx, "example.com"))
	if err := f.ResumeDomain(ctx, "example.com"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("resuming it again: %v", err)
	}
	changes := f.Changes()
	if !changes.Ways || !slices.ContainsFunc(changes.Lanes, func(d store.LaneDue) bool { return d.Lane == l }) {
		t.Errorf("after the resumption it tells %+v", changes)
	}
	if got := recipients(f.claimLane(store.LaneClaim{Lane: l}).Items); got != "1@example.com" {
		t.Errorf("claimed %s after the resumption", got)
	}
}

func listsQueue(t *testing.T, f *fixture) {
	a := outbound(f.message("x"), "1@example.com", "2@b.example")
	a.Envelope.Sender = address("News@Example.net")
	f.accept(a)
	b := outbound(f.message("x"), "3@example.com")
	b.Account = f.alice
	f.accept(b)
	third := outbound(f.message("x"), "news@example.net")
	third.Envelope.Sender = address("other@example.net")
	held := f.accept(third)
	if _, err := f.HoldQueue(t.Context(), store.QueueFilter{Message: held}); err != nil {
		t.Fatal(err)
	}
	list := func(filter store.QueueFilter) []store.QueueItem {
		t.Helper()
		items, err := f.Queue(t.Context(), filter)
		f.must(err)
		return items
	}
	all := list(store.QueueFilter{})
	for _, test := range []struct {
		it     string
		filter store.QueueFilter
		want   []store.QueueItem
	}{
		{"lists all", store.QueueFilter{}, all[:4]},
		{"lists a page", store.QueueFilter{Limit: 2}, all[:2]},
		{"lists the next page", store.QueueFilter{Limit: 2, After: all[1].ID}, all[2:4]},
		{"lists a domain", store.QueueFilter{Domain: "b.example"}, all[1:2]},
		{"lists the next page of a domain", store.QueueFilter{Domain: "example.com", After: all[0].ID}, all[2:3]},
		{"lists an account", store.QueueFilter{Account: f.alice}, all[2:3]},
		{"lists a sender, not a recipient", store.QueueFilter{Sender: "news@example.net"}, all[:2]},
		{"lists what is held", store.QueueFilter{Held: true}, all[3:4]},
		{"lists nothing of a stranger", store.QueueFilter{Sender: "nobody@example.net"}, nil},
	} {
		check := func(when string) {
			if got := list(test.filter); !slices.Equal(got, test.want) {
				t.Errorf("%s %s: %s, want %s", test.it, when, recipients(got), recipients(test.want))
			}
			if n, err := f.CountQueue(t.Context(), test.filter); n != int64(len(test.want)) || err != nil {
				t.Errorf("%s %s, but counts %d (%v)", test.it, when, n, err)
			}
		}
		check("at once")
		f.eventually("the trails are indexed", func() bool { return len(f.trails("one@example.net")) == 3 })
		check("later")
	}
	if n, err := f.CancelQueue(t.Context(), store.QueueFilter{Sender: "news@example.net"}); n != 2 || err != nil {
		t.Errorf("%d items of the sender cancelled (%v), want 2", n, err)
	}
}

func countsByDomain(t *testing.T, f *fixture) {
	oldest := f.now
	for i := range 3 {
		f.accept(outbound(f.message("x"), "1@example.com", "2@b.example"))
		f.now = f.now.Add(time.Minute)
		if i == 1 {
			_, err := f.HoldQueue(t.Context(), store.QueueFilter{Domain: "b.example"})
			f.must(err)
		}
	}
	f.claimLane(store.LaneClaim{Lane: lane("example.com", store.Fresh), Works: 1})
	owed := f.local(f.message("x"), f.alice)
	owed.Owed = []store.OwedReport{{Recipient: mail.Recipient{Address: address("x@c.example")}, Kind: store.OwedDelivered}}
	f.accept(owed)
	check := func(want ...store.DestinationQueue) {
		t.Helper()
		list, err := f.QueuedByDomain(t.Context())
		f.must(err)
		for i := range list {
			if !list[i].Oldest.Equal(oldest) {
				t.Errorf("oldest is %v, want %v", list[i].Oldest, oldest)
			}
			list[i].Oldest = time.Time{}
		}
		if !slices.Equal(list, want) {
			t.Errorf("counts are %+v, want %+v", list, want)
		}
	}
	lanes, err := f.QueuedByLane(t.Context())
	f.must(err)
	slices.SortFunc(lanes, func(a, b store.LaneQueue) int { return strings.Compare(a.Domain, b.Domain) })
	if want := []store.LaneQueue{
		{Lane: lane("b.example", store.Fresh), Waiting: 1},
		{Lane: lane("example.com", store.Fresh), Waiting: 2, Sending: 1},
	}; !slices.Equal(lanes, want) {
		t.Errorf("counts by lane are %+v, want %+v", lanes, want)
	}
	if some, err := f.QueuedByLane(t.Context(), "b.example", "nowhere.example"); err != nil || !slices.Equal(some, lanes[:1]) {
		t.Errorf("counts by lane of one domain are %+v, %v; want %+v", some, err, lanes[:1])
	}
	b := store.DestinationQueue{Domain: "b.example", Waiting: 1, Held: 2}
	check(b, store.DestinationQueue{Domain: "example.com", Waiting: 2, Sending: 1})
	f.must(f.PauseDomain(t.Context(), "example.com"))
	check(b, store.DestinationQueue{Domain: "example.com", Held: 3})
}

func changesLongQueue(t *testing.T, f *fixture) {
	const n = 4500
	a := f.message("x")
	for i := range n {
		a = outbound(a, fmt.Sprintf("%d@d%d.example", i, i%7))
	}
	id := f.accept(a)
	if held, err := f.HoldQueue(t.Context(), store.QueueFilter{}); held != n || err != nil {
		t.Fatalf("%d held (%v), want %d", held, err, n)
	}
	f.laneList()
	if released, err := f.ReleaseQueue(t.Context(), store.QueueFilter{Sender: "sender@example.net"}); released != n || err != nil {
		t.Fatalf("%d released (%v), want %d", released, err, n)
	}
	if lanes := f.Changes().Lanes; len(lanes) != 7 {
		t.Errorf("%d lanes are told, want 7", len(lanes))
	}
	count := make(map[store.Kind]int)
	for _, e := range f.trails(id.String())[0].Events {
		count[e.Kind]++
	}
	if count[store.Queued] != n || count[store.Held] != n || count[store.Released] != n {
		t.Errorf("events are %v, want %d of each", count, n)
	}
	if gone, err := f.CancelQueue(t.Context(), store.QueueFilter{}); gone != n || err != nil {
		t.Errorf("%d cancelled (%v), want %d", gone, err, n)
	}
	f.eventually("the message is removed", f.gone(id))
}
