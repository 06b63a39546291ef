package storetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

func claimsOnce(t *testing.T, f *fixture) {
	a := outbound(f.message("x"), "r@example.com", "s@example.net")
	a.Envelope = mail.Envelope{Sender: address("sender@example.net"), EightBit: true, UTF8: true, Return: mail.ReturnFull, ID: "e1"}
	a.Outbound[0].Recipient.Notify = mail.NotifyFailure | mail.NotifyDelay
	a.Outbound[0].Recipient.Original = "rfc822;orig@example.org"
	id := f.accept(a)
	items := f.claim()
	if len(items) != 2 {
		t.Fatalf("%d items claimed, want 2", len(items))
	}
	i := items[0]
	if i.Message != id || i.Envelope != a.Envelope || i.Recipient != a.Outbound[0].Recipient || i.Domain != "example.com" ||
		i.Size != 1 || i.HeaderID != "one@example.net" || !i.Created.Equal(f.now) || !i.Expires.After(f.now) || i.Attempts != 0 {
		t.Errorf("claimed %+v", i)
	}
	if again := f.claim(); len(again) != 0 {
		t.Errorf("%d items claimed twice", len(again))
	}
	if lanes, err := f.Lanes(t.Context()); len(lanes) != 0 || err != nil {
		t.Errorf("%v are listed, although all is claimed (%v)", lanes, err)
	}
	f.settle(outcome(items[0], store.Sent), outcome(items[1], store.Sent))
	if left := f.queue(); len(left) != 0 {
		t.Errorf("%d items left, want 0", len(left))
	}
}

func forgetsClaims(t *testing.T, f *fixture) {
	f.accept(outbound(f.message("x"), "r@example.com"))
	if n := len(f.claim()); n != 1 {
		t.Fatalf("%d items claimed, want 1", n)
	}
	f.reopen()
	if n := len(f.claim()); n != 1 {
		t.Errorf("%d items claimed after the restart, want 1", n)
	}
}

func postpones(t *testing.T, f *fixture) {
	f.accept(outbound(f.message("x"), "r@example.com"))
	retry := f.now.Add(time.Minute)
	o := outcome(f.claim()[0], store.Deferred)
	o.Retry, o.Reply, o.Delayed = retry, "451 later", true
	f.settle(o)
	if n := len(f.claim()); n != 0 {
		t.Errorf("%d items claimed before their time", n)
	}
	if lanes, err := f.Lanes(t.Context()); err != nil || len(lanes) != 1 || !lanes[0].Due.Equal(retry) || lanes[0].Class != store.Retried {
		t.Errorf("lanes are %+v (%v), want one that is due at %v", lanes, err, retry)
	}
	f.now = retry
	items := f.claim()
	if len(items) != 1 || items[0].Attempts != 1 || items[0].LastReply != "451 later" || !items[0].Delayed {
		t.Errorf("claimed %+v", items)
	}
}

func reportsWithFailure(t *testing.T, f *fixture) {
	f.accept(outbound(f.message("x"), "r@example.com"))
	item := f.claim()[0]
	report := f.local(f.message("report"), f.alice)
	report.Envelope.Sender = mail.Address{}
	wrong := f.local(f.message("report"), f.alice)
	wrong.Account = 4711 // nobody, who may send nothing
	err := f.Settle(t.Context(), store.Settlement{At: f.now, Outcomes: []store.Outcome{outcome(item, store.Failed)}, Reports: []store.Acceptance{wrong}})
	if err == nil {
		t.Fatal("a settlement whose report can't be kept was taken")
	}
	if n := len(f.queue()); n != 1 {
		t.Fatalf("%d items in the queue after the settlement failed, want 1", n)
	}
	if n := len(f.claim()); n != 0 {
		t.Errorf("the claim ended although its outcome was not recorded")
	}
	f.must(f.Settle(t.Context(), store.Settlement{At: f.now, Outcomes: []store.Outcome{outcome(item, store.Failed)}, Reports: []store.Acceptance{report}}))
	if n := len(f.queue()); n != 0 {
		t.Errorf("%d items in the queue, want 0", n)
	}
	if entries := f.entries(f.alice); len(entries) != 1 || f.collect(f.alice, entries[0]) != "Return-Path: <>\r\nDelivered-To: to1@example.org\r\nreport" {
		t.Errorf("the report is not in the maildrop: %v", entries)
	}
}

