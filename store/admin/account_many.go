package admin

import (
	"context"
	"errors"

	"postroom/store"
)

// GoesWithAccounts says what the removal of each of some accounts would take along.
// Accounts that aren't here are passed over.
func (a *Admin) GoesWithAccounts(ctx context.Context, addresses []string) ([]RemovedAccount, error) {
	var list []RemovedAccount
	for _, address := range addresses {
		account, err := a.account(ctx, address)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		goes, err := a.goesWith(ctx, account)
		if err != nil {
			return nil, err
		}
		list = append(list, goes)
	}
	return list, nil
}

// RemoveAccounts removes accounts one after the other, and returns how many are
// gone, also if it fails on the way or ctx ends. It tells its progress in messages.
func (a *Admin) RemoveAccounts(ctx context.Context, addresses []string) (int64, error) {
	accounts, err := a.present(ctx, addresses)
	if err != nil {
		return 0, err
	}
	var total, before int64
	for _, account := range accounts {
		total += account.Usage.Messages
	}
	return a.each(ctx, accounts, func(account store.Account) error {
		counted := store.WithProgress(ctx, func(done, _ int64) { store.TellProgress(ctx, before+done, total) })
		_, err := a.RemoveAccount(counted, account.Address.String())
		before += account.Usage.Messages
		store.TellProgress(ctx, before, total)
		return err
	})
}

// DisableAccounts does to several what DisableAccount does to one, and returns to how
// many.
func (a *Admin) DisableAccounts(ctx context.Context, addresses []string) (int64, error) {
	return a.setStandings(ctx, addresses, func(address string) error { return a.DisableAccount(ctx, address, false) })
}

// EnableAccounts undoes DisableAccounts.
func (a *Admin) EnableAccounts(ctx context.Context, addresses []string) (int64, error) {
	return a.setStandings(ctx, addresses, func(address string) error { return a.EnableAccount(ctx, address) })
}

func (a *Admin) setStandings(ctx context.Context, addresses []string, set func(address string) error) (int64, error) {
	accounts, err := a.present(ctx, addresses)
	if err != nil {
		return 0, err
	}
	var done int64
	return a.each(ctx, accounts, func(account store.Account) error {
		store.TellProgress(ctx, done, int64(len(accounts)))
		done++
		return set(account.Address.String())
	})
}

// present returns those of some accounts that are here.
func (a *Admin) present(ctx context.Context, addresses []string) ([]store.Account, error) {
	var accounts []store.Account
	for _, address := range addresses {
		account, err := a.account(ctx, address)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			accounts = append(accounts, account)
		}
	}
	return accounts, nil
}

// each does something to accounts until ctx ends, and returns to how many it was
// done. Ones that are gone meanwhile are passed over.
func (a *Admin) each(ctx context.Context, accounts []store.Account, do func(store.Account) error) (n int64, err error) {
	for _, account := range accounts {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		switch err := do(account); {
		case err == nil:
			n++
		case !errors.Is(err, store.ErrNotFound):
			return n, err
		}
	}
	return n, nil
}
