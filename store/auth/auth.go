// Package auth checks passwords, in one place for SMTP, POP3 and the web page.
// It makes guessing them slow, and impossible for a while to who goes on; see Guard.
// It knows no protocol and no database.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"postroom/store"
)

// Errors of a login. Any other error is our own trouble.
var (
	// ErrDenied is one answer for all: no such account, wrong password, disabled.
	ErrDenied = errors.New("login denied")
	// ErrBusy says that too many passwords are being checked at the moment.
	ErrBusy = errors.New("too many logins at once")
)

// Accounts is what the Authenticator asks of the store.
type Accounts interface {
	// AccountByLogin finds the account that a login name means, or fails with
	// store.ErrNotFound.
	AccountByLogin(ctx context.Context, login string) (store.Account, error)
	// AppPasswordByHash finds an app password, or fails with store.ErrNotFound.
	AppPasswordByHash(ctx context.Context, hash [32]byte) (store.AppPassword, error)
	// TouchAppPassword notes when an app password was last used.
	TouchAppPassword(ctx context.Context, id int64, at time.Time) error
}

// Options say how an Authenticator works. The zero Options are good.
type Options struct {
	SCRAM bool             // keep keys for SCRAM-SHA-256 with new passwords
	Slots int              // passwords hashed at once, each in about 20 MB of memory; zero: GOMAXPROCS
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: nothing is logged
	Guard *Guard           // nil: a new one, which keeps nothing over a restart
	// Factors keeps second factors. Nil: nobody has one.
	Factors Factors
	// Noted is told of each login that went well, and must not wait. Nil: nobody is.
	Noted func(store.Login)
	// Denied is told of each that was in vain, of an account that there is, and must
	// not wait. Nil: nobody is.
	Denied func(store.Login)
}

// An Authenticator checks login names and passwords. It may be used by many
// goroutines at once.
type Authenticator struct {
	accounts   Accounts
	scram      bool
	now        func() time.Time
	log        *slog.Logger
	guard      *Guard
	factors    Factors
	noted      func(store.Login)
	denied     func(store.Login)
	slots      *slots
	remembered *remembered
	sessions   sessions
	lent       lent
	decoy      decoy
	derive     func(password string, salt []byte, p params) []byte // argon2id; tests count its calls
}

// New returns an Authenticator for accounts.
func New(accounts Accounts, opts Options) *Authenticator {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Guard == nil {
		opts.Guard = NewGuard(GuardOptions{Now: opts.Now, Log: opts.Log})
	}
	if opts.Noted == nil {
		opts.Noted = func(store.Login) {}
	}
	if opts.Denied == nil {
		opts.Denied = func(store.Login) {}
	}
	if opts.Slots == 0 {
		opts.Slots = runtime.GOMAXPROCS(0)
	}
	return &Authenticator{
		accounts:   accounts,
		scram:      opts.SCRAM,
		now:        opts.Now,
		log:        opts.Log,
		guard:      opts.Guard,
		factors:    opts.Factors,
		noted:      opts.Noted,
		denied:     opts.Denied,
		slots:      newSlots(opts.Slots),
		remembered: newRemembered(),
		decoy:      newDecoy(),
		derive:     derive,
	}
}

// An Attempt is one try to log in.
type Attempt struct {
	Login    string // an address, or a local part alone
	Password string
	Client   netip.Addr
	Protocol string // "smtp", "submission", "submissions", "pop3", "pop3s", "web"
	Web      bool   // it opens the web page, for which app passwords don't count
}

// Guard returns what keeps count of failed logins.
func (a *Authenticator) Guard() *Guard { return a.guard }

// Login returns the account that an attempt opens. It fails with ErrDenied if the
// name or the password is wrong or the account is disabled, which all take the
// same time; after some failures from one address that time grows, up to 5 s more.
// It fails with ErrBlocked if there were too many from the address: nothing is
// looked at then. And with ErrBusy if too many other passwords are waiting to be
// checked. The password of an earlier login and app passwords never wait.
//
// Who opens the web page with an account that has a second factor has come half
// the way: SecondStep is the rest.
func (a *Authenticator) Login(ctx context.Context, attempt Attempt) (store.Account, error) {
	account, err := a.find(ctx, attempt.Login)
	if err != nil {
		return store.Account{}, err
	}
	t := try{attempt.Client, account.ID, attempt.Login, attempt.Password, attempt.Protocol}
	if err := a.guard.admit(t); err != nil {
		return store.Account{}, err
	}
	opens, app, err := a.opens(ctx, account, attempt)
	if err != nil {
		return store.Account{}, err
	}
	if !opens {
		return store.Account{}, a.deny(ctx, t, account)
	}
	if !attempt.Web || account.TwoFactor.IsZero() {
		a.succeed(t, app)
	}
	return account, nil
}

