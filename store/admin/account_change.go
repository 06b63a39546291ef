package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"postroom/store"
)

// ChangeAccount asks for an account to be different. What is nil stays as it is.
type ChangeAccount struct {
	Address string  `json:"address"`
	Name    *string `json:"name,omitempty"`
	Quota   *int64  `json:"quota,omitempty"` // octets; 0: none
	Admin   *bool   `json:"admin,omitempty"`
}

// ChangeAccount changes the name, the quota and the rights of an account, at once.
// The last enabled administrator stays one.
func (a *Admin) ChangeAccount(ctx context.Context, request ChangeAccount) (Account, error) {
	change, err := request.parse()
	if err != nil {
		return Account{}, err
	}
	account, err := a.account(ctx, request.Address)
	if err != nil {
		return Account{}, err
	}
	changed := account
	change.Apply(&changed)
	noted := a.noting(ctx, "account.change", account.Address.String(), traitsOf(account), traitsOf(changed))
	before, err := a.Store.ChangeAccount(noted, account.ID, change)
	switch {
	case errors.Is(err, store.ErrLastAdmin):
		return Account{}, &Error{InUse, fmt.Sprintf("%s is the only administrator who can sign in. Make somebody else one first.", account.Address), err}
	case errors.Is(err, store.ErrNotFound):
		return Account{}, notFound("There is no account %s.", account.Address)
	case err != nil:
		return Account{}, fmt.Errorf("change account %s: %w", account.Address, err)
	}
	after := before
	change.Apply(&after)
	a.noteAdmin(after)
	return accountOf(after), nil
}

func (r ChangeAccount) parse() (store.AccountChange, error) {
	change := store.AccountChange{Name: r.Name, Quota: r.Quota, Admin: r.Admin}
	switch {
	case change == (store.AccountChange{}):
		return change, invalid("Say what is to be different: the name, the quota, or whether it is an administrator.")
	case r.Quota != nil && *r.Quota < 0:
		return change, invalid("A quota can't be negative. 0 means none.")
	case r.Name != nil && strings.ContainsAny(*r.Name, "\r\n\x00"):
		return change, invalid("A name is one line of text.")
	}
	return change, nil
}
