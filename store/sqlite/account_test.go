package sqlite

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// queued accepts a message from an account for remote recipients.
func (f *directoryFixture) queued(t testing.TB, from store.AccountID, to ...string) store.MessageID {
	t.Helper()
	const text = "Subject: x\r\n\r\nx\r\n"
	a := store.Acceptance{
		ID: f.NewMessageID(), At: f.now(), Account: from, Origin: store.FromAccount, HeaderID: "m@example.org",
		Envelope: mail.Envelope{Sender: address(t, "alice@example.org")},
		Body:     strings.NewReader(text), Size: int64(len(text)),
	}
	for _, r := range to {
		a.Outbound = append(a.Outbound, store.Outbound{Recipient: mail.Recipient{Address: address(t, r)}})
	}
	if err := f.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a.ID
}

// received accepts a message of some octets for an account.
func (f *directoryFixture) received(t testing.TB, account store.AccountID, octets int) store.MessageID {
	t.Helper()
	text := strings.Repeat("x", octets-2) + "\r\n"
	a := store.Acceptance{
		ID: f.NewMessageID(), At: f.now(), HeaderID: "r@elsewhere.example",
		Envelope: mail.Envelope{Sender: address(t, "ext@elsewhere.example")},
		Body:     strings.NewReader(text), Size: int64(len(text)),
		Local: []store.LocalDelivery{{Account: account, Recipient: address(t, f.accounts[account])}},
	}
	if err := f.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a.ID
}

func TestDomains(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	f.domain(t, "backup.example", true)
	if _, err := f.AddDomain(t.Context(), store.Domain{Name: "example.org"}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("adding it again: %v", err)
	}
	f.account(t, store.Account{}, "alice@example.org")
	if err := f.RemoveDomain(t.Context(), "example.org"); !errors.Is(err, store.ErrInUse) {
		t.Errorf("removing it with an account: %v", err)
	}
	if err := f.RemoveDomain(t.Context(), "elsewhere.example"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removing an unknown one: %v", err)
	}
	if err := f.RemoveDomain(t.Context(), "backup.example"); err != nil {
		t.Error(err)
	}
	all, err := f.Domains(t.Context())
	if err != nil || len(all) != 1 || all[0].Name != "example.org" || all[0].Created.IsZero() {
		t.Errorf("left are %+v, %v", all, err)
	}
}

func TestAddAccountAndAliasShareTheNames(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	f.domain(t, "backup.example", true)
	f.account(t, store.Account{}, "Alice@example.org")
	f.alias(t, "sales@example.org", "alice@example.org")
	f.alias(t, "@example.org", "alice@example.org")
	for _, test := range []struct {
		it, address string
		want        error
	}{
		{"refuses an account's address", "alice@example.org", store.ErrConflict},
		{"refuses it in other case", "ALICE@example.org", store.ErrConflict},
		{"refuses an alias's address", "Sales@example.org", store.ErrConflict},
		{"refuses other domains", "alice@elsewhere.example", store.ErrNotFound},
		{"refuses backup domains", "alice@backup.example", store.ErrNotFound},
	} {
		t.Run(test.it, func(t *testing.T) {
			if _, err := f.AddAccount(t.Context(), store.Account{Address: address(t, test.address)}); !errors.Is(err, test.want) {
				t.Errorf("account: %v, want %v", err, test.want)
			}
			alias := store.Alias{Source: address(t, test.address), Targets: []mail.Address{address(t, "x@elsewhere.example")}}
			if err := f.AddAlias(t.Context(), alias); !errors.Is(err, test.want) {
				t.Errorf("alias: %v, want %v", err, test.want)
			}
		})
	}
}

