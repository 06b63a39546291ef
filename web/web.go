// Package web is the administrator's view of postroom: accounts, aliases and
// domains, the queue, and the way of every message; and below /me what everybody
// with an account sees and changes of it. It serves pages made on the server that
// work without script, and decides nothing about mail: each button
// is one operation of store/admin, the same that the command line calls.
//
// The design language (colours, spaces, components) is written down at the top
// of assets/postroom.css; every page is built from what stands there. A new page
// is a line in the route table, a typed struct, a handler that returns an error,
// and a file in templates.
package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/auth"
	"postroom/store/zone"
)

// A Server serves the administration pages. Its fields are set before the first
// call of Handler and not changed afterwards.
type Server struct {
	Admin    Admin
	Auth     Authenticator
	Accounts Accounts // who is signed in is looked up anew for each request
	Sessions Sessions
	Hostname string // what this server is called, for titles; no address is ever made of a request's Host
	Version  string
	// TrustedProxies are the networks whose X-Forwarded-For and
	// X-Forwarded-Proto are believed.
	TrustedProxies []netip.Prefix
	Secure         bool // every visitor comes over TLS: cookies are always marked Secure
	Log            *slog.Logger
	Now            func() time.Time
}

// Authenticator is the part of auth.Authenticator that signs people in.
type Authenticator interface {
	Login(context.Context, auth.Attempt) (store.Account, error)
	SecondStep(context.Context, auth.SecondAttempt) error
}

// Accounts is the part of the store that tells who an account is now. It fails
// with store.ErrNotFound if the account is gone.
type Accounts interface {
	Account(context.Context, store.AccountID) (store.Account, error)
}

// Sessions keeps sessions by their tokens, which are hashed before they come here.
type Sessions interface {
	Find(ctx context.Context, token string) (data []byte, found bool, err error)
	Add(ctx context.Context, token string, session store.WebSession) error
	// Change fails with store.ErrNotFound if the session was ended.
	Change(ctx context.Context, token string, session store.WebSession) error
	Delete(ctx context.Context, token string) error
}

