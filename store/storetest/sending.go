package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroom/store"
)

// A SendingStore is what the tests of sending limits and devices need.
type SendingStore interface {
	SetAllowances(defaults store.Allowances)
	SetAllowance(ctx context.Context, owner store.Owner, a store.Allowance) error
	Sending(ctx context.Context, owner store.Owner) (store.Sending, error)
	Sendings(ctx context.Context, percent int64) ([]store.Sending, error)
	WithinLimits(ctx context.Context, account store.AccountID, recipients int) error
	LimitNotices(ctx context.Context) ([]store.LimitNotice, error)

	AddDevice(ctx context.Context, d store.Device) error
	Devices(ctx context.Context) ([]store.Device, error)
	DeviceOf(ctx context.Context, client netip.Addr) (store.Device, error)
	RemoveDevice(ctx context.Context, network netip.Prefix) error
	RemoveAccount(ctx context.Context, id store.AccountID) error
	Domains(ctx context.Context) ([]store.Domain, error)
}

// RunSending runs the tests of sending limits and devices, which are part of Run.
func RunSending(t *testing.T, b Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"it counts what our users send to other servers, and nothing else", countsSending},
		{"it refuses what would go over a limit, and counts nothing of it", refusesOverLimit},
		{"it is exact with fifty senders at once", exactInParallel},
		{"it looks back an hour and a day from each moment", slides},
		{"it says when there is room for as many recipients", saysWhenThereIsRoom},
		{"it keeps what was sent, limits and notices over a restart", keepsSending},
		{"it counts nothing of what fails", countsNothingOfFailures},
		{"it takes an owner's own limits before the others", ownLimits},
		{"it forgets the limits of who is removed, not what was sent", forgetsOwners},
		{"it owes one notice a day when a limit is near", owesLimitNotices},
		{"it knows devices by the smallest network", knowsDevices},
		{"it takes nothing from what is a device no more", refusesFormerDevices},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFixture(t, b)) })
	}
}

func (f *fixture) owner(id store.AccountID) store.Owner {
	return store.Owner{Scope: store.AccountScope, ID: int64(id)}
}

var server = store.Owner{Scope: store.ServerScope}

// submitted returns what an account submits to other servers' recipients.
func (f *fixture) submitted(account store.AccountID, recipients ...string) store.Acceptance {
	a := outbound(f.message("text\r\n"), recipients...)
	a.Account, a.Origin = account, store.FromAccount
	return a
}

func (f *fixture) submit(account store.AccountID, recipients ...string) error {
	return f.Accept(f.t.Context(), f.submitted(account, recipients...))
}

// used returns how many messages and recipients count in the last hour.
func (f *fixture) used(owner store.Owner) [2]int64 {
	f.t.Helper()
	s, err := f.Sending(f.t.Context(), owner)
	f.must(err)
	return [2]int64{s.Uses[0].Used, s.Uses[2].Used}
}

// over checks that an error is a limit's, and returns it.
func (f *fixture) over(err error) store.LimitError {
	f.t.Helper()
	over, ok := errors.AsType[*store.LimitError](err)
	if !ok {
		f.t.Fatalf("got %v, want a LimitError", err)
	}
	return *over
}

func perHour(messages, recipients int64) store.Allowance {
	return store.Allowance{MessagesPerHour: messages, RecipientsPerHour: recipients}
}

func countsSending(t *testing.T, f *fixture) {
	f.SetAllowances(store.Allowances{Account: perHour(2, 3)})
	domain := f.home(f.alice)
	f.must(f.submit(f.alice, "a@far.test", "b@far.test"))
	ours := outbound(f.message("x\r\n"), "a@far.test")
	ours.Origin, ours.Account = store.FromUs, f.alice
	for what, a := range map[string]store.Acceptance{
		"another server's mail":   outbound(f.message("x\r\n"), "a@far.test"),
		"what we write ourselves": ours,
		"what stays here":         f.local(f.submitted(f.alice), f.bob, f.carol),
	} {
		f.must(f.Accept(t.Context(), a))
		if got := f.used(f.owner(f.alice)); got != [2]int64{1, 2} {
			t.Errorf("after %s: %v messages and recipients", what, got)
		}
	}
	f.must(f.Accept(t.Context(), f.local(f.submitted(f.alice, "a@far.test"), f.bob)))
	f.must(f.submit(f.bob, "a@far.test"))
	for owner, want := range map[store.Owner][2]int64{
		f.owner(f.alice): {2, 3}, f.owner(f.bob): {1, 1}, f.owner(f.carol): {}, domain: {3, 4}, server: {3, 4},
	} {
		if got := f.used(owner); got != want {
			t.Errorf("%v has sent %v messages and recipients, want %v", owner, got, want)
		}
	}
}