func TestAddAliasFindsLoops(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	f.account(t, store.Account{}, "list+archive@example.org")
	f.alias(t, "a@example.org", "b@example.org")
	f.alias(t, "b@example.org", "x@elsewhere.example", "c@example.org")
	for _, test := range []struct {
		it, source, target string
		want               error
	}{
		{"finds itself", "d@example.org", "D@example.org", store.ErrLoop},
		{"finds itself under a tag", "d@example.org", "d+tag@example.org", store.ErrLoop},
		{"finds a chain", "c@example.org", "a@example.org", store.ErrLoop},
		{"finds a chain under a tag", "c@example.org", "a+x@example.org", store.ErrLoop},
		{"lets an account with a tag be", "list@example.org", "list+archive@example.org", nil},
		{"lets a target be that isn't there yet", "e@example.org", "later@example.org", nil},
	} {
		t.Run(test.it, func(t *testing.T) {
			err := f.AddAlias(t.Context(), store.Alias{Source: address(t, test.source), Targets: []mail.Address{address(t, test.target)}})
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestAliases(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	f.alias(t, "Sales@example.org", "z@elsewhere.example", "A@elsewhere.example")
	f.alias(t, "@example.org", "x@elsewhere.example")
	all, err := f.Aliases(t.Context())
	if err != nil || len(all) != 2 || all[0].Source != address(t, "@example.org") || all[1].Source != address(t, "sales@example.org") {
		t.Fatalf("got %+v, %v", all, err)
	}
	if got := all[1].Targets; len(got) != 2 || got[0].Local != "z" || got[1].Local != "A" {
		t.Errorf("targets are %v: their order and case are lost", got)
	}
	if err := f.RemoveAlias(t.Context(), address(t, "@example.org")); err != nil {
		t.Error(err)
	}
	if err := f.RemoveAlias(t.Context(), address(t, "@example.org")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removing it again: %v", err)
	}
}

func TestAccountByLogin(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	f.domain(t, "example.net", false)
	for _, text := range []string{"alice@example.org", "bob@example.org", "bob@example.net"} {
		f.account(t, store.Account{Name: "N", Quota: 7, Admin: true, Secret: store.Secret{Hash: "h", SCRAM: "s"}}, text)
	}
	for _, test := range []struct{ it, login, want string }{
		{"takes an address", "alice@example.org", "alice@example.org"},
		{"folds case", "ALICE@EXAMPLE.ORG", "alice@example.org"},
		{"takes a local part that is unique", "Alice", "alice@example.org"},
		{"refuses a local part that isn't", "bob", ""},
		{"takes an address whose local part isn't", "bob@example.net", "bob@example.net"},
		{"knows no tags", "alice+x@example.org", ""},
		{"refuses strangers", "carol", ""},
		{"refuses nothing", "", ""},
		{"refuses other domains", "alice@elsewhere.example", ""},
	} {
		t.Run(test.it, func(t *testing.T) {
			a, err := f.AccountByLogin(t.Context(), test.login)
			switch {
			case test.want == "" && !errors.Is(err, store.ErrNotFound):
				t.Errorf("got %+v, %v", a, err)
			case test.want != "" && (err != nil || a.Address.String() != test.want || a.Secret != store.Secret{Hash: "h", SCRAM: "s"} ||
				a.Quota != 7 || !a.Admin || a.Name != "N" || a.Created.IsZero()):
				t.Errorf("got %+v, %v, want %s", a, err, test.want)
			}
		})
	}
}

func TestSetStandingHoldsTheQueue(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{}, "alice@example.org")
	bob := f.account(t, store.Account{}, "bob@example.org")
	id := f.queued(t, alice, "x@elsewhere.example", "y@elsewhere.example")
	f.queued(t, bob, "z@elsewhere.example")
	held := func() (n int) {
		t.Helper()
		items, err := f.Queue(t.Context(), store.QueueFilter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			if item.Hold&store.HeldForAccount != 0 {
				n++
			}
		}
		return n
	}
	if err := f.SetStanding(t.Context(), alice, store.DisabledRefusing); err != nil {
		t.Fatal(err)
	}
	if a, err := f.Account(t.Context(), alice); err != nil || a.Standing() != store.DisabledRefusing {
		t.Errorf("standing is %v, %v", a.Standing(), err)
	}
	if n := held(); n != 2 {
		t.Errorf("%d items are held, want 2", n)
	}
	<-f.QueueChanged()
	if err := f.SetStanding(t.Context(), alice, store.Enabled); err != nil {
		t.Fatal(err)
	}
	if n := held(); n != 0 {
		t.Errorf("%d items are held after enabling, want none", n)
	}
	<-f.QueueChanged() // or the dispatcher would sleep
	page, err := f.Trails(t.Context(), store.TrailQuery{Text: id.String()})
	if err != nil || len(page.Trails) != 1 {
		t.Fatalf("trails are %v, %v", page.Trails, err)
	}
	var told []string
	for _, e := range page.Trails[0].Events {
		if e.Kind == store.Held || e.Kind == store.Released {
			told = append(told, string(e.Kind)+" "+e.Recipient+": "+e.Reason)
		}
	}
	if want := "held x@elsewhere.example: the account is disabled"; len(told) != 4 || told[0] != want {
		t.Errorf("the trace tells %q, want four, the first %q", told, want)
	}
	if err := f.SetStanding(t.Context(), 999, store.Disabled); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of an unknown account: %v", err)
	}
}

func TestSetStandingLeavesOtherHolds(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{}, "alice@example.org")
	f.queued(t, alice, "x@elsewhere.example")
	if _, err := f.HoldQueue(t.Context(), store.QueueFilter{}); err != nil {
		t.Fatal(err)
	}
	for _, standing := range []store.Standing{store.Disabled, store.Enabled} {
		if err := f.SetStanding(t.Context(), alice, standing); err != nil {
			t.Fatal(err)
		}
	}
	items, err := f.Queue(t.Context(), store.QueueFilter{})
	if err != nil || len(items) != 1 || items[0].Hold != store.HeldByAdmin {
		t.Errorf("queue is %+v, %v, want what the admin held still held", items, err)
	}
}

func TestRemoveAccount(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{}, "alice@example.org")
	bob := f.account(t, store.Account{}, "bob@example.org")
	f.received(t, alice, 100)
	id := f.received(t, bob, 100)
	f.queued(t, alice, "x@elsewhere.example")
	if _, err := f.AddAppPassword(t.Context(), store.AppPassword{Account: alice, Name: "phone", Hash: [32]byte{1}}); err != nil {
		t.Fatal(err)
	}
	if err := f.RemoveAccount(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Account(t.Context(), alice); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("account is still there: %v", err)
	}
	if _, err := f.AppPasswordByHash(t.Context(), [32]byte{1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("app password is still there: %v", err)
	}
	if got := f.usage.get(alice); got != (store.Usage{}) {
		t.Errorf("usage is still %+v", got)
	}
	if items, err := f.Queue(t.Context(), store.QueueFilter{}); err != nil || len(items) != 1 {
		t.Errorf("queue is %v, %v, want what was sent before to stay", items, err)
	}
	if entries, err := f.Entries(t.Context(), bob); err != nil || len(entries) != 1 || entries[0].Message != id {
		t.Errorf("the other's maildrop is %v, %v", entries, err)
	}
	if again := f.account(t, store.Account{}, "alice@example.org"); again == alice {
		t.Error("the id is used again")
	}
	if err := f.RemoveAccount(t.Context(), alice); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removing it again: %v", err)
	}
}

