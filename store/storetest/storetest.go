// Package storetest says how a store must behave, as tests that any backend
// runs. A backend is done when it passes.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// A Store is what the tests need of a backend.
type Store interface {
	WaysStore
	AccessStore
	ChangeStore
	ListStore
	DKIMStore
	SendingStore
	VacationStore
	LoginBlockStore
	JournalStore
	SignInStore

	NewMessageID() store.MessageID
	Accept(ctx context.Context, a store.Acceptance) error
	Entries(ctx context.Context, account store.AccountID) ([]store.Entry, error)
	OpenEntry(ctx context.Context, account store.AccountID, id store.MessageID) (*store.Body, error)
	OpenMessage(ctx context.Context, id store.MessageID) (*store.Body, error)
	RemoveEntries(ctx context.Context, r store.Removal) error
	Message(ctx context.Context, id store.MessageID) (store.Message, error)
	Lanes(ctx context.Context) ([]store.LaneDue, error)
	Changes() store.QueueChanges
	ClaimLane(ctx context.Context, c store.LaneClaim) (store.Claimed, error)
	Withdrawn(ctx context.Context, items []store.QueueID) ([]store.QueueID, error)
	Settle(ctx context.Context, s store.Settlement) error
	QueueChanged() <-chan struct{}
	Queue(ctx context.Context, f store.QueueFilter) ([]store.QueueItem, error)
	RetryQueue(ctx context.Context, f store.QueueFilter) (int64, error)
	HoldQueue(ctx context.Context, f store.QueueFilter) (int64, error)
	ReleaseQueue(ctx context.Context, f store.QueueFilter) (int64, error)
	ReturnQueue(ctx context.Context, f store.QueueFilter) (int64, error)
	CancelQueue(ctx context.Context, f store.QueueFilter) (int64, error)
	CountQueue(ctx context.Context, f store.QueueFilter) (int64, error)
	QueuedByDomain(ctx context.Context) ([]store.DestinationQueue, error)
	QueuedByLane(ctx context.Context, domains ...string) ([]store.LaneQueue, error)
	PauseDomain(ctx context.Context, domain string) error
	ResumeDomain(ctx context.Context, domain string) error
	Health(ctx context.Context) ([]store.Health, error)
	FailingHealth(ctx context.Context) ([]store.Health, error)
	HealthOf(ctx context.Context, destination string) (store.Health, error)
	ListDestinations(ctx context.Context, q store.ListQuery, ways []store.Leading) (store.DestinationPart, error)
	Counts(ctx context.Context) (store.Counts, error)
	Condition(ctx context.Context, q store.ConditionQuery) (store.Condition, error)
	Traffic(ctx context.Context, bounds []time.Time) ([]store.Traffic, error)
	Collected(c store.Collection)
	Refused(r store.Refusal)
	AddDomain(ctx context.Context, d store.Domain) (store.Domain, error)
	AddAccount(ctx context.Context, a store.Account) (store.Account, error)
	SetStanding(ctx context.Context, id store.AccountID, s store.Standing) error
	Account(ctx context.Context, id store.AccountID) (store.Account, error)
	Trails(ctx context.Context, q store.TrailQuery) (store.TrailPage, error)
	SetupStore
	Close() error
}

// A Backend opens stores for the tests.
type Backend struct {
	// Open opens the store in dir, makes it if there is none. Its clock is now.
	Open func(t *testing.T, dir string, now func() time.Time) Store
}