// home returns the owner that is an account's domain.
func (f *fixture) home(id store.AccountID) store.Owner {
	f.t.Helper()
	account, err := f.Account(f.t.Context(), id)
	f.must(err)
	domains, err := f.Domains(f.t.Context())
	f.must(err)
	for _, d := range domains {
		if d.Name == account.Address.Domain {
			return store.Owner{Scope: store.DomainScope, ID: int64(d.ID)}
		}
	}
	f.t.Fatal("no domain", account.Address)
	return store.Owner{}
}

func refusesOverLimit(t *testing.T, f *fixture) {
	f.SetAllowances(store.Allowances{Account: perHour(3, 4), Domain: perHour(4, 0), Server: perHour(0, 6)})
	domain := f.home(f.alice)
	f.must(f.submit(f.alice, "a@far.test"))
	f.must(f.submit(f.bob, "a@far.test"))
	free := f.now.Truncate(time.Minute).Add(61 * time.Minute)
	hour := store.Limit{Counts: store.Recipients, Per: time.Hour, Most: 4}
	for _, row := range []struct {
		it         string
		recipients []string
		want       store.LimitError
	}{
		{
			"waits for the account",
			[]string{"a@far.test", "b@far.test", "c@far.test", "d@far.test"},
			store.LimitError{Owner: f.owner(f.alice), Name: "alice@example.org", Limit: hour, Used: 1, Asked: 4, Frees: free},
		},
		{
			"never fits",
			[]string{"a@far.test", "b@far.test", "c@far.test", "d@far.test", "e@far.test"},
			store.LimitError{Owner: f.owner(f.alice), Name: "alice@example.org", Limit: hour, Used: 1, Asked: 5},
		},
	} {
		if got := f.over(f.submit(f.alice, row.recipients...)); got != row.want {
			t.Errorf("what %s: got %+v, want %+v", row.it, got, row.want)
		}
		if got := f.over(f.WithinLimits(t.Context(), f.alice, len(row.recipients))); got != row.want {
			t.Errorf("an early look at what %s: got %+v, want %+v", row.it, got, row.want)
		}
	}
	f.must(f.WithinLimits(t.Context(), f.alice, 3))
	if got := f.used(server); got != [2]int64{2, 2} {
		t.Errorf("the server has sent %v", got)
	}
	f.must(f.submit(f.alice, "a@far.test"))
	f.must(f.submit(f.carol, "a@far.test"))
	got := f.over(f.submit(f.carol, "a@far.test"))
	if got.Owner != domain || got.Name != "example.org" || got.Counts != store.Messages || got.Most != 4 || got.Used != 4 {
		t.Errorf("the domain's limit is told as %+v", got)
	}
	f.must(f.SetAllowance(t.Context(), domain, perHour(store.NoLimit, 0)))
	got = f.over(f.submit(f.carol, "a@far.test", "b@far.test", "c@far.test"))
	if got.Owner != server || got.Name != "" || got.Most != 6 {
		t.Errorf("the server's limit is told as %+v", got)
	}
}

