package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// lane is a lane of mail from sender@example.net.
func lane(domain string, class store.Class) store.Lane {
	return store.Lane{Domain: domain, Origin: "example.net", Class: class}
}

func (f *fixture) laneList() []store.LaneDue {
	f.t.Helper()
	lanes, err := f.Lanes(f.t.Context())
	f.must(err)
	return lanes
}

func recipients(items []store.QueueItem) string {
	var list []string
	for _, i := range items {
		list = append(list, i.Recipient.Address.String())
	}
	return strings.Join(list, " ")
}

// postpone claims all that is due and defers it.
func (f *fixture) postpone(retry time.Time) {
	f.t.Helper()
	for _, i := range f.claim() {
		o := outcome(i, store.Deferred)
		o.Retry = retry
		f.settle(o)
	}
}

func claimsOneLane(t *testing.T, f *fixture) {
	f.accept(outbound(f.message("x"), "r@example.com", "s@example.net"))
	byAlice := outbound(f.message("x"), "t@example.com")
	byAlice.Account = f.alice
	f.accept(byAlice)
	if n := len(f.laneList()); n != 3 {
		t.Errorf("%d lanes, want one by domain and submitter: 3", n)
	}
	claimed := f.claimLane(store.LaneClaim{Lane: lane("example.com", store.Fresh)})
	if got := recipients(claimed.Items); got != "r@example.com" || !claimed.Next.IsZero() || !claimed.Items[0].Sending {
		t.Errorf("claimed %s, next %v; want the one, and nothing left", got, claimed.Next)
	}
	if n := len(f.laneList()); n != 2 {
		t.Errorf("%d lanes are left, want 2", n)
	}
	if c := f.claimLane(store.LaneClaim{Lane: lane("example.com", store.Retried)}); len(c.Items) != 0 {
		t.Errorf("claimed %v from a lane that is empty", c.Items)
	}
}

func claimsWorks(t *testing.T, f *fixture) {
	l := lane("example.com", store.Fresh)
	f.accept(outbound(f.message("x"), "1@example.com", "2@example.com", "3@example.com"))
	f.now = f.now.Add(time.Second)
	f.accept(outbound(f.message("y"), "4@example.com"))
	first := f.claimLane(store.LaneClaim{Lane: l, Works: 1, PerWork: 2})
	if got := recipients(first.Items); got != "1@example.com 2@example.com" || !first.Next.Equal(first.Items[0].Due) {
		t.Errorf("one work of two is %s, next %v", got, first.Next)
	}
	second := f.claimLane(store.LaneClaim{Lane: l, Works: 1, PerWork: 2})
	if got := recipients(second.Items); got != "3@example.com" || !second.Next.Equal(f.now) {
		t.Errorf("the next work is %s, next %v, want what is left of the message, and the other due", got, second.Next)
	}
	f.settle(outcome(first.Items[0], store.Interrupted), outcome(first.Items[1], store.Interrupted), outcome(second.Items[0], store.Interrupted))
	if got := recipients(f.claimLane(store.LaneClaim{Lane: l, Works: 2, PerWork: 3}).Items); got != "1@example.com 2@example.com 3@example.com 4@example.com" {
		t.Errorf("two works of three are %s", got)
	}
}

func claimsTogether(t *testing.T, f *fixture) {
	a := f.accept(outbound(f.message("x"), "1@a.example", "2@b.example", "3@c.example"))
	f.accept(outbound(f.message("y"), "4@a.example", "5@b.example"))
	f.now = f.now.Add(time.Second)
	all := f.claimLane(store.LaneClaim{
		Lane: lane("a.example", store.Fresh), Works: 1,
		Together: func(l store.Lane) bool { return l.Domain != "c.example" },
	})
	if got := recipients(all.Items); got != "1@a.example 2@b.example" {
		t.Errorf("claimed %s, want the message's two", got)
	}
	b := f.claimLane(store.LaneClaim{Lane: lane("b.example", store.Fresh)})
	if got := recipients(b.Items); got != "5@b.example" {
		t.Errorf("claimed %s, want the one that is left", got)
	}
	f.settle(outcome(all.Items[1], store.Interrupted))
	if got := f.claimLane(store.LaneClaim{Lane: lane("b.example", store.Fresh)}).Items; len(got) != 1 || got[0].Message != a {
		t.Errorf("claimed %s, want what was given back", recipients(got))
	}
}

