// Package admin holds the operations that the web page, the API and the command
// line share: one function each. Requests are as a person gives them, and are
// parsed and checked here; failures that a person can mend are an Error, in a
// clear sentence. It knows no HTTP, no terminal and no SQL.
package admin

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"postroom/store"
	"postroom/store/auth"
	"postroom/store/mail"
	"postroom/store/zone"
)

// Store is what the operations ask of the store.
type Store interface {
	AddDomain(ctx context.Context, d store.Domain) (store.Domain, error)
	Domains(ctx context.Context) ([]store.Domain, error)
	RemoveDomain(ctx context.Context, name string) error

	AddDKIMKeys(ctx context.Context, keys ...store.DKIMKey) error
	ListDomains(ctx context.Context, q store.ListQuery) (store.ListPart[store.DomainSize], error)
	ListAccounts(ctx context.Context, q store.ListQuery) (store.ListPart[store.Account], error)
	ListAliases(ctx context.Context, q store.ListQuery) (store.ListPart[store.Alias], error)
	ListAccess(ctx context.Context, q store.ListQuery) (store.ListPart[store.AccessEntry], error)

	DKIMKeys(ctx context.Context, domain string) ([]store.DKIMKey, error)
	StartDKIMKey(ctx context.Context, domain, selector string, at time.Time) error
	RemoveDKIMKey(ctx context.Context, domain, selector string) error
	SigningKeys(ctx context.Context, domain string) (string, []store.DKIMKey, error)

	AddAccount(ctx context.Context, a store.Account) (store.Account, error)
	Accounts(ctx context.Context) ([]store.Account, error)
	Account(ctx context.Context, id store.AccountID) (store.Account, error)
	AccountByAddress(ctx context.Context, address mail.Address) (store.Account, error)
	SetSecret(ctx context.Context, id store.AccountID, secret store.Secret) error
	ChangeAccount(ctx context.Context, id store.AccountID, change store.AccountChange) (before store.Account, err error)
	SetStanding(ctx context.Context, id store.AccountID, standing store.Standing) error
	RemoveAccount(ctx context.Context, id store.AccountID) error

	LastLogins(ctx context.Context, id store.AccountID) ([]store.Login, error)
	LoginSources(ctx context.Context, id store.AccountID) ([]store.LoginSource, error)
	SessionsOf(ctx context.Context, id store.AccountID) ([]store.WebSession, error)
	EndSession(ctx context.Context, account store.AccountID, id int64) error
	EndSessions(ctx context.Context, account store.AccountID, but int64) (int64, error)

	SetTOTPKey(ctx context.Context, key store.TOTPKey) error
	TOTPKey(ctx context.Context, id store.AccountID) (store.TOTPKey, error)
	TurnTwoFactorOn(ctx context.Context, id store.AccountID, step int64, at time.Time, codes [][32]byte, but int64) error
	TurnTwoFactorOff(ctx context.Context, id store.AccountID) error
	SetRecoveryCodes(ctx context.Context, id store.AccountID, codes [][32]byte) error
	RecoveryCodes(ctx context.Context, id store.AccountID) (int, error)

	AddAppPassword(ctx context.Context, p store.AppPassword) (store.AppPassword, error)
	AppPasswords(ctx context.Context, id store.AccountID) ([]store.AppPassword, error)
	RemoveAppPassword(ctx context.Context, account store.AccountID, name string) error

	SetForward(ctx context.Context, account store.AccountID, f store.Forward) error
	Forward(ctx context.Context, account store.AccountID) (store.Forward, error)
	ForwardsTo(ctx context.Context, address mail.Address) ([]mail.Address, error)
	InspectForward(ctx context.Context, account mail.Address, f store.Forward) ([]store.AddressProblem, error)
	SetVacation(ctx context.Context, account store.AccountID, v store.Vacation) error
	Vacation(ctx context.Context, account store.AccountID) (store.Vacation, error)
	AddSender(ctx context.Context, s store.Sender) error
	Senders(ctx context.Context, account store.AccountID) ([]store.Sender, error)
	RemoveSender(ctx context.Context, account store.AccountID, address mail.Address) error

	AddAlias(ctx context.Context, a store.Alias) error
	ChangeAlias(ctx context.Context, source mail.Address, targets []mail.Address) (before store.Alias, err error)
	InspectAliases(ctx context.Context, aliases []store.Alias) ([][]store.AddressProblem, error)
	Aliases(ctx context.Context) ([]store.Alias, error)
	Alias(ctx context.Context, source mail.Address) (store.Alias, error)
	AliasesTo(ctx context.Context, address mail.Address) ([]store.Alias, error)
	RemoveAlias(ctx context.Context, source mail.Address) error
	Explain(ctx context.Context, address mail.Address) (store.Resolution, []store.Hop, error)
	ExplainRight(ctx context.Context, account store.AccountID, address mail.Address) (may bool, hops []store.Hop, err error)

	AddRoute(ctx context.Context, r store.Route) (store.Route, error)
	Routes(ctx context.Context) ([]store.Route, error)
	ChangeRoute(ctx context.Context, r store.Route) (before store.Route, err error)
	RemoveRoute(ctx context.Context, domain string, f store.For) error
	AddSource(ctx context.Context, s store.Source) error
	Sources(ctx context.Context) ([]store.Source, error)
	ChangeSource(ctx context.Context, s store.Source) (before store.Source, err error)
	RemoveSource(ctx context.Context, ip netip.Addr, f store.For) error
	Ways(ctx context.Context) (store.Ways, error)

	BackupRecipients(ctx context.Context, domain string) ([]string, error)
	SetBackupRecipients(ctx context.Context, domain string, locals []string) error
	AddBackupRecipients(ctx context.Context, domain string, locals []string) error
	RemoveBackupRecipients(ctx context.Context, domain string, locals []string) error

	Queue(ctx context.Context, filter store.QueueFilter) ([]store.QueueItem, error)
	CountQueue(ctx context.Context, filter store.QueueFilter) (int64, error)
	RetryQueue(ctx context.Context, filter store.QueueFilter) (int64, error)
	HoldQueue(ctx context.Context, filter store.QueueFilter) (int64, error)
	ReleaseQueue(ctx context.Context, filter store.QueueFilter) (int64, error)
	CancelQueue(ctx context.Context, filter store.QueueFilter) (int64, error)
	ReturnQueue(ctx context.Context, filter store.QueueFilter) (int64, error)

	Health(ctx context.Context) ([]store.Health, error)
	FailingHealth(ctx context.Context) ([]store.Health, error)
	HealthOf(ctx context.Context, destination string) (store.Health, error)
	ListDestinations(ctx context.Context, q store.ListQuery, ways []store.Leading) (store.DestinationPart, error)
	QueuedByDomain(ctx context.Context) ([]store.DestinationQueue, error)
	QueuedByLane(ctx context.Context, domains ...string) ([]store.LaneQueue, error)
	PauseDomain(ctx context.Context, domain string) error
	ResumeDomain(ctx context.Context, domain string) error

	Trails(ctx context.Context, query store.TrailQuery) (store.TrailPage, error)
	Counts(ctx context.Context) (store.Counts, error)
	Condition(ctx context.Context, q store.ConditionQuery) (store.Condition, error)
	Traffic(ctx context.Context, bounds []time.Time) ([]store.Traffic, error)
	Backup(ctx context.Context, file string, progress func(done, total int64)) error

	SetAccess(ctx context.Context, e store.AccessEntry) (before store.AccessEntry, err error)
	AccessEntries(ctx context.Context) ([]store.AccessEntry, error)
	ChangeAccess(ctx context.Context, what string, action store.AccessAction, change store.AccessChange) (before store.AccessEntry, err error)
	RemoveAccess(ctx context.Context, what string, action store.AccessAction) error
	Concerns(ctx context.Context) ([]store.Concern, error)
	Raise(ctx context.Context, c store.Concern) error
	Clear(ctx context.Context, key string) error

	// The journal. Other methods write the entry that their context carries, see
	// store.WithChange.
	NoteChange(ctx context.Context) error
	Journal(ctx context.Context, query store.JournalQuery) ([]store.Change, error)
	Change(ctx context.Context, id store.ChangeID) (store.Change, error)

	SetAllowance(ctx context.Context, owner store.Owner, a store.Allowance) error
	Sending(ctx context.Context, owner store.Owner) (store.Sending, error)
	Sendings(ctx context.Context, percent int64) ([]store.Sending, error)
	AddDevice(ctx context.Context, d store.Device) error
	Devices(ctx context.Context) ([]store.Device, error)
	MoveDevice(ctx context.Context, network netip.Prefix, account store.AccountID) (before store.Device, err error)
	RemoveDevice(ctx context.Context, network netip.Prefix) error

	QuotaNotices(ctx context.Context) ([]store.QuotaNotice, error)
	LimitNotices(ctx context.Context) ([]store.LimitNotice, error)
	Answers(ctx context.Context) ([]store.Answer, error)
	DropAnswer(ctx context.Context, id int64) error
	Resolve(ctx context.Context, address mail.Address) (store.Resolution, error)
	HasAdmin(ctx context.Context) (bool, error)
	AddFirstAdmin(ctx context.Context, a store.Account) (added store.Account, newDomain bool, err error)
	MarkSetup(ctx context.Context, step store.SetupStep, mark store.SetupMark) error
	SetupMarks(ctx context.Context) (map[store.SetupStep]store.SetupMark, error)

	NewMessageID() store.MessageID
	Accept(ctx context.Context, a store.Acceptance) error
}

