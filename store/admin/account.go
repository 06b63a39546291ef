package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/auth"
	"postroom/store/mail"
)

// NewAccount asks for an account. Without a password nobody can log in until one
// is set.
type NewAccount struct {
	Address  string `json:"address"`
	Password string `json:"password"`
	Name     string `json:"name"`
	Quota    int64  `json:"quota"` // octets; 0: none
	Admin    bool   `json:"admin"`
	// AnyPassword takes a short password too: from a command of this host, whose
	// user may put any into the database anyway.
	AnyPassword bool `json:"any_password,omitempty"`
}

// An Account is one as it is shown. It holds nothing secret.
type Account struct {
	Address  string    `json:"address"`
	Name     string    `json:"name"`
	Admin    bool      `json:"admin"`
	Status   string    `json:"status"` // enabled, disabled, refusing (disabled, and mail for it is refused)
	Quota    int64     `json:"quota"`  // octets; 0: none
	Used     int64     `json:"used"`   // octets
	Messages int64     `json:"messages"`
	Created  time.Time `json:"created"`
	// TwoFactor is since when the web page asks for a code besides the password.
	TwoFactor time.Time  `json:"two_factor,omitzero"`
	LastLogin LastLogins `json:"last_login,omitzero"` // of one account alone, not in lists
	*Personal            // of one account alone, not in lists; nil if there is nothing of it
}

// Personal is what people have made of an account.
type Personal struct {
	Forward  *Forward  `json:"forward,omitempty"`  // nil: its mail isn't forwarded
	Vacation *Vacation `json:"vacation,omitempty"` // nil: there never was a notice
	Senders  []Sender  `json:"senders,omitempty"`  // as what else it may send
}

// A RemovedAccount says what went with an account.
type RemovedAccount struct {
	Address      string   `json:"address"`
	Messages     int64    `json:"messages"` // that it had not collected
	Octets       int64    `json:"octets"`
	AppPasswords int      `json:"app_passwords"`
	Aliases      []string `json:"aliases"`              // that still lead to it
	Forward      []string `json:"forward,omitempty"`    // where its mail went on to
	Forwarders   []string `json:"forwarders,omitempty"` // accounts whose mail went on to it; that stays with them
	Queued       int      `json:"queued"`               // recipients that its mail still waits for; they are served
	Devices      int      `json:"devices,omitempty"`    // that can't submit any more
	Routes       int      `json:"routes,omitempty"`     // of its own
	Sources      int      `json:"sources,omitempty"`    // addresses of its own to send from
	Limits       bool     `json:"limits,omitempty"`     // it had limits of its own
}

// AddAccount makes an account.
func (a *Admin) AddAccount(ctx context.Context, request NewAccount) (Account, error) {
	address, err := parseAddress(request.Address)
	if err != nil {
		return Account{}, err
	}
	if request.Quota < 0 {
		return Account{}, invalid("A quota can't be negative. 0 means none.")
	}
	if strings.ContainsAny(request.Name, "\r\n\x00") {
		return Account{}, invalid("A name is one line of text.")
	}
	if err := a.mustBeLocal(ctx, address.Domain); err != nil {
		return Account{}, err
	}
	account := store.Account{Address: address, Name: request.Name, Quota: request.Quota, Admin: request.Admin, Created: a.Now()}
	if request.Password != "" {
		if err := auth.CheckLength(request.Password); err != nil && !request.AnyPassword {
			return Account{}, passwordError(err)
		}
		if account.Secret, err = a.Auth.NewSecret(ctx, request.Password); err != nil {
			return Account{}, passwordError(err)
		}
	}
	added, err := a.Store.AddAccount(a.noting(ctx, "account.add", address.String(), nil, accountStateOf(account)), account)
	switch {
	case errors.Is(err, store.ErrConflict):
		return Account{}, a.addressTaken(ctx, address)
	case errors.Is(err, store.ErrNotFound):
		return Account{}, noDomain(address.Domain)
	case err != nil:
		return Account{}, fmt.Errorf("add account %s: %w", address, err)
	}
	a.noteAdmin(added)
	return accountOf(added), nil
}

