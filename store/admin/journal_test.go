package admin_test

import (
	"context"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// anna asks for what the tests of the journal do.
var anna = admin.Actor{Name: "anna@example.org", Via: admin.ViaWeb, Client: "192.0.2.9"}

// A noted is an operation that leaves an entry in the journal.
type noted struct {
	operation string // the method of admin.Admin
	action    string
	subject   string
	before    string // is somewhere in what was before; empty: nothing is there
	after     string
	do        func(ctx context.Context) error
	fails     func(ctx context.Context) error // the same, which fails; nil: it can't be made to here
}

// changes are all operations that change something, in an order in which each of
// them can be done.
func (f *fixture) changes(message, file string) []noted {
	return []noted{
		{
			"AddDomain", "domain.add", "example.net", "", `{"backup":false}`,
			func(ctx context.Context) error {
				return dropped(f.AddDomain(ctx, admin.AddDomain{Name: "example.net"}))
			},
			func(ctx context.Context) error {
				return dropped(f.AddDomain(ctx, admin.AddDomain{Name: "example.net"}))
			},
		},
		{
			"DKIMKeys", "dkim.make", "example.net", "", `"selectors":["pr202605r","pr202605e"],"state":"signs"`,
			func(ctx context.Context) error { return dropped(f.DKIMKeys(ctx, "example.net")) },
			func(ctx context.Context) error { return dropped(f.DKIMKeys(ctx, "nowhere.example")) },
		},
		{
			"RemoveDomain", "domain.remove", "example.net", `{"backup":false}`, "",
			func(ctx context.Context) error { return f.RemoveDomain(ctx, "example.net") },
			func(ctx context.Context) error { return f.RemoveDomain(ctx, "example.org") },
		},
		{
			"SigningKeys", "dkim.make", "example.org", "", "signs",
			func(ctx context.Context) error { _, _, err := f.SigningKeys(ctx, "example.org"); return err },
			func(ctx context.Context) error { _, _, err := f.SigningKeys(ctx, "nowhere.example"); return err },
		},
		{
			"RotateDKIM", "dkim.rotate", "example.org", "", `["pr202605rb","pr202605eb"],"state":"next"`,
			func(ctx context.Context) error {
				return dropped(f.RotateDKIM(ctx, admin.RotateDKIM{Domain: "example.org"}))
			},
			func(ctx context.Context) error {
				return dropped(f.RotateDKIM(ctx, admin.RotateDKIM{Domain: "example.org"}))
			},
		},
		{
			"ActivateDKIM", "dkim.start", "example.org", "next", `["pr202605rb"],"state":"signs"`,
			func(ctx context.Context) error {
				keys, err := f.DKIMKeys(ctx, "example.org")
				f.must(err)
				i := slices.IndexFunc(keys, func(k admin.DKIMKey) bool { return k.Selector == "pr202605rb" })
				return dropped(f.ActivateDKIM(ctx, "example.org", txtRecords{keys[i].Record: {keys[i].Value}}))
			},
			func(ctx context.Context) error { return dropped(f.ActivateDKIM(ctx, "nowhere.example", txtRecords{})) },
		},
		{
			"RotateDKIM", "dkim.rotate", "example.org", `["pr202605eb"],"state":"next"`, "signs",
			func(ctx context.Context) error {
				return dropped(f.RotateDKIM(ctx, admin.RotateDKIM{Domain: "example.org", Now: true}))
			}, nil,
		},
		{
			"RemoveDKIMKey", "dkim.remove", "example.org", `["pr202605e"]`, "",
			func(ctx context.Context) error {
				return f.RemoveDKIMKey(ctx, admin.RemoveDKIMKey{Domain: "example.org", Selector: "pr202605e"})
			},
			func(ctx context.Context) error {
				return f.RemoveDKIMKey(ctx, admin.RemoveDKIMKey{Domain: "example.org", Selector: "pr202605rb"})
			},
		},
		{
			"TendDKIM", "dkim.remove", "example.org", `["pr202605r"],"state":"retired"`, "",
			func(ctx context.Context) error {
				f.now = f.now.Add(8 * 24 * time.Hour)
				return f.TendDKIM(ctx, txtRecords{})
			}, nil,
		},
		{
			"AddAccount", "account.add", "carol@example.org", "", `{"name":"Carol","quota":5,"admin":false,"status":"enabled","password":"set"}`,
			func(ctx context.Context) error {
				return dropped(f.AddAccount(ctx, admin.NewAccount{Address: "carol@example.org", Name: "Carol", Quota: 5, Password: "correct horse"}))
			},
			func(ctx context.Context) error {
				return dropped(f.AddAccount(ctx, admin.NewAccount{Address: "carol@example.org"}))
			},
		},
		{
			"ChangeAccount", "account.change", "carol@example.org", `"quota":5,"admin":false`, `{"name":"Carol","quota":5,"admin":true}`,
			func(ctx context.Context) error {
				return dropped(f.ChangeAccount(ctx, admin.ChangeAccount{Address: "carol@example.org", Admin: new(true)}))
			},
			func(ctx context.Context) error {
				return dropped(f.ChangeAccount(ctx, admin.ChangeAccount{Address: "carol@example.org", Quota: new(int64(-1))}))
			},
		},
		{
			"SetPassword", "account.password", "carol@example.org", `"set"`, `{"password":"new"}`,
			func(ctx context.Context) error { return f.SetPassword(ctx, "carol@example.org", "battery staple") },
			func(ctx context.Context) error { return f.SetPassword(ctx, "carol@example.org", "short") },
		},
		{
			"SetAnyPassword", "account.password", "bob@example.org", `"none"`, `"new"`,
			func(ctx context.Context) error { return f.SetAnyPassword(ctx, "bob@example.org", "short") },
			func(ctx context.Context) error { return f.SetAnyPassword(ctx, "nobody@example.org", "short") },
		},
		{
			"DisableAccount", "account.disable", "carol@example.org", "enabled", "refusing",
			func(ctx context.Context) error { return f.DisableAccount(ctx, "carol@example.org", true) },
			func(ctx context.Context) error { return f.DisableAccount(ctx, "nobody@example.org", true) },
		},
		{
			"EnableAccount", "account.enable", "carol@example.org", "refusing", "enabled",
			func(ctx context.Context) error { return f.EnableAccount(ctx, "carol@example.org") },
			func(ctx context.Context) error { return f.EnableAccount(ctx, "nobody@example.org") },
		},
		{
			"EndSession", "session.end", "carol@example.org", `"agent":"Lynx"`, "",
			func(ctx context.Context) error {
				return f.EndSession(ctx, "carol@example.org", f.signIn("carol@example.org"))
			},
			func(ctx context.Context) error { return f.EndSession(ctx, "carol@example.org", 1) },
		},
		{
			"EndSessions", "session.end-all", "carol@example.org", `{"sessions":2}`, "",
			func(ctx context.Context) error {
				f.signIn("carol@example.org")
				f.signIn("carol@example.org")
				return dropped(f.EndSessions(ctx, "carol@example.org", 0))
			},
			func(ctx context.Context) error { return dropped(f.EndSessions(ctx, "nobody@example.org", 0)) },
		},
		{
			"ConfirmTwoFactor", "two-factor.on", "carol@example.org", "false", `{"two_factor":true}`,
			func(ctx context.Context) error {
				f.must(f.BeginTwoFactor(ctx, "carol@example.org"))
				return dropped(f.ConfirmTwoFactor(ctx, "carol@example.org", f.code("carol@example.org"), 0))
			},
			func(ctx context.Context) error {
				return dropped(f.ConfirmTwoFactor(ctx, "carol@example.org", f.code("carol@example.org"), 0))
			},
		},
		{
			"RenewRecoveryCodes", "two-factor.codes", "carol@example.org", `"10 left"`, `"10 new"`,
			func(ctx context.Context) error { return dropped(f.RenewRecoveryCodes(ctx, "carol@example.org")) },
			func(ctx context.Context) error { return dropped(f.RenewRecoveryCodes(ctx, "bob@example.org")) },
		},
		{
			"TurnTwoFactorOff", "two-factor.off", "carol@example.org", "true", `{"two_factor":false}`,
			func(ctx context.Context) error { return f.TurnTwoFactorOff(ctx, "carol@example.org") },
			func(ctx context.Context) error { return f.TurnTwoFactorOff(ctx, "carol@example.org") },
		},
		{
			"AddAppPassword", "app-password.add", "carol@example.org", "", `{"name":"laptop"}`,
			func(ctx context.Context) error { return dropped(f.AddAppPassword(ctx, "carol@example.org", "laptop")) },
			func(ctx context.Context) error { return dropped(f.AddAppPassword(ctx, "carol@example.org", "laptop")) },
		},
		{
			"RemoveAppPassword", "app-password.remove", "carol@example.org", "laptop", "",
			func(ctx context.Context) error { return f.RemoveAppPassword(ctx, "carol@example.org", "laptop") },
			func(ctx context.Context) error { return f.RemoveAppPassword(ctx, "carol@example.org", "laptop") },
		},
		{
			"AddDevice", "device.add", "192.0.2.7", "", "carol@example.org",
			func(ctx context.Context) error {
				return dropped(f.AddDevice(ctx, admin.AddDevice{Network: "192.0.2.7", Account: "carol@example.org"}))
			},
			func(ctx context.Context) error {
				return dropped(f.AddDevice(ctx, admin.AddDevice{Network: "192.0.2.7", Account: "carol@example.org"}))
			},
		},
		{
			"MoveDevice", "device.change", "192.0.2.7", "carol@example.org", "alice@example.org",
			func(ctx context.Context) error {
				return dropped(f.MoveDevice(ctx, admin.MoveDevice{Network: "192.0.2.7", Account: "alice@example.org"}))
			},
			func(ctx context.Context) error {
				return dropped(f.MoveDevice(ctx, admin.MoveDevice{Network: "192.0.2.8", Account: "alice@example.org"}))
			},
		},
		{
			"RemoveDevice", "device.remove", "192.0.2.7", "alice@example.org", "",
			func(ctx context.Context) error { return f.RemoveDevice(ctx, "192.0.2.7") },
			func(ctx context.Context) error { return f.RemoveDevice(ctx, "192.0.2.7") },
		},
		{
			"SetLimit", "limit.set", "carol@example.org", `"messages_per_hour":"default"`, `"messages_per_hour":"7"`,
			func(ctx context.Context) error {
				return dropped(f.SetLimit(ctx, admin.SetLimit{Name: "carol@example.org", MessagesPerHour: "7"}))
			},
			func(ctx context.Context) error {
				return dropped(f.SetLimit(ctx, admin.SetLimit{Name: "carol@example.org", MessagesPerHour: "0"}))
			},
		},
		{
			"RemoveAccount", "account.remove", "carol@example.org", `"messages":0`, "",
			func(ctx context.Context) error { return dropped(f.RemoveAccount(ctx, "carol@example.org")) },
			func(ctx context.Context) error { return dropped(f.RemoveAccount(ctx, "carol@example.org")) },
		},
		{
			"AddAlias", "alias.add", "info@example.org", "", `{"targets":["alice@example.org"]}`,
			func(ctx context.Context) error {
				return dropped(f.AddAlias(ctx, admin.NewAlias{Source: "Info@example.org", Targets: []string{"alice@example.org"}}))
			},
			func(ctx context.Context) error {
				return dropped(f.AddAlias(ctx, admin.NewAlias{Source: "loop@example.org", Targets: []string{"loop@example.org"}}))
			},
		},
		{
			"ChangeAlias", "alias.change", "info@example.org", `["alice@example.org"]`, `{"targets":["x@far.test","alice@example.org"]}`,
			func(ctx context.Context) error {
				return dropped(f.ChangeAlias(ctx, admin.NewAlias{Source: "Info@example.org", Targets: []string{"x@far.test", "alice@example.org", "X@FAR.test"}}))
			},
			func(ctx context.Context) error {
				return dropped(f.ChangeAlias(ctx, admin.NewAlias{Source: "info@example.org", Targets: []string{"nobody@example.org"}, Strict: true}))
			},
		},
		{
			"SetForward", "account.forward", "bob@example.org", "", `{"targets":["x@far.test"],"keep":true}`,
			func(ctx context.Context) error {
				return dropped(f.SetForward(ctx, admin.SetForward{Address: "bob@example.org", Targets: []string{"x@far.test"}, Keep: true}))
			},
			func(ctx context.Context) error {
				return dropped(f.SetForward(ctx, admin.SetForward{Address: "bob@example.org", Targets: []string{"bob@example.org"}}))
			},
		},
		{
			"SetForward", "account.forward", "bob@example.org", `"keep":true`, "",
			func(ctx context.Context) error {
				return dropped(f.SetForward(ctx, admin.SetForward{Address: "bob@example.org"}))
			}, nil,
		},
		{
			"SetVacation", "account.vacation", "bob@example.org", "", `{"on":true,"subject":"Away","text":"Back soon.","until":"2026-12-31"}`,
			func(ctx context.Context) error {
				return dropped(f.SetVacation(ctx, admin.SetVacation{Address: "bob@example.org", On: true, Subject: "Away", Text: "Back soon.", Until: "2026-12-31"}))
			},
			func(ctx context.Context) error {
				return dropped(f.SetVacation(ctx, admin.SetVacation{Address: "bob@example.org", On: true}))
			},
		},
		{
			"EndVacation", "account.vacation", "bob@example.org", `"on":true`, `"on":false,"subject":"Away"`,
			func(ctx context.Context) error { return dropped(f.EndVacation(ctx, "bob@example.org")) },
			func(ctx context.Context) error { return dropped(f.EndVacation(ctx, "nobody@example.org")) },
		},
		{
			"AddSender", "sender.add", "bob@example.org", "", `{"sender":"@example.org"}`,
			func(ctx context.Context) error {
				return dropped(f.AddSender(ctx, admin.SenderRight{Address: "bob@example.org", Sender: "@example.org"}))
			},
			func(ctx context.Context) error {
				return dropped(f.AddSender(ctx, admin.SenderRight{Address: "bob@example.org", Sender: "@example.org"}))
			},
		},
		{
			"RemoveSender", "sender.remove", "bob@example.org", `{"sender":"@example.org"}`, "",
			func(ctx context.Context) error {
				return f.RemoveSender(ctx, admin.SenderRight{Address: "bob@example.org", Sender: "@example.org"})
			},
			func(ctx context.Context) error {
				return f.RemoveSender(ctx, admin.SenderRight{Address: "bob@example.org", Sender: "@example.org"})
			},
		},
		{
			"RemoveAlias", "alias.remove", "info@example.org", "alice@example.org", "",
			func(ctx context.Context) error { return dropped(f.RemoveAlias(ctx, "info@example.org")) },
			func(ctx context.Context) error { return dropped(f.RemoveAlias(ctx, "info@example.org")) },
		},
		{
			"ChangeDomainRecipients", "domain.recipients", "held.example", `{"any":true,"count":0}`, `{"any":false,"count":2,"only":["ann","ben"]}`,
			func(ctx context.Context) error {
				return dropped(f.ChangeDomainRecipients(ctx, admin.ChangeDomainRecipients{Name: "held.example", Set: []string{"ben", "Ann"}}))
			},
			func(ctx context.Context) error {
				return dropped(f.ChangeDomainRecipients(ctx, admin.ChangeDomainRecipients{Name: "example.org", Any: true}))
			},
		},
		{
			"ChangeDomainRecipients", "domain.recipients", "held.example", `{"any":false,"count":2,"only":["ann"]}`, `{"any":false,"count":2,"only":["cid"]}`,
			func(ctx context.Context) error {
				return dropped(f.ChangeDomainRecipients(ctx,
					admin.ChangeDomainRecipients{Name: "held.example", Add: []string{"cid", "ben"}, Remove: []string{"ann"}}))
			},
			func(ctx context.Context) error {
				return dropped(f.ChangeDomainRecipients(ctx, admin.ChangeDomainRecipients{Name: "held.example", Remove: []string{"ann"}}))
			},
		},
		{
			"AddRoute", "route.add", "example.com from alice@example.org", "", `"host":"smtp.example.net:587","tls":"must","user":"u","password":"set"`,
			func(ctx context.Context) error {
				return dropped(f.AddRoute(ctx, admin.AddRoute{
					Domain: "example.com", Host: "smtp.example.net:587", User: "u", Password: "very secret", From: "alice@example.org",
				}))
			},
			func(ctx context.Context) error {
				return dropped(f.AddRoute(ctx, admin.AddRoute{Domain: "example.com", Host: "mx", From: "alice@example.org"}))
			},
		},
		{
			"ChangeRoute", "route.change", "example.com from alice@example.org", `"password":"set"`, `"password":"new"`,
			func(ctx context.Context) error {
				return dropped(f.ChangeRoute(ctx, admin.ChangeRoute{Domain: "example.com", Password: new("another secret")}))
			},
			func(ctx context.Context) error {
				return dropped(f.ChangeRoute(ctx, admin.ChangeRoute{Domain: "example.com", Host: new("?")}))
			},
		},
		{
			"RemoveRoute", "route.remove", "example.com from alice@example.org", "smtp.example.net", "",
			func(ctx context.Context) error { return f.RemoveRoute(ctx, admin.RemoveRoute{Domain: "example.com"}) },
			func(ctx context.Context) error { return f.RemoveRoute(ctx, admin.RemoveRoute{Domain: "example.com"}) },
		},
		{
			"AddSource", "source.add", "192.0.2.1", "", `{"ip":"192.0.2.1","name":"mx.example.org","for":"example.org"}`,
			func(ctx context.Context) error {
				return dropped(f.AddSource(ctx, admin.AddSource{IP: "192.0.2.1", Name: "mx.example.org", For: "example.org"}))
			},
			func(ctx context.Context) error {
				return dropped(f.AddSource(ctx, admin.AddSource{IP: "192.0.2.1", For: "example.org"}))
			},
		},
		{
			"ChangeSource", "source.change", "192.0.2.1", "mx.example.org", `{"ip":"192.0.2.1","for":"example.org"}`,
			func(ctx context.Context) error {
				return dropped(f.ChangeSource(ctx, admin.ChangeSource{IP: "192.0.2.1", For: "example.org"}))
			},
			func(ctx context.Context) error {
				return dropped(f.ChangeSource(ctx, admin.ChangeSource{IP: "192.0.2.1"}))
			},
		},
		{
			"RemoveSource", "source.remove", "192.0.2.1", "192.0.2.1", "",
			func(ctx context.Context) error {
				return f.RemoveSource(ctx, admin.RemoveSource{IP: "192.0.2.1", For: "example.org"})
			},
			func(ctx context.Context) error {
				return f.RemoveSource(ctx, admin.RemoveSource{IP: "192.0.2.1", For: "example.org"})
			},
		},
		{
			"PauseDestination", "destination.pause", "elsewhere.example", `{"paused":false}`, `{"paused":true}`,
			func(ctx context.Context) error { return f.PauseDestination(ctx, "elsewhere.example") },
			func(ctx context.Context) error { return f.PauseDestination(ctx, "elsewhere.example") },
		},
		{
			"ResumeDestination", "destination.resume", "elsewhere.example", `{"paused":true}`, `{"paused":false}`,
			func(ctx context.Context) error { return f.ResumeDestination(ctx, "elsewhere.example") },
			func(ctx context.Context) error { return f.ResumeDestination(ctx, "elsewhere.example") },
		},
		{
			"AddAccess", "list.block", "192.0.2.0/24", "", `{"list":"block","note":"spam"}`,
			func(ctx context.Context) error {
				return dropped(f.AddAccess(ctx, admin.AddAccess{Action: "block", What: "192.0.2.0/24", Note: "spam"}))
			},
			func(ctx context.Context) error {
				return dropped(f.AddAccess(ctx, admin.AddAccess{Action: "block", What: "?"}))
			},
		},
		{
			"AddAccess", "list.allow", "192.0.2.0/24", `"block"`, `{"list":"allow","expires":"2026-05-`,
			func(ctx context.Context) error {
				return dropped(f.AddAccess(ctx, admin.AddAccess{Action: "allow", What: "192.0.2.0/24", Expires: "3d"}))
			}, nil,
		},
		{
			"ChangeAccess", "list.change", "192.0.2.0/24", `"expires"`, `"note":"a friend"`,
			func(ctx context.Context) error {
				return dropped(f.ChangeAccess(ctx, admin.ChangeAccess{Action: "allow", What: "192.0.2.0/24", Note: new("a friend")}))
			},
			func(ctx context.Context) error {
				return dropped(f.ChangeAccess(ctx, admin.ChangeAccess{Action: "block", What: "192.0.2.0/24", Note: new("x")}))
			},
		},
		{
			"RemoveAccess", "list.remove", "192.0.2.0/24", `"allow"`, "",
			func(ctx context.Context) error {
				return f.RemoveAccess(ctx, admin.RemoveAccess{Action: "allow", What: "192.0.2.0/24"})
			},
			func(ctx context.Context) error {
				return f.RemoveAccess(ctx, admin.RemoveAccess{Action: "allow", What: "192.0.2.0/24"})
			},
		},
		{
			"ForgiveLogins", "login.forgive", "198.51.100.7", `{"blocked":["198.51.100.7"]}`, "",
			func(ctx context.Context) error {
				f.guess("198.51.100.7")
				return dropped(f.ForgiveLogins(ctx, "198.51.100.7"))
			},
			func(ctx context.Context) error { return dropped(f.ForgiveLogins(ctx, "?")) },
		},
		{
			"HoldQueue", "queue.hold", "for elsewhere.example", "", `{"domain":"elsewhere.example"}`,
			func(ctx context.Context) error {
				return dropped(f.HoldQueue(ctx, admin.QueueSelection{Domain: "elsewhere.example"}))
			},
			func(ctx context.Context) error { return dropped(f.HoldQueue(ctx, admin.QueueSelection{})) },
		},
		{
			"ReleaseQueue", "queue.release", "all mail", "", `{"all":true}`,
			func(ctx context.Context) error { return dropped(f.ReleaseQueue(ctx, admin.QueueSelection{All: true})) },
			func(ctx context.Context) error {
				return dropped(f.ReleaseQueue(ctx, admin.QueueSelection{Sender: "x@example.org"}))
			},
		},
		{
			"RetryQueue", "queue.retry", "message " + message, "", message,
			func(ctx context.Context) error {
				return dropped(f.RetryQueue(ctx, admin.QueueSelection{Message: message}))
			},
			func(ctx context.Context) error { return dropped(f.RetryQueue(ctx, admin.QueueSelection{Message: "x"})) },
		},
		{
			"CancelQueue", "queue.return", "for other.example, from alice@example.org", "", "other.example",
			func(ctx context.Context) error {
				return dropped(f.CancelQueue(ctx, admin.QueueSelection{Domain: "other.example", Sender: "alice@example.org", Bounce: true}))
			},
			func(ctx context.Context) error {
				return dropped(f.CancelQueue(ctx, admin.QueueSelection{Message: "x", Bounce: true}))
			},
		},
		{
			"CancelQueue", "queue.cancel", "for elsewhere.example", "", "elsewhere.example",
			func(ctx context.Context) error {
				return dropped(f.CancelQueue(ctx, admin.QueueSelection{Domain: "elsewhere.example"}))
			},
			func(ctx context.Context) error {
				return dropped(f.CancelQueue(ctx, admin.QueueSelection{Domain: "elsewhere.example"}))
			},
		},
		{
			"Undo", "list.remove", "spam.example", "block", "",
			func(ctx context.Context) error {
				added := f.journal()
				i := slices.IndexFunc(added, func(c store.Change) bool { return c.Subject == "spam.example" })
				return dropped(f.Undo(ctx, added[i].ID))
			},
			func(ctx context.Context) error { return dropped(f.Undo(ctx, 1<<40)) },
		},
		{
			"MarkSetup", "setup.step", "dns", "", `{"mark":"skipped"}`,
			func(ctx context.Context) error { return f.MarkSetup(ctx, store.SetupDNS, store.SetupSkipped) },
			func(ctx context.Context) error { return f.MarkSetup(ctx, "nothing", store.SetupSkipped) },
		},
		{
			"BecomeAdmin", "setup.admin", "first@new.example", "", `"admin":true,"status":"enabled","password":"set"}`,
			func(ctx context.Context) error {
				f.withoutAdmin()
				code, err := f.BeginSetup(ctx)
				f.must(err)
				return dropped(f.BecomeAdmin(ctx, admin.FirstAdmin{Code: code, Address: "first@new.example", Password: "correct horse"}))
			},
			func(ctx context.Context) error { return dropped(f.BecomeAdmin(ctx, admin.FirstAdmin{})) },
		},
		{
			"Backup", "backup.take", file, "", "",
			func(ctx context.Context) error { return f.Backup(ctx, file, nil) },
			func(ctx context.Context) error { return f.Backup(ctx, file, nil) },
		},
	}
}

func dropped(_ any, err error) error { return err }

// journal returns all that is in the journal, the newest first.
func (f *fixture) journal() []store.Change {
	f.t.Helper()
	list, err := f.store.Journal(f.t.Context(), store.JournalQuery{})
	f.must(err)
	return list
}

// withoutAdmin lets nobody sign in as an administrator, without anybody's doing.
func (f *fixture) withoutAdmin() {
	f.t.Helper()
	accounts, err := f.Store.Accounts(f.t.Context())
	f.must(err)
	for _, a := range accounts {
		if a.Admin {
			f.must(f.Store.SetStanding(f.t.Context(), a.ID, store.Disabled))
		}
	}
}

func TestEveryChangeIsInTheJournal(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.must(dropped(f.AddDomain(t.Context(), admin.AddDomain{Name: "held.example", Backup: true})))
	f.must(dropped(f.AddAccess(t.Context(), admin.AddAccess{Action: "block", What: "spam.example"})))
	message := f.accept("alice@example.org", 100, nil, "x@elsewhere.example", "y@elsewhere.example", "z@other.example")
	ctx := admin.WithActor(t.Context(), anna)
	for _, change := range f.changes(message.String(), filepath.Join(t.TempDir(), "backup")) {
		before := f.journal()
		if err := change.do(ctx); err != nil {
			t.Fatalf("%s: %v", change.operation, err)
		}
		after := f.journal()
		if len(after) != len(before)+1 {
			t.Errorf("%s leaves %d entries, want one", change.operation, len(after)-len(before))
			continue
		}
		change.check(t, after[0])
		if change.fails == nil {
			continue
		}
		if err := change.fails(ctx); err == nil {
			t.Errorf("%s (%s): doesn't fail", change.operation, change.action)
		}
		if got := f.journal(); len(got) != len(after) {
			t.Errorf("%s fails and leaves %+v", change.operation, got[0])
		}
	}
}

// check compares an entry with what it should be.
func (want noted) check(t *testing.T, got store.Change) {
	t.Helper()
	actor := anna
	if got.Action == "dkim.make" || want.operation == "TendDKIM" {
		actor = admin.Actor{Via: admin.ViaServer}
	}
	if who := (admin.Actor{Name: got.Who, Via: got.Via, Client: got.Client}); who != actor {
		t.Errorf("%s: was done by %+v, want %+v", want.operation, who, actor)
	}
	if got.Action != want.action || got.Subject != want.subject {
		t.Errorf("%s: is %s %q, want %s %q", want.operation, got.Action, got.Subject, want.action, want.subject)
	}
	for _, side := range []struct{ got, want string }{{got.Before, want.before}, {got.After, want.after}} {
		if !strings.Contains(side.got, side.want) || (side.got == "") != (side.want == "") {
			t.Errorf("%s: says %q, want %q", want.operation, side.got, side.want)
		}
	}
	if strings.Contains(got.Before+got.After, "secret") || strings.Contains(got.Before+got.After, "battery") {
		t.Errorf("%s: tells a secret: %+v", want.operation, got)
	}
	if (got.Touched > 0) != strings.HasPrefix(got.Action, "queue.") {
		t.Errorf("%s: touched %d", want.operation, got.Touched)
	}
}

// An operation is either in the table of changes or among the readers.
func TestEveryOperationIsKnownToTheJournal(t *testing.T) {
	var tested []string
	for _, change := range new(fixture).changes("", "") {
		tested = append(tested, change.operation)
	}
	for method := range reflect.TypeFor[*admin.Admin]().Methods() {
		changes, reads := slices.Contains(tested, method.Name), slices.Contains(readers, method.Name)
		switch {
		case !changes && !reads:
			t.Errorf("%s: if it changes something let it leave an entry (admin.noting) and put it into changes, else into readers", method.Name)
		case changes && reads:
			t.Errorf("%s is in changes and among the readers", method.Name)
		}
	}
}

func TestWhatChangesNothingLeavesNoEntry(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	f.must(dropped(f.SetLimit(ctx, admin.SetLimit{Name: "server", MessagesPerDay: "5"})))
	before := len(f.journal())
	f.must(f.EnableAccount(ctx, "alice@example.org"))
	f.must(dropped(f.SetLimit(ctx, admin.SetLimit{Name: "server", MessagesPerDay: "5"})))
	f.must(dropped(f.RetryQueue(ctx, admin.QueueSelection{All: true})))
	f.must(dropped(f.ForgiveLogins(ctx, "192.0.2.1")))
	if list := f.journal(); len(list) != before {
		t.Errorf("there is an entry %+v", list[0])
	}
}