// Admin is what the pages ask of admin.Admin.
type Admin interface {
	SetupDoor(context.Context) (admin.SetupDoor, error)
	CheckSetupCode(ctx context.Context, code string, client netip.Addr) error
	BecomeAdmin(context.Context, admin.FirstAdmin) (admin.Account, error)
	Setup(context.Context) (admin.SetupProgress, error)
	MarkSetup(ctx context.Context, step store.SetupStep, mark store.SetupMark) error
	StartTrial(ctx context.Context, address string) error
	Trial() (admin.Trial, bool)
	StopTrial()

	AddDomain(context.Context, admin.AddDomain) (admin.Domain, error)
	Domain(ctx context.Context, name string) (admin.Domain, error)
	Domains(context.Context) ([]admin.Domain, error)
	ListDomains(context.Context, store.ListQuery) (store.ListPart[admin.Domain], error)
	ListAccounts(context.Context, store.ListQuery) (store.ListPart[admin.Account], error)
	ListAliases(context.Context, store.ListQuery) (store.ListPart[admin.Alias], error)
	ListAccess(context.Context, store.ListQuery) (store.ListPart[admin.AccessEntry], error)
	RemoveDomain(ctx context.Context, name string) error

	AddAccount(context.Context, admin.NewAccount) (admin.Account, error)
	Accounts(context.Context) ([]admin.Account, error)
	Account(ctx context.Context, address string) (admin.Account, error)
	ChangeAccount(context.Context, admin.ChangeAccount) (admin.Account, error)
	SetPassword(ctx context.Context, address, password string) error
	DisableAccount(ctx context.Context, address string, refuse bool) error
	EnableAccount(ctx context.Context, address string) error
	GoesWithAccounts(ctx context.Context, addresses []string) ([]admin.RemovedAccount, error)
	RemoveAccounts(ctx context.Context, addresses []string) (int64, error)
	DisableAccounts(ctx context.Context, addresses []string) (int64, error)
	EnableAccounts(ctx context.Context, addresses []string) (int64, error)
	RemoveAccount(ctx context.Context, address string) (admin.RemovedAccount, error)
	LoginSources(ctx context.Context, address string) ([]admin.LoginSource, error)
	Sessions(ctx context.Context, address string) ([]admin.Session, error)
	EndSession(ctx context.Context, address string, id int64) error
	EndSessions(ctx context.Context, address string, but int64) (int64, error)

	TwoFactor(ctx context.Context, address string) (admin.TwoFactor, error)
	BeginTwoFactor(ctx context.Context, address string) error
	NewTOTPKey(ctx context.Context, address, server string) (admin.TOTPKey, error)
	ConfirmTwoFactor(ctx context.Context, address, code string, but int64) (recovery []string, err error)
	TurnTwoFactorOff(ctx context.Context, address string) error
	RenewRecoveryCodes(ctx context.Context, address string) ([]string, error)

	AddAppPassword(ctx context.Context, address, name string) (shown string, err error)
	AppPasswords(ctx context.Context, address string) ([]admin.AppPassword, error)
	RemoveAppPassword(ctx context.Context, address, name string) error

	SetForward(context.Context, admin.SetForward) (admin.Forward, error)
	Forward(ctx context.Context, address string) (admin.Forward, error)
	SetVacation(context.Context, admin.SetVacation) (admin.Vacation, error)
	EndVacation(ctx context.Context, address string) (admin.Vacation, error)
	Vacation(ctx context.Context, address string) (admin.Vacation, error)
	AddSender(context.Context, admin.SenderRight) (admin.Sender, error)
	RemoveSender(context.Context, admin.SenderRight) error

	ChangeAlias(context.Context, admin.NewAlias) (admin.Alias, error)
	InspectAliases(ctx context.Context, aliases []admin.Alias) ([]admin.Alias, error)
	AddAlias(context.Context, admin.NewAlias) (admin.Alias, error)
	Aliases(context.Context) ([]admin.Alias, error)
	Alias(ctx context.Context, source string) (admin.Alias, error)
	AliasesTo(ctx context.Context, address string) ([]string, error)
	RemoveAlias(ctx context.Context, source string) (admin.Alias, error)

	DomainRecipients(ctx context.Context, name string) (admin.DomainRecipients, error)
	ChangeDomainRecipients(context.Context, admin.ChangeDomainRecipients) (admin.DomainRecipients, error)

	AddRoute(context.Context, admin.AddRoute) (admin.Route, error)
	Routes(context.Context) ([]admin.Route, error)
	ChangeRoute(context.Context, admin.ChangeRoute) (admin.Route, error)
	RemoveRoute(context.Context, admin.RemoveRoute) error
	AddSource(context.Context, admin.AddSource) (admin.Source, error)
	Sources(context.Context) ([]admin.Source, error)
	ChangeSource(context.Context, admin.ChangeSource) (admin.Source, error)
	RemoveSource(context.Context, admin.RemoveSource) error

	ListDestinations(context.Context, store.ListQuery) (admin.DestinationPart, error)
	PauseDestination(ctx context.Context, domain string) error
	ResumeDestination(ctx context.Context, domain string) error

	AddAccess(context.Context, admin.AddAccess) (admin.AccessEntry, error)
	AccessEntries(ctx context.Context, action string) ([]admin.AccessEntry, error)
	ChangeAccess(context.Context, admin.ChangeAccess) (admin.AccessEntry, error)
	RemoveAccess(context.Context, admin.RemoveAccess) error
	LoginBlocks(context.Context) ([]admin.LoginBlock, error)
	ForgiveLogins(ctx context.Context, network string) ([]admin.LoginBlock, error)
	admin.Checker
	PreviewDelivery(context.Context, admin.PreviewRequest) (admin.Preview, error)

	SetLimit(context.Context, admin.SetLimit) (admin.Limits, error)
	Limits(ctx context.Context, name string) (admin.Limits, error)
	AllLimits(context.Context) ([]admin.Limits, error)
	AddDevice(context.Context, admin.AddDevice) (admin.Device, error)
	Devices(context.Context) ([]admin.Device, error)
	MoveDevice(context.Context, admin.MoveDevice) (admin.Device, error)
	RemoveDevice(ctx context.Context, network string) error

	DKIMKeys(ctx context.Context, domain string) ([]admin.DKIMKey, error)
	RotateDKIM(context.Context, admin.RotateDKIM) ([]admin.DKIMKey, error)
	RemoveDKIMKey(context.Context, admin.RemoveDKIMKey) error
	Certificates(context.Context) ([]admin.Certificate, error)
	Concerns(context.Context) ([]admin.Concern, error)

	Queue(context.Context, admin.QueueSelection) ([]admin.QueueItem, error)
	EachQueueItem(ctx context.Context, selection admin.QueueSelection, each func(admin.QueueItem) error) error
	CountQueue(context.Context, admin.QueueSelection) (n int64, exact bool, err error)
	RetryQueue(context.Context, admin.QueueSelection) (int64, error)
	HoldQueue(context.Context, admin.QueueSelection) (int64, error)
	ReleaseQueue(context.Context, admin.QueueSelection) (int64, error)
	CancelQueue(context.Context, admin.QueueSelection) (int64, error)

	BeginWork(context.Context, admin.NewWork) (admin.Work, error)
	AwaitWork(ctx context.Context, id string, while time.Duration) (admin.Work, error)
	Work(id string) (admin.Work, error)
	AllWork() []admin.Work
	StopWork(id string) error
	ForgetWork(id string)

	Journal(context.Context, admin.JournalSearch) ([]admin.JournalEntry, error)
	JournalEntry(context.Context, store.ChangeID) (admin.JournalEntry, error)
	PlanUndo(context.Context, store.ChangeID) (admin.UndoPlan, error)
	Undo(context.Context, store.ChangeID) (admin.JournalEntry, error)

	DNS(ctx context.Context, domain string) (zone.Report, error)
	LastDNS(domain string) (admin.DNSLook, bool)
	STSPolicy(ctx context.Context, domain string) (zone.Policy, error)
	MailServer(ctx context.Context, domain string) (zone.Server, error)

	SearchTrace(context.Context, admin.TraceSearch) (admin.TraceFound, error)
	Trail(context.Context, store.MessageID) (store.Trail, error)
	RecentTrails(ctx context.Context, limit int) ([]store.Trail, error)
	Overview(ctx context.Context, over string) (admin.Overview, error)
}

// Handler returns the handler of all pages. The caller gives it timeouts.
func (s *Server) Handler() http.Handler {
	p := newPages(s)
	return p.protect(p.mux())
}