// Accounts returns all accounts by domain and name.
func (a *Admin) Accounts(ctx context.Context) ([]Account, error) {
	accounts, err := a.Store.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Account, len(accounts))
	for i, account := range accounts {
		list[i] = accountOf(account)
	}
	return list, nil
}

// Account returns one account.
func (a *Admin) Account(ctx context.Context, address string) (Account, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return Account{}, err
	}
	shown := accountOf(account)
	if shown.LastLogin, err = a.lastLogins(ctx, account.ID); err != nil {
		return Account{}, err
	}
	shown.Personal, err = a.personal(ctx, account)
	return shown, err
}

func (a *Admin) personal(ctx context.Context, account store.Account) (*Personal, error) {
	forward, err := a.forwardOf(ctx, account)
	if err != nil {
		return nil, err
	}
	vacation, err := a.Store.Vacation(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	p := new(Personal)
	if p.Senders, err = a.sendersOf(ctx, account.ID); err != nil {
		return nil, err
	}
	if len(forward.Targets) > 0 {
		p.Forward = &forward
	}
	if vacation != (store.Vacation{}) {
		p.Vacation = new(a.vacationOf(vacation))
	}
	if p.Forward == nil && p.Vacation == nil && len(p.Senders) == 0 {
		return nil, nil
	}
	return p, nil
}

// SetPassword gives an account a new password and ends its sessions.
func (a *Admin) SetPassword(ctx context.Context, address, password string) error {
	if err := auth.CheckLength(password); err != nil {
		return passwordError(err)
	}
	return a.SetAnyPassword(ctx, address, password)
}

// SetAnyPassword is SetPassword for NewAccount's AnyPassword: it takes a short
// password too.
func (a *Admin) SetAnyPassword(ctx context.Context, address, password string) error {
	account, err := a.account(ctx, address)
	if err != nil {
		return err
	}
	secret, err := a.Auth.NewSecret(ctx, password)
	if err != nil {
		return passwordError(err)
	}
	noted := a.noting(ctx, "account.password", account.Address.String(), passwordState{passwordWord(account.Secret)}, passwordState{"new"})
	if err := a.Store.SetSecret(noted, account.ID, secret); err != nil {
		return fmt.Errorf("set password of %s: %w", account.Address, err)
	}
	a.Auth.Forget(account.ID)
	account.Secret = secret
	a.noteAdmin(account)
	return nil
}

// DisableAccount keeps an account from logging in and sending, ends its sessions
// and holds its queue. With refuse, mail for it is refused too.
func (a *Admin) DisableAccount(ctx context.Context, address string, refuse bool) error {
	if refuse {
		return a.setStanding(ctx, "account.disable", address, store.DisabledRefusing)
	}
	return a.setStanding(ctx, "account.disable", address, store.Disabled)
}

// EnableAccount undoes DisableAccount.
func (a *Admin) EnableAccount(ctx context.Context, address string) error {
	return a.setStanding(ctx, "account.enable", address, store.Enabled)
}

func (a *Admin) setStanding(ctx context.Context, action, address string, standing store.Standing) error {
	account, err := a.account(ctx, address)
	if err != nil {
		return err
	}
	was, is := statusState{statusWords[account.Standing()]}, statusState{statusWords[standing]}
	noted := a.noting(ctx, action, account.Address.String(), was, is)
	if err := a.Store.SetStanding(noted, account.ID, standing); err != nil {
		return fmt.Errorf("set standing of %s: %w", account.Address, err)
	}
	a.Auth.Forget(account.ID)
	account.Disabled = standing != store.Enabled
	a.noteAdmin(account)
	return nil
}

// RemoveAccount removes an account with everything in its maildrop, and ends its
// sessions. Mail that it sent and that still waits is sent.
func (a *Admin) RemoveAccount(ctx context.Context, address string) (RemovedAccount, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return RemovedAccount{}, err
	}
	removed, err := a.goesWith(ctx, account)
	if err != nil {
		return RemovedAccount{}, err
	}
	lost := lostAccountState{accountStateOf(account), removed.Messages, removed.Octets, removed.AppPasswords, removed.Queued}
	noted := a.noting(ctx, "account.remove", account.Address.String(), lost, nil)
	if err := a.Store.RemoveAccount(noted, account.ID); err != nil {
		return RemovedAccount{}, fmt.Errorf("remove account %s: %w", account.Address, err)
	}
	a.Auth.Forget(account.ID)
	return removed, nil
}