func claimsLate(t *testing.T, f *fixture) {
	began := f.now
	quiet := outbound(f.message("x"), "quiet@example.com")
	quiet.Outbound[0].Recipient.Notify = mail.NotifyNever
	f.accept(quiet)
	f.accept(outbound(f.message("x"), "old@example.com"))
	expires := outbound(f.message("x"), "expired@example.com")
	expires.Outbound[0].Expires = f.now.Add(time.Hour)
	f.accept(expires)
	f.now = f.now.Add(time.Minute)
	f.accept(outbound(f.message("x"), "new@example.com"))
	f.postpone(f.now.Add(48 * time.Hour))
	l := lane("example.com", store.Retried)
	if got := f.claimLane(store.LaneClaim{Lane: l}).Items; len(got) != 0 {
		t.Fatalf("claimed %s before their time", recipients(got))
	}
	never := began.Add(-time.Hour)
	if got := f.claimLane(store.LaneClaim{Lane: l, Late: &never}).Items; len(got) != 0 {
		t.Errorf("claimed %s before they are late", recipients(got))
	}
	f.now = f.now.Add(2 * time.Hour)
	late := f.claimLane(store.LaneClaim{Lane: l, Late: &began}).Items
	slices.SortFunc(late, func(a, b store.QueueItem) int { return int(a.ID - b.ID) })
	if got := recipients(late); got != "old@example.com expired@example.com" {
		t.Fatalf("claimed %s as late", got)
	}
	told := outcome(late[0], store.Deferred)
	told.Delayed, told.Retry = true, f.now.Add(time.Hour)
	f.settle(told, outcome(late[1], store.Failed))
	if got := f.claimLane(store.LaneClaim{Lane: l, Late: &began}).Items; len(got) != 0 {
		t.Errorf("claimed %s again, although their senders have been told", recipients(got))
	}
	f.now = f.now.Add(time.Hour)
	if got := recipients(f.claimLane(store.LaneClaim{Lane: l}).Items); got != "old@example.com" {
		t.Errorf("claimed %s, want the one that is due", got)
	}
}

func claimsTornApart(t *testing.T, f *fixture) {
	f.accept(outbound(f.message("x"), "1@example.com", "2@example.com"))
	f.accept(outbound(f.message("y"), "3@example.com"))
	for i, item := range f.claim() {
		o := outcome(item, store.Deferred)
		o.Retry = f.now.Add([]time.Duration{1, 3, 2}[i] * time.Minute)
		f.settle(o)
	}
	f.now = f.now.Add(time.Hour)
	l := lane("example.com", store.Retried)
	if got := recipients(f.claimLane(store.LaneClaim{Lane: l, Works: 1}).Items); got != "1@example.com 2@example.com" {
		t.Errorf("claimed %s, want one message", got)
	}
	if got := recipients(f.claimLane(store.LaneClaim{Lane: l}).Items); got != "3@example.com" {
		t.Errorf("claimed %s, want the other message", got)
	}
}