// Run runs all tests against a backend.
func Run(t *testing.T, b Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"it puts a message into every maildrop once", onceInEachMaildrop},
		{"it gives back the octets that it was given", octetForOctet},
		{"it takes all of a message or nothing", allOrNothing},
		{"it refuses what a disabled account submits", refusesDisabled},
		{"it removes entries all together", removesTogether},
		{"it keeps a body until its last reference is gone", keepsWhileReferred},
		{"it never uses an id twice", idsAreNew},
		{"it keeps what it accepted over a restart", survivesRestart},
		{"it claims what is due, once", claimsOnce},
		{"it forgets claims at a restart", forgetsClaims},
		{"it claims from one lane at a time", claimsOneLane},
		{"it claims whole messages, as far as works go", claimsWorks},
		{"it claims a message's other lanes together", claimsTogether},
		{"it claims what is late, due or not", claimsLate},
		{"it claims together what came due apart", claimsTornApart},
		{"it goes back to what comes before its cursor", rewindsCursor},
		{"it tells what has changed, each lane once", tellsChanges},
		{"it keeps what a report needs", keepsForReports},
		{"it owes a report without anything to send", owesReports},
		{"it keeps the health of destinations", keepsHealth},
		{"it lists destinations", listsDestinations},
		{"it pauses a domain", pausesDomain},
		{"it lists the queue in pages", listsQueue},
		{"it counts the queue by domain", countsByDomain},
		{"it changes a long queue in steps", changesLongQueue},
		{"it sends again when the time has come", postpones},
		{"it commits a failure with its report", reportsWithFailure},
		{"it settles although a report's reader is gone, or the report is there", settlesWithoutReader},
		{"it counts a stop as no attempt", interruption},
		{"it signals that the queue has changed", signals},
		{"it holds, releases, hastens and cancels", queueOperations},
		{"it holds the queue of a disabled account", holdsForAccount},
		{"it withdraws what is claimed", withdrawsClaimed},
		{"it keeps the trace of a message's whole way", traces},
		{"it notes refused mail", notesRefusals},
		{"it keeps the admin's own lists", keepsAccess},
		{"it sweeps the admin's lists of what has ended", sweepsAccess},
		{"it keeps concerns until they are over", keepsConcerns},
		{"it keeps the networks that may not log in", keepsLoginBlocks},
		{"it takes each code of a second factor once", keepsSecondFactors},
		{"it keeps the last logins", keepsLastLogins},
		{"it lets one become the first administrator", hasOneFirstAdmin},
		{"it keeps how far the guide is", keepsSetupMarks},
		{"it keeps where logins came from, well and in vain", keepsLoginSources},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFixture(t, b)) })
	}
	RunWays(t, b)
	RunDKIM(t, b)
	RunSending(t, b)
	RunVacations(t, b)
	RunChanges(t, b)
	RunLists(t, b)
	RunJournal(t, b)
}

// A fixture is a store with one domain and three accounts.
type fixture struct {
	Store
	t                 *testing.T
	b                 Backend
	dir               string
	now               time.Time
	alice, bob, carol store.AccountID
}

func newFixture(t *testing.T, b Backend) *fixture {
	f := &fixture{t: t, b: b, dir: t.TempDir(), now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	f.open()
	t.Cleanup(func() { f.must(f.Close()) })
	_, err := f.AddDomain(t.Context(), store.Domain{Name: "example.org", Created: f.now})
	f.must(err)
	for _, account := range []struct {
		local string
		id    *store.AccountID
	}{{"alice", &f.alice}, {"bob", &f.bob}, {"carol", &f.carol}} {
		a, err := f.AddAccount(t.Context(), store.Account{Address: address(account.local + "@example.org"), Created: f.now})
		f.must(err)
		*account.id = a.ID
	}
	return f
}

func (f *fixture) open() { f.Store = f.b.Open(f.t, f.dir, func() time.Time { return f.now }) }

func (f *fixture) reopen() {
	f.t.Helper()
	f.must(f.Close())
	f.open()
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func address(text string) mail.Address {
	a, err := mail.ParseAddress(text)
	if err != nil {
		panic(err)
	}
	return a
}

// message returns an acceptance of text, from outside to nobody yet.
func (f *fixture) message(text string) store.Acceptance {
	return store.Acceptance{
		ID:       f.NewMessageID(),
		At:       f.now,
		Envelope: mail.Envelope{Sender: address("sender@example.net")},
		HeaderID: "one@example.net",
		Body:     strings.NewReader(text),
		Size:     int64(len(text)),
	}
}

func (f *fixture) local(a store.Acceptance, accounts ...store.AccountID) store.Acceptance {
	for _, id := range accounts {
		a.Local = append(a.Local, store.LocalDelivery{Account: id, Recipient: address(fmt.Sprintf("to%d@example.org", id))})
	}
	return a
}

func outbound(a store.Acceptance, recipients ...string) store.Acceptance {
	for _, r := range recipients {
		a.Outbound = append(a.Outbound, store.Outbound{Sender: a.Envelope.Sender, Recipient: mail.Recipient{Address: address(r)}})
	}
	return a
}

func (f *fixture) accept(a store.Acceptance) store.MessageID {
	f.t.Helper()
	f.must(f.Accept(f.t.Context(), a))
	return a.ID
}

func (f *fixture) entries(account store.AccountID) []store.Entry {
	f.t.Helper()
	entries, err := f.Entries(f.t.Context(), account)
	f.must(err)
	return entries
}

// collect returns an entry's octets, and checks them against its size.
func (f *fixture) collect(account store.AccountID, e store.Entry) string {
	f.t.Helper()
	body, err := f.OpenEntry(f.t.Context(), account, e.Message)
	f.must(err)
	defer body.Close()
	text, err := io.ReadAll(body)
	f.must(err)
	if int64(len(text)) != e.Size || body.Size != e.Size {
		f.t.Errorf("%d octets, the entry says %d, the body %d", len(text), e.Size, body.Size)
	}
	return string(text)
}

// claim claims all that is due, in the order of the items.
func (f *fixture) claim() []store.QueueItem {
	f.t.Helper()
	lanes, err := f.Lanes(f.t.Context())
	f.must(err)
	var items []store.QueueItem
	for _, l := range lanes {
		items = append(items, f.claimLane(store.LaneClaim{Lane: l.Lane}).Items...)
	}
	slices.SortFunc(items, func(a, b store.QueueItem) int { return int(a.ID - b.ID) })
	return items
}

// claimLane fills in the time, and bounds that are out of reach.
func (f *fixture) claimLane(c store.LaneClaim) store.Claimed {
	f.t.Helper()
	if c.Now = f.now; c.Works == 0 {
		c.Works = 1000
	}
	if c.PerWork == 0 {
		c.PerWork = 1000
	}
	claimed, err := f.ClaimLane(f.t.Context(), c)
	f.must(err)
	return claimed
}

func (f *fixture) queue() []store.QueueItem {
	f.t.Helper()
	items, err := f.Queue(f.t.Context(), store.QueueFilter{})
	f.must(err)
	return items
}

func (f *fixture) settle(outcomes ...store.Outcome) {
	f.t.Helper()
	f.must(f.Settle(f.t.Context(), store.Settlement{At: f.now, Outcomes: outcomes}))
}

func outcome(i store.QueueItem, r store.Result) store.Outcome {
	return store.Outcome{Item: i.ID, Message: i.Message, Recipient: i.Recipient.Address, Result: r}
}

// eventually waits until the condition holds: what is done in the background
// has no other sign.
func (f *fixture) eventually(what string, condition func() bool) {
	f.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited in vain: %s", what)
		}
		<-tick.C
	}
}