// goesWith says what the removal of an account takes along.
func (a *Admin) goesWith(ctx context.Context, account store.Account) (RemovedAccount, error) {
	passwords, err := a.Store.AppPasswords(ctx, account.ID)
	if err != nil {
		return RemovedAccount{}, err
	}
	aliases, err := a.leadingTo(ctx, account.Address)
	if err != nil {
		return RemovedAccount{}, err
	}
	forward, err := a.Store.Forward(ctx, account.ID)
	if err != nil {
		return RemovedAccount{}, err
	}
	forwarders, err := a.Store.ForwardsTo(ctx, account.Address)
	if err != nil {
		return RemovedAccount{}, err
	}
	queued, err := a.Store.CountQueue(ctx, store.QueueFilter{Account: account.ID})
	if err != nil {
		return RemovedAccount{}, err
	}
	removed := RemovedAccount{
		Address:      account.Address.String(),
		Messages:     account.Usage.Messages,
		Octets:       account.Usage.Bytes,
		AppPasswords: len(passwords),
		Aliases:      aliases,
		Forward:      addressTexts(forward.Targets),
		Forwarders:   addressTexts(slices.DeleteFunc(forwarders, func(f mail.Address) bool { return f == account.Address })),
		Queued:       int(queued),
	}
	return removed, a.countOwn(ctx, account, &removed)
}

// countOwn counts what is set for an account alone.
func (a *Admin) countOwn(ctx context.Context, account store.Account, removed *RemovedAccount) error {
	devices, err := a.Store.Devices(ctx)
	if err != nil {
		return err
	}
	ways, err := a.Store.Ways(ctx)
	if err != nil {
		return err
	}
	sending, err := a.Store.Sending(ctx, store.Owner{Scope: store.AccountScope, ID: int64(account.ID)})
	if err != nil {
		return err
	}
	for _, d := range devices {
		if d.Account == account.ID {
			removed.Devices++
		}
	}
	for _, r := range ways.Routes {
		if r.For.Account == account.ID {
			removed.Routes++
		}
	}
	for _, s := range ways.Sources {
		if s.For.Account == account.ID {
			removed.Sources++
		}
	}
	removed.Limits = sending.Own != store.Allowance{}
	return nil
}

// account finds the account that a person names.
func (a *Admin) account(ctx context.Context, text string) (store.Account, error) {
	address, err := parseAddress(text)
	if err != nil {
		return store.Account{}, err
	}
	account, err := a.Store.AccountByAddress(ctx, address)
	if errors.Is(err, store.ErrNotFound) {
		return store.Account{}, notFound("There is no account %s.", address)
	}
	if err != nil {
		return store.Account{}, fmt.Errorf("find account %s: %w", address, err)
	}
	return account, nil
}

func accountOf(a store.Account) Account {
	return Account{
		Address:  a.Address.String(),
		Name:     a.Name,
		Admin:    a.Admin,
		Status:   statusWords[a.Standing()],
		Quota:    a.Quota,
		Used:     a.Usage.Bytes,
		Messages: a.Usage.Messages,
		Created:  a.Created,

		TwoFactor: a.TwoFactor,
	}
}

var statusWords = map[store.Standing]string{
	store.Enabled: "enabled", store.Disabled: "disabled", store.DisabledRefusing: "refusing",
}