func settlesWithoutReader(t *testing.T, f *fixture) {
	f.accept(outbound(f.message("x"), "r@example.com", "s@example.com"))
	items := f.claim()
	gone := f.local(f.message(strings.Repeat("long report ", 50_000)), 4711)
	both := f.local(f.message("report"), 4711, f.alice)
	for i, report := range []store.Acceptance{gone, both} {
		f.must(f.Settle(t.Context(), store.Settlement{
			At: f.now, Outcomes: []store.Outcome{outcome(items[i], store.Failed)}, Reports: []store.Acceptance{report},
		}))
	}
	again := both
	again.Body = strings.NewReader("report")
	f.must(f.Settle(t.Context(), store.Settlement{
		At: f.now, Outcomes: []store.Outcome{outcome(items[1], store.Failed)}, Reports: []store.Acceptance{again},
	}))
	if n := len(f.queue()); n != 0 {
		t.Errorf("%d items in the queue, want 0", n)
	}
	if entries := f.entries(f.alice); len(entries) != 1 || entries[0].Message != both.ID {
		t.Errorf("alice has %v, want the one report", entries)
	}
	if _, err := f.Message(t.Context(), gone.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a report that nobody can read is kept (%v)", err)
	}
	if trail := f.trails(both.ID.String()); len(trail) != 1 || len(trail[0].Events) != 2 {
		t.Errorf("the report's trail is %+v, want an acceptance and one delivery", trail)
	}
}

func interruption(t *testing.T, f *fixture) {
	f.accept(outbound(f.message("x"), "r@example.com"))
	before := f.queue()
	f.settle(outcome(f.claim()[0], store.Interrupted))
	if after := f.queue(); !slices.Equal(after, before) {
		t.Errorf("the queue is %+v, was %+v", after, before)
	}
	if n := len(f.claim()); n != 1 {
		t.Errorf("%d items claimed again, want 1", n)
	}
}

func signals(t *testing.T, f *fixture) {
	expect := func(why string) {
		t.Helper()
		select {
		case <-f.QueueChanged():
		case <-time.After(20 * time.Second):
			t.Errorf("no signal after %s", why)
		}
	}
	f.accept(outbound(f.message("x"), "r@example.com"))
	expect("an acceptance")
	o := outcome(f.claim()[0], store.Deferred)
	o.Retry = f.now.Add(time.Hour)
	f.settle(o)
	expect("a settlement")
	_, err := f.RetryQueue(t.Context(), store.QueueFilter{})
	f.must(err)
	expect("a retry")
}

func queueOperations(t *testing.T, f *fixture) {
	one := f.accept(outbound(f.message("x"), "r@example.com", "s@example.net"))
	f.accept(outbound(f.message("y"), "r@example.com"))
	change := func(what string, op func() (int64, error), want int64) {
		t.Helper()
		if n, err := op(); err != nil || n != want {
			t.Errorf("%s: %d items, %v; want %d", what, n, err, want)
		}
	}
	ctx, all := t.Context(), store.QueueFilter{}
	change("hold one message", func() (int64, error) { return f.HoldQueue(ctx, store.QueueFilter{Message: one}) }, 2)
	change("retry all but what is held", func() (int64, error) { return f.RetryQueue(ctx, all) }, 1)
	items := f.claim()
	if len(items) != 1 || items[0].Message == one {
		t.Errorf("claimed %v, want the one that isn't held", items)
	}
	f.settle(outcome(items[0], store.Interrupted))
	change("release a domain", func() (int64, error) { return f.ReleaseQueue(ctx, store.QueueFilter{Domain: "example.net"}) }, 1)
	if n := len(f.claim()); n != 2 {
		t.Errorf("%d items claimed after the release, want 2", n)
	}
	change("return the held one", func() (int64, error) {
		return f.ReturnQueue(ctx, store.QueueFilter{Message: one, Domain: "example.com"})
	}, 1)
	if items := f.claim(); len(items) != 1 || !items[0].Cancel {
		t.Errorf("claimed %+v, want the one to be returned", items)
	}
	f.reopen()
	change("cancel all", func() (int64, error) { return f.CancelQueue(ctx, all) }, 3)
	if n := len(f.queue()); n != 0 {
		t.Errorf("%d items left, want 0", n)
	}
	f.eventually("the message is removed", f.gone(one))
}

