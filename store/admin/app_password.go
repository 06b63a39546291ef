package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/auth"
)

// An AppPassword is one as it is listed; the password itself isn't kept.
type AppPassword struct {
	Name     string    `json:"name"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used,omitzero"` // to the hour
}

// AddAppPassword makes a password for one mail program of an account. It is shown
// this once.
func (a *Admin) AddAppPassword(ctx context.Context, address, name string) (shown string, err error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return "", err
	}
	name = strings.TrimSpace(name)
	if name == "" || len(name) > 100 || strings.ContainsAny(name, "\r\n\x00") {
		return "", invalid("An app password needs a name that says which program it is for, such as \"Thunderbird on the laptop\".")
	}
	shown, hash := auth.NewAppPassword()
	noted := a.noting(ctx, "app-password.add", account.Address.String(), nil, appPasswordState{name})
	_, err = a.Store.AddAppPassword(noted, store.AppPassword{Account: account.ID, Name: name, Hash: hash, Created: a.Now()})
	if errors.Is(err, store.ErrConflict) {
		return "", conflict("%s has an app password named %q already. Choose another name, or remove that one first.", account.Address, name)
	}
	if err != nil {
		return "", fmt.Errorf("add app password of %s: %w", account.Address, err)
	}
	return shown, nil
}

// AppPasswords lists an account's app passwords, oldest first.
func (a *Admin) AppPasswords(ctx context.Context, address string) ([]AppPassword, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return nil, err
	}
	all, err := a.Store.AppPasswords(ctx, account.ID)
	if err != nil {
		return nil, fmt.Errorf("app passwords of %s: %w", account.Address, err)
	}
	list := make([]AppPassword, len(all))
	for i, p := range all {
		list[i] = AppPassword{p.Name, p.Created, p.LastUsed}
	}
	return list, nil
}

// RemoveAppPassword takes a program's right to log in. Since nobody knows which
// sessions are that program's, all of the account's end; the others log in again.
func (a *Admin) RemoveAppPassword(ctx context.Context, address, name string) error {
	account, err := a.account(ctx, address)
	if err != nil {
		return err
	}
	noted := a.noting(ctx, "app-password.remove", account.Address.String(), appPasswordState{name}, nil)
	err = a.Store.RemoveAppPassword(noted, account.ID, name)
	if errors.Is(err, store.ErrNotFound) {
		return notFound("%s has no app password named %q.", account.Address, name)
	}
	if err != nil {
		return fmt.Errorf("remove app password of %s: %w", account.Address, err)
	}
	a.Auth.Forget(account.ID)
	return nil
}