func exactInParallel(t *testing.T, f *fixture) {
	f.SetAllowances(store.Allowances{Account: perHour(100, 0), Server: perHour(0, 310)})
	var taken [3]atomic.Int64
	var all sync.WaitGroup
	for sender := range 50 {
		account := []store.AccountID{f.alice, f.bob}[sender%2]
		all.Go(func() {
			for range 8 {
				err := f.submit(account, "a@far.test", "b@far.test")
				if err == nil {
					taken[account].Add(1)
				} else if _, ok := errors.AsType[*store.LimitError](err); !ok {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	a, b := taken[f.alice].Load(), taken[f.bob].Load()
	if a+b != 155 || a > 100 || b > 100 {
		t.Errorf("took %d and %d messages of two recipients, want 155 in all and at most 100 each", a, b)
	}
	if got := f.used(server); got != [2]int64{155, 310} {
		t.Errorf("counted %v", got)
	}
	if n, err := f.CountQueue(t.Context(), store.QueueFilter{}); err != nil || n != 310 {
		t.Errorf("%d recipients in the queue, %v", n, err)
	}
}

func slides(t *testing.T, f *fixture) {
	f.SetAllowances(store.Allowances{Account: store.Allowance{MessagesPerHour: 2, MessagesPerDay: 4}})
	start := f.now // 05:06:07
	at := func(after time.Duration) error {
		f.now = start.Add(after)
		return f.submit(f.alice, "a@far.test")
	}
	f.must(at(0))
	f.must(at(30 * time.Minute))
	first := time.Date(2026, 3, 4, 6, 7, 0, 0, time.UTC) // the minute 05:06 counts until 06:06:59
	if got := f.over(at(59 * time.Minute)); !got.Frees.Equal(first) || got.Used != 2 {
		t.Errorf("the hour frees at %v, want %v", got.Frees, first)
	}
	if got := f.over(at(first.Add(-time.Second).Sub(start))); !got.Frees.Equal(first) {
		t.Errorf("a second before it frees at %v", got.Frees)
	}
	f.must(at(first.Sub(start)))
	f.must(at(2 * time.Hour))
	nextDay := time.Date(2026, 3, 5, 5, 7, 0, 0, time.UTC)
	if got := f.over(at(5 * time.Hour)); !got.Frees.Equal(nextDay) || got.Per != 24*time.Hour || got.Most != 4 {
		t.Errorf("the day is told as %+v", got)
	}
	f.over(at(nextDay.Add(-time.Second).Sub(start)))
	f.must(at(nextDay.Sub(start)))
	if got := f.over(at(nextDay.Sub(start))); !got.Frees.Equal(nextDay.Add(30 * time.Minute)) {
		t.Errorf("after a day: %+v", got)
	}
	f.now = start.Add(100 * time.Hour)
	if got := f.used(server); got != [2]int64{} {
		t.Errorf("days later %v count", got)
	}
	f.must(at(99 * time.Hour)) // the clock goes back
	f.must(at(99 * time.Hour))
	f.over(at(99 * time.Hour))
}

func saysWhenThereIsRoom(t *testing.T, f *fixture) {
	f.SetAllowances(store.Allowances{Account: perHour(0, 10)})
	start := f.now.Truncate(time.Minute)
	for i, n := range []int{4, 3, 2} {
		f.now = start.Add(time.Duration(i) * 10 * time.Minute)
		f.must(f.submit(f.alice, many(n)...))
	}
	f.now = start.Add(40 * time.Minute)
	for n, after := range map[int]time.Duration{2: 61, 5: 61, 6: 71, 8: 71, 9: 81, 10: 81} {
		if got := f.over(f.submit(f.alice, many(n)...)); !got.Frees.Equal(start.Add(after * time.Minute)) {
			t.Errorf("there is room for %d at %v, want %v minutes after the first", n, got.Frees, int(after))
		}
	}
	s, err := f.Sending(t.Context(), f.owner(f.alice))
	f.must(err)
	if u := s.Uses[2]; u.Left() != 1 || !u.Frees.Equal(start.Add(61*time.Minute)) {
		t.Errorf("the limit is shown as %+v", u)
	}
	f.must(f.SetAllowance(t.Context(), f.owner(f.alice), perHour(0, 5)))
	s, err = f.Sending(t.Context(), f.owner(f.alice))
	f.must(err)
	if u := s.Uses[2]; u.Left() != 0 || !u.Own || !u.Frees.Equal(start.Add(71*time.Minute)) {
		t.Errorf("a limit that was lowered is shown as %+v", u)
	}
}

// many returns n addresses elsewhere.
func many(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("r%d@far.test", i)
	}
	return list
}

func keepsSending(t *testing.T, f *fixture) {
	defaults := store.Allowances{Account: perHour(5, 0)}
	f.SetAllowances(defaults)
	domain := f.home(f.alice)
	f.must(f.SetAllowance(t.Context(), domain, perHour(7, 9)))
	for range 4 {
		f.must(f.submit(f.alice, "a@far.test", "b@far.test"))
		f.now = f.now.Add(time.Minute)
	}
	before, err := f.Sendings(t.Context(), 1)
	f.must(err)
	notices, err := f.LimitNotices(t.Context())
	f.must(err)
	for _, n := range notices {
		f.must(f.Accept(t.Context(), f.noticeMail(n)))
	}
	f.reopen()
	f.SetAllowances(defaults)
	after, err := f.Sendings(t.Context(), 1)
	f.must(err)
	if diff := cmp.Diff(before, after); diff != "" || len(after) != 2 {
		t.Errorf("%d owners have sent something; after the restart (-before +after)\n%s", len(after), diff)
	}
	if again, err := f.LimitNotices(t.Context()); err != nil || len(notices) == 0 || len(again) != 0 {
		t.Errorf("%d notices, and after the restart %v, %v", len(notices), again, err)
	}
	if over := f.over(f.submit(f.bob, "a@far.test", "b@far.test")); over.Owner != domain || over.Used != 8 {
		t.Errorf("after the restart: %+v", over)
	}
}

func countsNothingOfFailures(t *testing.T, f *fixture) {
	f.SetAllowances(store.Allowances{Account: perHour(10, 0)})
	f.must(f.submit(f.alice, "a@far.test"))
	twice := f.submitted(f.alice, "a@far.test")
	f.must(f.Accept(t.Context(), twice))
	again := f.submitted(f.alice, "a@far.test")
	again.ID = twice.ID
	f.must(f.SetStanding(t.Context(), f.bob, store.Disabled))
	for what, a := range map[string]store.Acceptance{
		"what is here already":         again,
		"what a disabled account sent": f.submitted(f.bob, "a@far.test"),
	} {
		if err := f.Accept(t.Context(), a); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Accept(gone, f.submitted(f.alice, "a@far.test")); err == nil {
		t.Error("what nobody waits for was accepted")
	}
	for owner, want := range map[store.Owner][2]int64{f.owner(f.alice): {2, 2}, f.owner(f.bob): {}, server: {2, 2}} {
		if got := f.used(owner); got != want {
			t.Errorf("%v: counted %v, want %v", owner, got, want)
		}
	}
}

func ownLimits(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.must(f.submit(f.alice, many(1000)...)) // no limits at first
	f.SetAllowances(store.Allowances{Account: store.Allowance{MessagesPerHour: 1, RecipientsPerDay: 2000}})
	f.over(f.submit(f.alice, "a@far.test"))
	f.must(f.SetAllowance(ctx, f.owner(f.alice), store.Allowance{MessagesPerHour: store.NoLimit}))
	f.must(f.submit(f.alice, "a@far.test"))
	f.must(f.SetAllowance(ctx, f.owner(f.bob), store.Allowance{MessagesPerHour: 2}))
	f.must(f.submit(f.bob, "a@far.test"))
	f.must(f.submit(f.bob, "a@far.test"))
	f.over(f.submit(f.bob, "a@far.test"))
	f.must(f.SetAllowance(ctx, f.owner(f.alice), store.Allowance{}))
	f.over(f.submit(f.alice, "a@far.test"))
	f.must(f.SetAllowance(ctx, server, store.Allowance{MessagesPerDay: 4}))
	got, err := f.Sendings(ctx, 100)
	f.must(err)
	var names []string
	for _, s := range got {
		names = append(names, fmt.Sprint(s.Owner.Scope, s.Name, s.Own))
	}
	want := []string{
		fmt.Sprint(store.ServerScope, "", store.Allowance{MessagesPerDay: 4}),
		fmt.Sprint(store.AccountScope, "alice@example.org", store.Allowance{}), // over
		fmt.Sprint(store.AccountScope, "bob@example.org", store.Allowance{MessagesPerHour: 2}),
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("own limits and limits that are reached (-want +got)\n%s", diff)
	}
	alice, err := f.Sending(ctx, f.owner(f.alice))
	f.must(err)
	if u := alice.Uses; u[1].Most != store.NoLimit || u[1].Left() != store.NoLimit || u[3].Most != 2000 || u[3].Left() != 999 || u[0].Left() != 0 {
		t.Errorf("alice's limits are shown as %+v", u)
	}
	for _, nobody := range []store.Owner{f.owner(12345), {Scope: store.DomainScope, ID: 12345}} {
		if err := f.SetAllowance(ctx, nobody, perHour(1, 1)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("limits of nobody: %v", err)
		}
		if _, err := f.Sending(ctx, nobody); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what nobody has sent: %v", err)
		}
	}
}

func forgetsOwners(t *testing.T, f *fixture) {
	ctx, domain := t.Context(), f.home(f.alice)
	f.must(f.SetAllowance(ctx, f.owner(f.alice), perHour(1, 0)))
	f.must(f.submit(f.alice, "a@far.test"))
	f.must(f.RemoveAccount(ctx, f.alice))
	check := func() {
		t.Helper()
		if got, err := f.Sendings(ctx, 1); err != nil || len(got) != 0 {
			t.Errorf("limits of who is gone: %+v, %v", got, err)
		}
		if got := f.used(domain); got != [2]int64{1, 1} {
			t.Errorf("the domain has sent %v", got)
		}
		if got, err := f.LimitNotices(ctx); err != nil || len(got) != 0 {
			t.Errorf("notices about who is gone: %+v, %v", got, err)
		}
	}
	check()
	f.reopen()
	check()
}

// noticeMail is the mail of a notice.
func (f *fixture) noticeMail(n store.LimitNotice) store.Acceptance {
	a := f.message("near\r\n")
	a.Origin, a.Local, a.LimitNotice = store.FromUs, n.To, &n
	return a
}

func owesLimitNotices(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.SetAllowances(store.Allowances{Account: perHour(5, 100), Server: perHour(10, 0)})
	admin, err := f.AddAccount(ctx, store.Account{Address: address("root@example.org"), Admin: true})
	f.must(err)
	// told accepts the notices that are owed, and says who they are for.
	told := func() []string {
		t.Helper()
		var who []string
		notices, err := f.LimitNotices(ctx)
		f.must(err)
		for _, n := range notices {
			who = append(who, fmt.Sprintf("%v %v %s: %d of %d", n.To[0].Recipient, n.Admins, n.Name, n.Use.Used, n.Use.Most))
			f.must(f.Accept(ctx, f.noticeMail(n)))
		}
		if again, err := f.LimitNotices(ctx); err != nil || len(again) > 0 {
			t.Errorf("told again: %v, %v", again, err)
		}
		slices.Sort(who)
		return who
	}
	expect := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, told()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", what, diff)
		}
	}
	send := func(account store.AccountID, n int) {
		for range n {
			f.must(f.submit(account, "a@far.test"))
		}
	}
	send(f.alice, 3)
	expect("at 60 %")
	send(f.alice, 1)
	expect("at 80 %", "alice@example.org false alice@example.org: 4 of 5", "root@example.org true alice@example.org: 4 of 5")
	send(f.alice, 1)
	expect("at 100 %")
	send(admin.ID, 3)
	expect("of the server", "root@example.org true : 8 of 10")
	f.now = f.now.Add(2 * time.Hour)
	expect("two hours later")
	send(f.alice, 4)
	expect("again within a day")
	f.now = f.now.Add(21 * time.Hour)
	expect("23 hours later, with nothing near")
	send(f.alice, 4)
	expect("after 23 hours")
	f.now = f.now.Add(time.Hour + time.Minute)
	send(f.alice, 1) // of four the hour has forgotten none yet
	f.now = f.now.Add(2 * time.Minute)
	expect("after a day, once the hour has forgotten them")
	send(f.alice, 4)
	expect("after a day", "alice@example.org false alice@example.org: 5 of 5", "root@example.org true alice@example.org: 5 of 5")
	f.now = f.now.Add(30 * time.Hour)
	expect("a day later")
	send(admin.ID, 4)
	expect("of the only admin", "root@example.org false root@example.org: 4 of 5")
}