// An Admin carries the operations out. All its fields are needed but OwnAddress and those after it.
// It may be used by many goroutines at once.
type Admin struct {
	Store Store
	Auth  *auth.Authenticator
	Now   func() time.Time
	Log   *slog.Logger
	// OwnAddress says whether an address is this machine's, so that mail can be
	// sent from it. Nil: any is taken for that.
	OwnAddress func(netip.Addr) bool
	// Leading returns a function that names where the mail of a lane goes: the
	// Destination of a store.Health. Nil: the recipients' domain.
	Leading func(store.Ways) func(store.Lane) string
	// Shown tells which certificates the services show. Nil: none.
	Shown func(context.Context) ([]Certificate, error)
	// Server tells what is the same for all domains in what the DNS must say. Nil:
	// nobody can ask.
	Server func() zone.Server
	// Lookups returns who is asked what the DNS says, anew each time, so that nothing
	// is remembered from before a record was mended. The error's text says why nobody
	// is. Nil: nobody.
	Lookups func() (zone.Lookups, error)
	// Checks carries out what is asked about mail that might come. Nil: nobody can
	// ask.
	Checks Checker
	// Trials sends test mails. Nil: nobody can ask.
	Trials Trier
	// Previews carries out what is asked about mail that might be sent. Nil: nobody
	// can ask.
	Previews Previewer
	// DomainAdded is called when a local domain has been added, whose DKIM keys may be
	// made soon. Nil: they are made when they are needed.
	DomainAdded func()

	works     works
	keyMaking sync.Mutex // held while DKIM keys are made or replaced
	undoes    sync.Mutex // held while an entry of the journal is taken back
	looks     dnsLooks
	setup     setup
}