func holdsForAccount(t *testing.T, f *fixture) {
	a := outbound(f.message("x"), "r@example.com")
	a.Account = f.alice
	f.accept(a)
	f.must(f.SetStanding(t.Context(), f.alice, store.Disabled))
	if n := len(f.claim()); n != 0 {
		t.Errorf("%d items of a disabled account claimed", n)
	}
	if n, err := f.ReleaseQueue(t.Context(), store.QueueFilter{}); n != 0 || err != nil {
		t.Errorf("the admin released %d items of a disabled account (%v)", n, err)
	}
	f.must(f.SetStanding(t.Context(), f.alice, store.Enabled))
	if n := len(f.claim()); n != 1 {
		t.Errorf("%d items claimed once the account is enabled, want 1", n)
	}
}

func withdrawsClaimed(t *testing.T, f *fixture) {
	a := outbound(f.message("x"), "1@example.com", "2@example.com", "3@example.com", "4@example.com", "5@example.com")
	f.accept(a)
	byAccount := outbound(f.message("y"), "disabled@example.net")
	byAccount.Account = f.alice
	f.accept(byAccount)
	items := f.claim()
	withdrawn := func() []store.QueueID {
		t.Helper()
		var ids []store.QueueID
		for _, item := range items {
			ids = append(ids, item.ID)
		}
		gone, err := f.Withdrawn(t.Context(), ids)
		f.must(err)
		return gone
	}
	if gone := withdrawn(); len(gone) != 0 {
		t.Errorf("%v are withdrawn before anybody did anything", gone)
	}
	f.must(f.SetStanding(t.Context(), f.alice, store.Disabled))
	if gone := withdrawn(); len(gone) != 1 {
		t.Errorf("%v are withdrawn, want the one of the disabled account", gone)
	}
	all := store.QueueFilter{Message: a.ID}
	if n, err := f.HoldQueue(t.Context(), all); n != 5 || err != nil {
		t.Errorf("%d items held (%v), want 5", n, err)
	}
	if n, err := f.HoldQueue(t.Context(), all); n != 0 || err != nil {
		t.Errorf("%d items held again (%v), want 0", n, err)
	}
	if gone := withdrawn(); len(gone) != 6 {
		t.Errorf("%v are withdrawn, want all", gone)
	}
	if n, err := f.ReturnQueue(t.Context(), all); n != 5 || err != nil {
		t.Errorf("%d items returned (%v), want 5", n, err)
	}
	// A round that was under way has failed: the return doesn't wait for the next.
	f.settle(outcome(items[0], store.Deferred))
	if again := f.claim(); len(again) != 1 || !again[0].Cancel {
		t.Errorf("claimed %+v, want the one that is to be returned", again)
	}
	if n, err := f.CancelQueue(t.Context(), all); n != 5 || err != nil {
		t.Errorf("%d items cancelled (%v), want 5", n, err)
	}
	if gone := withdrawn(); len(gone) != 6 {
		t.Errorf("%v are withdrawn, want all", gone)
	}
	for _, item := range items[1:] {
		f.settle(outcome(item, store.Interrupted))
	}
	if n := len(f.queue()); n != 1 {
		t.Errorf("%d items in the queue, want the one of the disabled account", n)
	}
}
