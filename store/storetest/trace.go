package storetest

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"postroom/store"
)

func kinds(events []store.Event) []store.Kind {
	var list []store.Kind
	for _, e := range events {
		list = append(list, e.Kind)
	}
	return list
}

func (f *fixture) trails(text string) []store.Trail {
	f.t.Helper()
	page, err := f.Trails(f.t.Context(), store.TrailQuery{Text: text})
	f.must(err)
	return page.Trails
}

func traces(t *testing.T, f *fixture) {
	a := outbound(f.local(f.message("x"), f.alice), "r@example.com")
	a.Accepted = store.Event{Client: "192.0.2.1", Helo: "client.example.net", Protocol: "ESMTPS", TLS: "TLS 1.3"}
	id := f.accept(a)
	f.Collected(store.Collection{Message: id, Account: f.alice, At: f.now, Client: "192.0.2.2", Protocol: "pop3s"})
	f.eventually("the collection is noted", func() bool { return slices.Contains(kinds(f.trails(id.String())[0].Events), store.Collected) })
	f.must(f.RemoveEntries(t.Context(), store.Removal{Account: f.alice, At: f.now, Messages: []store.MessageID{id}, Client: "192.0.2.2", Protocol: "pop3s"}))
	o := outcome(f.claim()[0], store.Sent)
	o.Events = []store.Event{
		{Time: f.now, Kind: store.Attempt, Recipient: "r@example.com", Host: "mx.example.com", IP: "192.0.2.3", TLS: "none", Reply: "250 ok", Outcome: "sent"},
		{Time: f.now, Kind: store.Relayed, Recipient: "r@example.com", Host: "mx.example.com"},
	}
	f.settle(o)
	f.eventually("the message is removed", f.gone(id))

	for _, text := range []string{id.String(), "<one@example.net>", "one@example.net", "sender@example.net", "R@example.com"} {
		trails := f.trails(text)
		if len(trails) != 1 {
			t.Errorf("%d trails for %q, want 1", len(trails), text)
			continue
		}
		want := []store.Kind{store.Accepted, store.Delivered, store.Queued, store.Collected, store.Deleted, store.Attempt, store.Relayed}
		if got := kinds(trails[0].Events); !slices.Equal(got, want) {
			t.Errorf("kinds for %q are %v, want %v", text, got, want)
		}
	}
	for _, q := range []store.TrailQuery{
		{ID: id},
		{Host: "client.example.net"},
		{Host: "Example.COM"}, // mx.example.com is in it
		{IP: netip.MustParsePrefix("192.0.2.3/32"), Outcome: store.Relayed},
		{IP: netip.MustParsePrefix("192.0.2.0/30"), Outcome: store.Deleted, Text: "r@example.com"},
		{Outcome: store.Delivered, Since: f.now.Add(-time.Hour), Until: f.now.Add(time.Hour)},
	} {
		page, err := f.Trails(t.Context(), q)
		f.must(err)
		if len(page.Trails) != 1 || page.Trails[0].ID != id || page.Older != 0 || page.Newer != 0 {
			t.Errorf("%+v finds %+v", q, page)
		}
	}
	for _, q := range []store.TrailQuery{{Before: id}, {After: id}, {Outcome: store.Queued}, {Outcome: store.Bounced}, {Until: f.now}, {Host: "ample.com"}} {
		page, err := f.Trails(t.Context(), q)
		f.must(err)
		if len(page.Trails) != 0 {
			t.Errorf("%+v finds %+v", q, page)
		}
	}
	trail := f.trails(id.String())[0]
	accepted := a.Accepted
	accepted.Time, accepted.Kind, accepted.Size = f.now, store.Accepted, 1
	got := trail.Events[0]
	if !got.Time.Equal(accepted.Time) {
		t.Errorf("accepted at %v, want %v", got.Time, accepted.Time)
	}
	if got.Time = accepted.Time; !reflect.DeepEqual(got, accepted) {
		t.Errorf("accepted is %+v, want %+v", got, accepted)
	}
	if e := trail.Events[4]; e.Account != "alice@example.org" || e.Client != "192.0.2.2" {
		t.Errorf("deleted is %+v", e)
	}
}

func notesRefusals(t *testing.T, f *fixture) {
	id := f.NewMessageID()
	f.Refused(store.Refusal{ID: id, From: "spam@example.net", To: []string{"nobody@example.org"}, Events: []store.Event{
		{Time: f.now, Kind: store.Rejected, Recipient: "nobody@example.org", Client: "192.0.2.9", Reply: "550 5.1.1 no such address"},
	}})
	f.eventually("the refusal is noted", func() bool { return len(f.trails("spam@example.net")) == 1 })
	trail := f.trails("nobody@example.org")
	if len(trail) != 1 || trail[0].ID != id || len(trail[0].Events) != 1 || trail[0].Events[0].Client != "192.0.2.9" {
		t.Errorf("the trail is %+v", trail)
	}
}