func (f *fixture) gone(id store.MessageID) func() bool {
	return func() bool {
		_, err := f.Message(context.Background(), id)
		return errors.Is(err, store.ErrNotFound)
	}
}

const prefix1 = "Return-Path: <sender@example.net>\r\nDelivered-To: "

func onceInEachMaildrop(t *testing.T, f *fixture) {
	a := f.local(f.message("Subject: x\r\n\r\nhello\r\n"), f.alice, f.bob, f.alice)
	a.Local[2].Recipient = address("again@example.org")
	f.accept(a)
	for _, id := range []store.AccountID{f.alice, f.bob} {
		entries := f.entries(id)
		if len(entries) != 1 {
			t.Fatalf("account %d has %d entries, want 1", id, len(entries))
		}
		want := prefix1 + fmt.Sprintf("to%d@example.org\r\n", id) + "Subject: x\r\n\r\nhello\r\n"
		if got := f.collect(id, entries[0]); got != want {
			t.Errorf("collected %q, want %q", got, want)
		}
		account, err := f.Account(t.Context(), id)
		f.must(err)
		if want := (store.Usage{Bytes: entries[0].Size, Messages: 1}); account.Usage != want {
			t.Errorf("usage is %v, want %v", account.Usage, want)
		}
	}
	if n := len(f.entries(f.carol)); n != 0 {
		t.Errorf("carol has %d entries, want 0", n)
	}
}

func octetForOctet(t *testing.T, f *fixture) {
	for _, size := range []int{1, 4095, 256 << 10, 256<<10 + 1, 1 << 20, 1<<20 + 1, 3<<20 + 77} {
		text := make([]byte, size)
		for i := range text {
			text[i] = byte(i*7+i/251) | 1
		}
		a := outbound(f.local(f.message(""), f.alice), "r@example.com")
		a.Body, a.Size = bytes.NewReader(text), int64(size)
		id := f.accept(a)
		entries := f.entries(f.alice)
		got := f.collect(f.alice, entries[len(entries)-1])
		if !strings.HasSuffix(got, string(text)) || len(got) != len(text)+len(prefix1)+len("to1@example.org\r\n") {
			t.Errorf("%d octets: another text came back", size)
		}
		body, err := f.OpenMessage(t.Context(), id)
		f.must(err)
		raw, err := io.ReadAll(body)
		f.must(err)
		f.must(body.Close())
		if !bytes.Equal(raw, text) {
			t.Errorf("%d octets: another text to send", size)
		}
	}
}