func TestUsageIsLoadedAtOpen(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	f := &directoryFixture{Store: s, accounts: make(map[store.AccountID]string)}
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{}, "alice@example.org")
	f.received(t, alice, 100)
	before, err := f.Account(t.Context(), alice)
	if err != nil || before.Usage.Messages != 1 || before.Usage.Bytes < 100 {
		t.Errorf("usage is %+v, %v", before.Usage, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	after, err := s.Account(t.Context(), alice)
	if err != nil || after.Usage != before.Usage {
		t.Errorf("usage after opening again is %+v, %v, want %+v", after.Usage, err, before.Usage)
	}
}

func TestAppPasswords(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	alice := f.account(t, store.Account{}, "alice@example.org")
	phone, err := f.AddAppPassword(t.Context(), store.AppPassword{Account: alice, Name: "phone", Hash: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.AddAppPassword(t.Context(), store.AppPassword{Account: alice, Name: "phone", Hash: [32]byte{2}}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same name again: %v", err)
	}
	if _, err := f.AddAppPassword(t.Context(), store.AppPassword{Account: 99, Name: "x", Hash: [32]byte{3}}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("for an unknown account: %v", err)
	}
	at := time.Date(2026, 5, 6, 7, 48, 9, 0, time.UTC)
	if err := f.TouchAppPassword(t.Context(), phone.ID, at); err != nil {
		t.Fatal(err)
	}
	got, err := f.AppPasswordByHash(t.Context(), [32]byte{1})
	if err != nil || got.Account != alice || got.Name != "phone" || !got.LastUsed.Equal(at.Truncate(time.Hour)) {
		t.Errorf("got %+v, %v", got, err)
	}
	if all, err := f.AppPasswords(t.Context(), alice); err != nil || len(all) != 1 || all[0] != got {
		t.Errorf("list is %+v, %v", all, err)
	}
	if err := f.RemoveAppPassword(t.Context(), alice, "phone"); err != nil {
		t.Error(err)
	}
	if err := f.RemoveAppPassword(t.Context(), alice, "phone"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removing it again: %v", err)
	}
}