func rewindsCursor(t *testing.T, f *fixture) {
	l := lane("example.com", store.Fresh)
	one := func(want string) store.QueueItem {
		t.Helper()
		got := f.claimLane(store.LaneClaim{Lane: l, Works: 1}).Items
		if recipients(got) != want {
			t.Fatalf("claimed %q, want %q", recipients(got), want)
		}
		if want == "" {
			return store.QueueItem{}
		}
		return got[0]
	}
	f.accept(outbound(f.message("x"), "1@example.com"))
	held := f.accept(outbound(f.message("x"), "held@example.com"))
	if n, err := f.HoldQueue(t.Context(), store.QueueFilter{Message: held}); n != 1 || err != nil {
		t.Fatalf("%d held (%v)", n, err)
	}
	f.now = f.now.Add(time.Second)
	f.accept(outbound(f.message("x"), "2@example.com"))
	f.accept(outbound(f.message("x"), "3@example.com"))
	first := one("1@example.com")
	one("2@example.com")
	one("3@example.com")
	one("")
	f.now = f.now.Add(-time.Hour) // the clock goes back
	f.accept(outbound(f.message("x"), "early@example.com"))
	one("early@example.com")
	if n, err := f.ReleaseQueue(t.Context(), store.QueueFilter{Message: held}); n != 1 || err != nil {
		t.Fatalf("%d released (%v)", n, err)
	}
	one("held@example.com")
	f.now = f.now.Add(2 * time.Hour)
	f.settle(outcome(first, store.Interrupted))
	one("1@example.com")
	one("")
}

func tellsChanges(t *testing.T, f *fixture) {
	expect := func(after string, hasten bool, want ...store.Lane) {
		t.Helper()
		var got []store.Lane
		for _, l := range f.Changes().Lanes {
			got = append(got, l.Lane)
			if !l.Due.Equal(f.now) || l.Hasten != hasten {
				t.Errorf("after %s: due at %v, hasten %t", after, l.Due, l.Hasten)
			}
		}
		slices.SortFunc(got, func(a, b store.Lane) int { return strings.Compare(a.Domain, b.Domain) })
		if !slices.Equal(got, want) {
			t.Errorf("after %s: %+v, want %+v", after, got, want)
		}
	}
	ctx, all := t.Context(), store.QueueFilter{}
	fresh := lane("example.com", store.Fresh)
	f.accept(outbound(f.message("x"), "1@example.com", "2@example.com", "3@b.example"))
	f.accept(outbound(f.message("x"), "4@example.com"))
	expect("two acceptances", false, lane("b.example", store.Fresh), fresh)
	f.accept(f.local(f.message("x"), f.alice))
	expect("local mail", false)
	f.accept(outbound(f.message("x"), "5@example.com"))
	f.laneList()
	expect("a list of all lanes", false)

	items := f.claimLane(store.LaneClaim{Lane: fresh}).Items
	f.settle(outcome(items[0], store.Interrupted), outcome(items[1], store.Sent))
	expect("a sent and a stopped one", false, fresh)
	o := outcome(items[2], store.Deferred)
	o.Retry = f.now
	f.settle(o)
	expect("a deferral", false, lane("example.com", store.Retried))

	operate := func(after string, op func() (int64, error), hasten bool, want ...store.Lane) {
		t.Helper()
		if _, err := op(); err != nil {
			t.Fatal(after, err)
		}
		expect(after, hasten, want...)
	}
	b := store.QueueFilter{Domain: "b.example"}
	f.now = f.now.Add(time.Minute)
	operate("a retry", func() (int64, error) { return f.RetryQueue(ctx, b) }, true, lane("b.example", store.Fresh))
	operate("a hold", func() (int64, error) { return f.HoldQueue(ctx, b) }, false)
	operate("a retry of what is held", func() (int64, error) { return f.RetryQueue(ctx, b) }, false)
	operate("a release", func() (int64, error) { return f.ReleaseQueue(ctx, b) }, false, lane("b.example", store.Fresh))
	operate("a return", func() (int64, error) { return f.ReturnQueue(ctx, b) }, false, lane("b.example", store.Paperwork))
	operate("a cancellation", func() (int64, error) { return f.CancelQueue(ctx, all) }, false)

	byAlice := outbound(f.message("x"), "6@example.com")
	byAlice.Account = f.alice
	f.accept(byAlice)
	f.Changes()
	f.must(f.SetStanding(ctx, f.alice, store.Disabled))
	expect("an account is disabled", false)
	f.must(f.SetStanding(ctx, f.alice, store.Enabled))
	expect("an account is enabled", false, store.Lane{Domain: "example.com", Account: f.alice, Origin: "example.net"})
}