// succeed remembers a login that went well; app is the name of the app password
// that was used.
func (a *Authenticator) succeed(t try, app string) {
	a.guard.succeeded(t)
	a.noted(store.Login{Account: t.account, Protocol: service(t.protocol), At: a.now(), Client: t.client, AppPassword: app})
}

// service returns the protocol for which a login is noted, whatever the port.
func service(protocol string) string {
	switch protocol {
	case "smtp", "submissions":
		return "submission"
	case "pop3s":
		return "pop3"
	}
	return protocol
}

// Admits fails with ErrBlocked if a login of an account from an address wouldn't be
// looked at now. Nothing is counted.
func (a *Authenticator) Admits(client netip.Addr, account store.AccountID) error {
	return a.guard.admit(try{client: client, account: account})
}

// deny counts a failed login and returns ErrDenied, after a while.
func (a *Authenticator) deny(ctx context.Context, t try, account store.Account) error {
	a.log.Info("login denied", "remote", t.client, "protocol", t.protocol, "account", account.Address.String())
	if t.account != 0 {
		a.denied(store.Login{Account: t.account, Protocol: service(t.protocol), At: a.now(), Client: t.client})
	}
	timer := time.NewTimer(a.guard.failed(ctx, t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ErrDenied
}

// find returns the account that may log in under a name; the zero Account, which
// no password opens, if there is none.
func (a *Authenticator) find(ctx context.Context, login string) (store.Account, error) {
	account, err := a.accounts.AccountByLogin(ctx, login)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Account{}, nil
	case err != nil:
		return store.Account{}, fmt.Errorf("find account: %w", err)
	case account.Disabled:
		return store.Account{Address: account.Address}, nil
	}
	return account, nil
}

// opens reports whether the attempt's password is one of account's, and if that is
// an app password, its name.
func (a *Authenticator) opens(ctx context.Context, account store.Account, attempt Attempt) (ok bool, app string, err error) {
	if account.ID != 0 && !attempt.Web {
		if a.lent.opens(account.ID, attempt.Password) {
			return true, lentName, nil
		}
		if app, ok, err = a.appPassword(ctx, account, attempt.Password); ok || err != nil {
			return ok, app, err
		}
	}
	mark := a.remembered.mark(account, attempt.Password)
	if account.ID != 0 && a.remembered.has(mark, a.now()) {
		return true, "", nil
	}
	ok, err = a.check(ctx, account, attempt, mark)
	return ok, "", err
}

// check hashes the attempt's password, at the same cost whether or not there is
// an account, and remembers it if it is right. Of many connections that log in at
// once with the same password, only the first ones hash it.
func (a *Authenticator) check(ctx context.Context, account store.Account, attempt Attempt, mark mark) (bool, error) {
	if err := a.slots.acquire(ctx, network(attempt.Client)); err != nil {
		return false, err
	}
	defer a.slots.release()
	if account.ID != 0 && a.remembered.has(mark, a.now()) {
		return true, nil
	}
	// Others of the same address may have failed while this one waited.
	if err := a.guard.admit(try{client: attempt.Client, account: account.ID, protocol: attempt.Protocol}); err != nil {
		return false, err
	}
	stored, ok := parseHash(account.Secret.Hash)
	if !ok || len(attempt.Password) > maxPassword {
		stored = a.decoy.hash
	}
	if !stored.equal(a.derive(attempt.Password, stored.salt, stored.params)) {
		return false, nil
	}
	// The password may have been changed, and Forget called, while it was hashed.
	now, err := a.find(ctx, attempt.Login)
	if err != nil || now.ID != account.ID || now.Secret != account.Secret {
		return false, err
	}
	a.remembered.add(account.ID, mark, a.now())
	return true, nil
}

// appPassword reports whether a password is one of account's app passwords, returns
// its name, and notes its use.
func (a *Authenticator) appPassword(ctx context.Context, account store.Account, password string) (name string, ok bool, err error) {
	hash, ok := hashAppPassword(password)
	if !ok {
		return "", false, nil
	}
	found, err := a.accounts.AppPasswordByHash(ctx, hash)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("find app password: %w", err)
	case found.Account != account.ID:
		return "", false, nil
	}
	if now := a.now(); now.Sub(found.LastUsed) >= time.Hour {
		if err := a.accounts.TouchAppPassword(ctx, found.ID, now); err != nil {
			a.log.Warn("use of an app password not noted", "account", account.Address.String(), "err", err)
		}
	}
	return found.Name, true, nil
}
