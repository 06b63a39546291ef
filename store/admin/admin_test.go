package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/auth"
	"postroom/store/mail"
	"postroom/store/sqlite"
)

// A fixture is an Admin over a real store, at a fixed time.
type fixture struct {
	*admin.Admin
	t     *testing.T
	store *sqlite.Store
	now   time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)}
	now := func() time.Time { return f.now }
	var err error
	if f.store, err = sqlite.Open(t.Context(), sqlite.Options{Dir: t.TempDir(), Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.store.Close(); err != nil {
			t.Error(err)
		}
	})
	f.Admin = &admin.Admin{
		Store: f.store,
		Auth:  auth.New(f.store, auth.Options{Now: now, Guard: auth.NewGuard(auth.GuardOptions{Now: now, Blocks: f.store})}),
		Now:   now,
		Log:   slog.New(slog.DiscardHandler),
	}
	return f
}

// fill adds example.org with alice, who has a password and a quota, and bob.
func (f *fixture) fill() {
	f.t.Helper()
	_, err := f.AddDomain(f.t.Context(), admin.AddDomain{Name: "Example.ORG"})
	f.must(err)
	_, err = f.AddAccount(f.t.Context(), admin.NewAccount{
		Address: "Alice@example.org", Password: "correct horse", Name: "Alice", Quota: 10_000, Admin: true,
	})
	f.must(err)
	_, err = f.AddAccount(f.t.Context(), admin.NewAccount{Address: "bob@example.org"})
	f.must(err)
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// fails checks that a person is told something.
func (f *fixture) fails(err error, kind admin.Kind, wraps error, says string) {
	f.t.Helper()
	var e *admin.Error
	if !errors.As(err, &e) {
		f.t.Errorf("got %v, want an Error that says %q", err, says)
		return
	}
	if e.Kind != kind || !strings.Contains(e.Text, says) || wraps != nil && !errors.Is(err, wraps) {
		f.t.Errorf("got %s %q (%v), want %s %q", e.Kind, e.Text, errors.Unwrap(err), kind, says)
	}
}

// login reports whether a password opens an account.
func (f *fixture) login(login, password string) error {
	_, err := f.Auth.Login(f.t.Context(), auth.Attempt{
		Login: login, Password: password, Client: netip.MustParseAddr("127.0.0.1"), Protocol: "pop3",
	})
	return err
}

// accept puts a message of some octets into maildrops and the queue.
func (f *fixture) accept(from string, octets int, local []string, remote ...string) store.MessageID {
	f.t.Helper()
	text := strings.Repeat("x", octets-2) + "\r\n"
	sender, err := f.store.AccountByAddress(f.t.Context(), f.address(from))
	f.must(err)
	a := store.Acceptance{
		ID: f.store.NewMessageID(), At: f.now, Account: sender.ID, Origin: store.FromAccount, HeaderID: fmt.Sprintf("%d@example.org", octets),
		Envelope: mail.Envelope{Sender: sender.Address}, Body: strings.NewReader(text), Size: int64(len(text)),
	}
	for _, to := range local {
		account, err := f.store.AccountByAddress(f.t.Context(), f.address(to))
		f.must(err)
		a.Local = append(a.Local, store.LocalDelivery{Account: account.ID, Recipient: account.Address})
	}
	for _, to := range remote {
		a.Outbound = append(a.Outbound, store.Outbound{Recipient: mail.Recipient{Address: f.address(to)}})
	}
	f.must(f.store.Accept(f.t.Context(), a))
	return a.ID
}

func (f *fixture) address(text string) mail.Address {
	f.t.Helper()
	a, err := mail.ParseAddress(text)
	f.must(err)
	return a
}

func TestDomains(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	_, err := f.AddDomain(ctx, admin.AddDomain{Name: "example.org."})
	f.fails(err, admin.Conflict, store.ErrConflict, "The domain example.org is here already.")
	_, err = f.AddDomain(ctx, admin.AddDomain{Name: "not a domain"})
	f.fails(err, admin.Invalid, nil, `"not a domain" is not a domain name`)
	_, err = f.AddDomain(ctx, admin.AddDomain{Name: "bücher.example", Backup: true})
	f.must(err)
	f.fails(f.RemoveDomain(ctx, "example.org"), admin.InUse, store.ErrInUse, "still has 2 accounts and 0 aliases")
	f.fails(f.RemoveDomain(ctx, "example.net"), admin.NotFound, store.ErrNotFound, "There is no domain example.net here")
	got, err := f.Domains(ctx)
	f.must(err)
	if len(got) != 2 || got[0].Name != "example.org" || got[0].Accounts != 2 || got[1].Name != "xn--bcher-kva.example" || !got[1].Backup {
		t.Errorf("domains are %+v", got)
	}
	f.must(f.RemoveDomain(ctx, "bücher.example"))
}

func TestAddAccount(t *testing.T) {
	f := newFixture(t)
	f.fill()
	_, err := f.AddDomain(t.Context(), admin.AddDomain{Name: "backup.example", Backup: true})
	f.must(err)
	_, err = f.AddAlias(t.Context(), admin.NewAlias{Source: "sales@example.org", Targets: []string{"bob@example.org"}})
	f.must(err)
	for _, test := range []struct {
		it      string
		account admin.NewAccount
		kind    admin.Kind
		says    string
	}{
		{"refuses nonsense", admin.NewAccount{Address: "alice"}, admin.Invalid, `"alice" is not a mail address`},
		{"refuses an unknown domain", admin.NewAccount{Address: "a@example.net"}, admin.NotFound, "There is no domain example.net here. Add the domain first"},
		{"refuses a backup domain", admin.NewAccount{Address: "a@backup.example"}, admin.Invalid, "is a backup domain"},
		{"refuses an account's address", admin.NewAccount{Address: "ALICE@example.org"}, admin.Conflict, "There is an account ALICE@example.org already."},
		{"refuses an alias's address", admin.NewAccount{Address: "sales@example.org"}, admin.Conflict, "There is an alias sales@example.org already."},
		{"refuses a bad password", admin.NewAccount{Address: "a@example.org", Password: "short"}, admin.Invalid, "at least 8 characters"},
		{"refuses a negative quota", admin.NewAccount{Address: "a@example.org", Quota: -1}, admin.Invalid, "can't be negative"},
		{"refuses a name of two lines", admin.NewAccount{Address: "a@example.org", Name: "A\r\nB"}, admin.Invalid, "one line"},
	} {
		t.Run(test.it, func(t *testing.T) {
			f.t = t
			_, err := f.AddAccount(t.Context(), test.account)
			f.fails(err, test.kind, nil, test.says)
		})
	}
	f.t = t
	got, err := f.Account(t.Context(), "ALICE@example.org")
	f.must(err)
	want := admin.Account{Address: "alice@example.org", Name: "Alice", Admin: true, Status: "enabled", Quota: 10_000, Created: f.now}
	if got.Created.Equal(want.Created) {
		got.Created = want.Created
	}
	if got != want {
		t.Errorf("account is %+v, want %+v", got, want)
	}
	if all, err := f.Accounts(t.Context()); err != nil || len(all) != 2 || all[1].Address != "bob@example.org" {
		t.Errorf("accounts are %+v, %v", all, err)
	}
	_, err = f.Account(t.Context(), "carol@example.org")
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no account carol@example.org.")
}

func TestPasswordAndStandingEndSessions(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	alice, err := f.store.AccountByAddress(ctx, f.address("alice@example.org"))
	f.must(err)
	ended := 0
	track := func() { f.Auth.Track(alice.ID, func() { ended++ }) }
	status := func() string {
		t.Helper()
		a, err := f.Account(ctx, "alice@example.org")
		f.must(err)
		return a.Status
	}
	f.must(f.login("alice", "correct horse"))
	track()
	f.must(f.SetPassword(ctx, "alice@example.org", "another horse"))
	if err := f.login("alice", "correct horse"); !errors.Is(err, auth.ErrDenied) || ended != 1 {
		t.Errorf("after a new password: the old one gives %v, %d sessions ended", err, ended)
	}
	f.must(f.login("alice", "another horse"))
	track()
	f.must(f.DisableAccount(ctx, "alice@example.org", true))
	if err := f.login("alice", "another horse"); !errors.Is(err, auth.ErrDenied) || ended != 2 || status() != "refusing" {
		t.Errorf("disabled: %v, %d sessions ended, %s", err, ended, status())
	}
	f.must(f.DisableAccount(ctx, "alice@example.org", false))
	if status() != "disabled" {
		t.Errorf("status is %s", status())
	}
	f.must(f.EnableAccount(ctx, "alice@example.org"))
	f.must(f.login("alice", "another horse"))
	track()
	_, err = f.RemoveAccount(ctx, "alice@example.org")
	f.must(err)
	if err := f.login("alice", "another horse"); !errors.Is(err, auth.ErrDenied) || ended != 3 {
		t.Errorf("removed: %v, %d sessions ended", err, ended)
	}
	f.fails(f.SetPassword(ctx, "bob@example.org", "short"), admin.Invalid, nil, "too short")
	f.must(f.SetAnyPassword(ctx, "bob@example.org", "short"))
	f.must(f.login("bob", "short"))
}

func TestRemoveAccountSaysWhatIsLost(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	_, err := f.AddAlias(ctx, admin.NewAlias{Source: "@example.org", Targets: []string{"bob@example.org", "Alice@example.org"}})
	f.must(err)
	_, err = f.AddAppPassword(ctx, "alice@example.org", "phone")
	f.must(err)
	f.accept("alice@example.org", 500, []string{"alice@example.org"}, "x@elsewhere.example", "y@elsewhere.example")
	got, err := f.RemoveAccount(ctx, "alice@example.org")
	f.must(err)
	if got.Address != "alice@example.org" || got.Messages != 1 || got.Octets < 500 || got.AppPasswords != 1 ||
		!slices.Equal(got.Aliases, []string{"@example.org"}) || got.Queued != 2 {
		t.Errorf("lost are %+v", got)
	}
	items, err := f.Queue(ctx, admin.QueueSelection{})
	f.must(err)
	if len(items) != 2 {
		t.Errorf("%d items are queued, want 2", len(items))
	}
}

func TestAliases(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	added, err := f.AddAlias(ctx, admin.NewAlias{Source: " Sales@Example.org ", Targets: []string{"bob@example.org", "<ext@elsewhere.example>"}})
	f.must(err)
	if added.Source != "sales@example.org" || !slices.Equal(added.Targets, []string{"bob@example.org", "ext@elsewhere.example"}) {
		t.Errorf("added %+v", added)
	}
	_, err = f.AddAlias(ctx, admin.NewAlias{Source: "@example.org", Targets: []string{"alice@example.org"}})
	f.must(err)
	for _, test := range []struct {
		it, source, target string
		kind               admin.Kind
		says               string
	}{
		{"refuses an account's address", "bob@example.org", "alice@example.org", admin.Conflict, "There is an account bob@example.org already."},
		{"refuses an alias twice", "sales@example.org", "alice@example.org", admin.Conflict, "There is an alias sales@example.org already."},
		{"refuses a catch-all twice", "@example.org", "bob@example.org", admin.Conflict, "There is an alias @example.org already."},
		{"refuses a loop", "loop@example.org", "loop+x@example.org", admin.Invalid, "would lead back to itself"},
		{"refuses no target", "none@example.org", "", admin.Invalid, "at least one address"},
		{"refuses a target that is none", "none@example.org", "nonsense", admin.Invalid, `"nonsense" is not a mail address`},
		{"refuses an unknown domain", "x@example.net", "bob@example.org", admin.NotFound, "There is no domain example.net"},
	} {
		t.Run(test.it, func(t *testing.T) {
			f.t = t
			targets := []string{test.target}
			if test.target == "" {
				targets = nil
			}
			_, err := f.AddAlias(t.Context(), admin.NewAlias{Source: test.source, Targets: targets})
			f.fails(err, test.kind, nil, test.says)
		})
	}
	f.t = t
	all, err := f.Aliases(ctx)
	f.must(err)
	if len(all) != 2 || all[0].Source != "@example.org" || all[1].Source != "sales@example.org" {
		t.Errorf("aliases are %+v", all)
	}
	removed, err := f.RemoveAlias(ctx, "SALES@example.org")
	f.must(err)
	if len(removed.Targets) != 2 {
		t.Errorf("removed %+v", removed)
	}
	_, err = f.RemoveAlias(ctx, "sales@example.org")
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no alias sales@example.org.")
}

func TestAppPasswords(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	shown, err := f.AddAppPassword(ctx, "alice@example.org", " phone ")
	f.must(err)
	f.must(f.login("alice@example.org", shown))
	_, err = f.AddAppPassword(ctx, "alice@example.org", "phone")
	f.fails(err, admin.Conflict, store.ErrConflict, `alice@example.org has an app password named "phone" already.`)
	_, err = f.AddAppPassword(ctx, "alice@example.org", "")
	f.fails(err, admin.Invalid, nil, "needs a name")
	list, err := f.AppPasswords(ctx, "alice@example.org")
	f.must(err)
	if len(list) != 1 || list[0].Name != "phone" || !list[0].LastUsed.Equal(f.now.Truncate(time.Hour)) {
		t.Errorf("list is %+v", list)
	}
	f.must(f.RemoveAppPassword(ctx, "alice@example.org", "phone"))
	if err := f.login("alice@example.org", shown); !errors.Is(err, auth.ErrDenied) {
		t.Errorf("once removed it gives %v", err)
	}
	f.fails(f.RemoveAppPassword(ctx, "alice@example.org", "phone"), admin.NotFound, store.ErrNotFound, `has no app password named "phone"`)
}

func TestQueue(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	if list, err := f.Queue(ctx, admin.QueueSelection{}); err != nil || list == nil || len(list) != 0 {
		t.Errorf("empty queue is %v, %v, want an empty list", list, err)
	}
	id := f.accept("alice@example.org", 100, nil, "x@elsewhere.example", "y@other.example")
	f.accept("alice@example.org", 200, nil, "z@elsewhere.example")
	for _, test := range []struct {
		it        string
		selection admin.QueueSelection
		want      int
	}{
		{"lists all", admin.QueueSelection{}, 3},
		{"finds an ID", admin.QueueSelection{Message: id.String()}, 2},
		{"finds a Message-ID", admin.QueueSelection{Message: "100@example.org"}, 2},
		{"finds a Message-ID in brackets", admin.QueueSelection{Message: "<200@example.org>"}, 1},
		{"narrows by domain", admin.QueueSelection{Message: id.String(), Domain: "Other.example"}, 1},
		{"finds a domain", admin.QueueSelection{Domain: "elsewhere.example"}, 2},
		{"doesn't take an address for a message", admin.QueueSelection{Message: "alice@example.org"}, 0},
		{"finds nothing", admin.QueueSelection{Message: "0000000000000"}, 0},
	} {
		t.Run(test.it, func(t *testing.T) {
			if list, err := f.Queue(t.Context(), test.selection); err != nil || list == nil || len(list) != test.want {
				t.Errorf("got %+v, %v, want %d", list, err, test.want)
			}
		})
	}
	n, err := f.HoldQueue(ctx, admin.QueueSelection{Message: id.String()})
	f.must(err)
	list, err := f.Queue(ctx, admin.QueueSelection{Message: id.String()})
	f.must(err)
	if n != 2 || list[0].Status != "held" || list[1].Status != "held" {
		t.Errorf("held %d: %+v", n, list)
	}
	if n, err := f.ReleaseQueue(ctx, admin.QueueSelection{Domain: "other.example"}); n != 1 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	if n, err := f.ReleaseQueue(ctx, admin.QueueSelection{Domain: "other.example"}); n != 0 || err != nil {
		t.Errorf("released %d again, %v", n, err)
	}
	if n, err := f.RetryQueue(ctx, admin.QueueSelection{All: true}); n == 0 || err != nil {
		t.Errorf("hastened %d, %v", n, err)
	}
	if n, err := f.CancelQueue(ctx, admin.QueueSelection{Message: "200@example.org"}); n != 1 || err != nil {
		t.Errorf("cancelled %d, %v", n, err)
	}
	if n, err := f.CancelQueue(ctx, admin.QueueSelection{Message: id.String(), Bounce: true}); n != 2 || err != nil {
		t.Errorf("returned %d, %v", n, err)
	}
	_, err = f.CancelQueue(ctx, admin.QueueSelection{})
	f.fails(err, admin.Invalid, nil, "Say which mail is meant")
	_, err = f.HoldQueue(ctx, admin.QueueSelection{Message: "200@example.org"})
	f.fails(err, admin.NotFound, store.ErrNotFound, "The message 200@example.org is not in the queue")
	_, err = f.HoldQueue(ctx, admin.QueueSelection{Domain: "quiet.example"})
	f.fails(err, admin.NotFound, store.ErrNotFound, "No mail for quiet.example is in the queue")
}

func TestQueueStatus(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.accept("alice@example.org", 100, nil, "x@elsewhere.example")
	expect := func(when, want string) {
		t.Helper()
		if list, err := f.Queue(t.Context(), admin.QueueSelection{}); err != nil || len(list) != 1 || list[0].Status != want {
			t.Errorf("%s: %+v, %v, want %s", when, list, err, want)
		}
	}
	expect("at first", "waiting")
	lanes, err := f.store.Lanes(t.Context())
	f.must(err)
	_, err = f.store.ClaimLane(t.Context(), store.LaneClaim{Lane: lanes[0].Lane, Now: f.now, Works: 1, PerWork: 1})
	f.must(err)
	expect("claimed", "sending")
	_, err = f.HoldQueue(t.Context(), admin.QueueSelection{All: true})
	f.must(err)
	expect("held while claimed", "held")
}

// The fields are the contract's.
func TestQueueItemJSON(t *testing.T) {
	f := newFixture(t)
	f.fill()
	id := f.accept("alice@example.org", 100, nil, "x@elsewhere.example")
	list, err := f.Queue(t.Context(), admin.QueueSelection{})
	f.must(err)
	encoded, err := json.Marshal(list)
	f.must(err)
	want := `[{"id":"` + id.String() + `","message_id":"100@example.org","from":"alice@example.org","to":"x@elsewhere.example",` +
		`"domain":"elsewhere.example","status":"waiting","attempts":0,"next_attempt":"2026-05-06T07:08:09Z","last_reply":"",` +
		`"created":"2026-05-06T07:08:09Z","expires":"2026-05-11T07:08:09Z","size":100,"account":"alice@example.org"}]`
	if string(encoded) != want {
		t.Errorf("got  %s\nwant %s", encoded, want)
	}
}

func TestTrace(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	id := f.accept("alice@example.org", 100, []string{"bob@example.org"})
	f.accept("alice@example.org", 200, []string{"bob@example.org"})
	got, err := f.Trace(ctx, "<100@example.org>")
	f.must(err)
	if len(got) != 1 || got[0].ID != id || got[0].From != "alice@example.org" || len(got[0].Events) != 2 {
		t.Errorf("trace is %+v", got)
	}
	if got, err := f.Trace(ctx, "nothing@example.org"); err != nil || got == nil || len(got) != 0 {
		t.Errorf("nothing gives %v, %v, want an empty list", got, err)
	}
	_, err = f.Trace(ctx, " ")
	f.fails(err, admin.Invalid, nil, "Say what to look for")
	if got, err := f.RecentTrails(ctx, 1); err != nil || len(got) != 1 || got[0].HeaderID != "200@example.org" {
		t.Errorf("the newest is %+v, %v", got, err)
	}
	if got, err := f.Counts(ctx); err != nil || got.Accounts != 2 || got.Received != 2 || got.Delivered != 2 {
		t.Errorf("counts are %+v, %v", got, err)
	}
}

func TestBackup(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.fails(f.Backup(t.Context(), "", nil), admin.Invalid, nil, "which file")
	f.must(f.Backup(t.Context(), filepath.Join(t.TempDir(), "backup"), nil))
}

func TestSendNotices(t *testing.T) {
	f := newFixture(t)
	f.fill() // alice may have 10,000 octets
	ctx := t.Context()
	alice, err := f.store.AccountByAddress(ctx, f.address("alice@example.org"))
	f.must(err)
	mails := func() int {
		t.Helper()
		f.must(f.SendNotices(ctx))
		entries, err := f.store.Entries(ctx, alice.ID)
		f.must(err)
		return len(entries)
	}
	f.accept("bob@example.org", 7000, []string{"alice@example.org"})
	if n := mails(); n != 1 {
		t.Errorf("%d mails at 70 %%, want 1", n)
	}
	f.accept("bob@example.org", 1100, []string{"alice@example.org"})
	if n := mails(); n != 3 {
		t.Errorf("%d mails above 80 %%, want 3", n)
	}
	if n := mails(); n != 3 {
		t.Errorf("%d mails after another look, want 3", n)
	}
	entries, err := f.store.Entries(ctx, alice.ID)
	f.must(err)
	body, err := f.store.OpenEntry(ctx, alice.ID, entries[2].Message)
	f.must(err)
	defer body.Close()
	text, err := io.ReadAll(body)
	f.must(err)
	want := "Return-Path: <>\r\n" +
		"Delivered-To: alice@example.org\r\n" +
		"From: Mail server <postmaster@example.org>\r\n" +
		"To: <alice@example.org>\r\n" +
		"Subject: Your mailbox is 82 % full\r\n" +
		"Date: Wed, 06 May 2026 07:08:09 +0000\r\n" +
		"Message-ID: <" + entries[2].Message.String() + ".quota@example.org>\r\n" +
		"Auto-Submitted: auto-generated\r\n"
	if !strings.HasPrefix(string(text), want) || !strings.Contains(string(text), "What happens at 100 %: new mail for you is no longer taken.") {
		t.Errorf("the mail is\n%s\nwant it to begin with\n%s", text, want)
	}
	if strings.Count(string(text), "\n") != strings.Count(string(text), "\r\n") || !strings.HasSuffix(string(text), "\r\n") {
		t.Error("lines don't end with CRLF")
	}
}