func allOrNothing(t *testing.T, f *fixture) {
	long := f.local(f.message("longer than it says"), f.alice)
	long.Size--
	short := f.local(f.message("shorter than it says"), f.alice)
	short.Size++
	big := f.local(f.message(""), f.alice)
	big.Body, big.Size = io.MultiReader(strings.NewReader(strings.Repeat("x", 2<<20)), failing{}), 3<<20
	nobody := f.local(f.message("x"), f.alice, 4711)
	for name, a := range map[string]store.Acceptance{
		"a body longer than its size": long, "a shorter one": short, "one that breaks off": big,
		"an account that isn't there": nobody, "no recipient": f.message("x"),
	} {
		if err := f.Accept(t.Context(), a); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if n := len(f.entries(f.alice)); n != 0 {
		t.Errorf("%d entries, want 0", n)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the line is dead") }

func refusesDisabled(t *testing.T, f *fixture) {
	f.must(f.SetStanding(t.Context(), f.alice, store.Disabled))
	a := f.local(f.message("x"), f.bob)
	a.Account = f.alice
	if err := f.Accept(t.Context(), a); !errors.Is(err, store.ErrDisabled) {
		t.Errorf("error is %v, want ErrDisabled", err)
	}
}

func removesTogether(t *testing.T, f *fixture) {
	var ids []store.MessageID
	for i := range 5 {
		ids = append(ids, f.accept(f.local(f.message(strings.Repeat("x", i+1)), f.alice, f.bob)))
	}
	f.must(f.RemoveEntries(t.Context(), store.Removal{Account: f.alice, At: f.now, Messages: []store.MessageID{ids[1], ids[3], 4711}}))
	left := f.entries(f.alice)
	if len(left) != 3 || left[0].Message != ids[0] || left[1].Message != ids[2] || left[2].Message != ids[4] {
		t.Errorf("left are %v, want the others of %v", left, ids)
	}
	if n := len(f.entries(f.bob)); n != 5 {
		t.Errorf("bob has %d entries left, want 5", n)
	}
	account, err := f.Account(t.Context(), f.alice)
	f.must(err)
	if want := left[0].Size + left[1].Size + left[2].Size; account.Usage != (store.Usage{Bytes: want, Messages: 3}) {
		t.Errorf("usage is %v, want %d octets in 3 messages", account.Usage, want)
	}
}

func keepsWhileReferred(t *testing.T, f *fixture) {
	id := f.accept(outbound(f.local(f.message("x"), f.alice, f.bob), "r@example.com"))
	remove := func(account store.AccountID) {
		f.must(f.RemoveEntries(t.Context(), store.Removal{Account: account, At: f.now, Messages: []store.MessageID{id}}))
	}
	remove(f.alice)
	remove(f.bob)
	items := f.claim()
	if _, err := f.Message(t.Context(), id); err != nil {
		t.Fatalf("the message is gone while it is in the queue: %v", err)
	}
	f.settle(outcome(items[0], store.Sent))
	f.eventually("the message is removed", f.gone(id))
}

func idsAreNew(t *testing.T, f *fixture) {
	last := f.accept(f.local(f.message("x"), f.alice))
	uids := map[store.UID]bool{f.entries(f.alice)[0].UID: true}
	for range 3 {
		f.now = f.now.Add(-time.Hour) // a clock that goes back must not matter
		f.must(f.RemoveEntries(t.Context(), store.Removal{Account: f.alice, At: f.now, Messages: []store.MessageID{last}}))
		f.eventually("the message is removed", f.gone(last))
		f.reopen()
		next := f.accept(f.local(f.message("x"), f.alice))
		if next <= last {
			t.Errorf("id %v after %v", next, last)
		}
		last = next
		uid := f.entries(f.alice)[0].UID
		if uids[uid] {
			t.Errorf("unique-id %v came twice", uid)
		}
		uids[uid] = true
	}
}

func survivesRestart(t *testing.T, f *fixture) {
	id := f.accept(outbound(f.local(f.message("Subject: x\r\n\r\nhello\r\n"), f.alice), "r@example.com"))
	before := f.entries(f.alice)
	f.reopen()
	after := f.entries(f.alice)
	if len(after) != 1 || after[0] != before[0] {
		t.Fatalf("entries are %v, were %v", after, before)
	}
	if text := f.collect(f.alice, after[0]); !strings.HasSuffix(text, "hello\r\n") {
		t.Errorf("collected %q", text)
	}
	if items := f.queue(); len(items) != 1 || items[0].Message != id {
		t.Errorf("the queue is %v", items)
	}
}
