package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"postroom/store"
	"postroom/store/mail"
)

// accountColumns are what scanAccount reads of accountTables.
const (
	accountColumns = `a.id, a.local, d.name, a.name, a.hash, a.scram, a.quota, a.admin, a.disabled, a.refuse, a.created, a.two_factor`
	accountTables  = `account AS a JOIN domain AS d ON d.id = a.domain`
	selectAccount  = `
	SELECT ` + accountColumns + `
	FROM ` + accountTables + `
`
)

func (s *Store) scanAccount(scan func(dest ...any) error, a *store.Account) error {
	var created, twoFactor int64
	err := scan(&a.ID, &a.Address.Local, &a.Address.Domain, &a.Name, &a.Secret.Hash, &a.Secret.SCRAM,
		&a.Quota, &a.Admin, &a.Disabled, &a.Refuse, &created, &twoFactor)
	a.Created, a.TwoFactor = fromMicros(created), fromMicros(twoFactor)
	a.Usage = s.usage.get(a.ID)
	return err
}

func (s *Store) oneAccount(r row) (store.Account, error) {
	var a store.Account
	if err := s.scanAccount(r.Scan, &a); err != nil {
		return store.Account{}, fmt.Errorf("find account: %w", noRows(err, store.ErrNotFound))
	}
	return a, nil
}

// AddAccount adds an account and returns it with its ID. It fails with
// store.ErrNotFound if the domain isn't one whose mail ends here, and with
// store.ErrConflict if an account or an alias has the address.
func (s *Store) AddAccount(ctx context.Context, a store.Account) (store.Account, error) {
	a = s.newAccount(a)
	err := s.changeDirectory(ctx, func(tx *tx) error { return tx.insertAccount(&a) })
	if err != nil {
		return store.Account{}, fmt.Errorf("add account: %w", err)
	}
	return a, nil
}

// newAccount returns an account as it is when it is added.
func (s *Store) newAccount(a store.Account) store.Account {
	a.Address.Local = localPart(a.Address)
	a.Usage = store.Usage{}
	if a.Created.IsZero() {
		a.Created = s.now()
	}
	return a
}

// insertAccount adds an account, and gives it its ID.
func (t *tx) insertAccount(a *store.Account) error {
	domain, err := t.freeAddress(a.Address)
	if err != nil {
		return err
	}
	return insertID(&a.ID, t, `
		INSERT INTO account (domain, local, name, hash, scram, quota, admin, disabled, refuse, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		domain, a.Address.Local, a.Name, a.Secret.Hash, a.Secret.SCRAM, a.Quota, a.Admin, a.Disabled, a.Refuse,
		micros(a.Created))
}

// freeAddress returns the domain of an address that neither an account nor an
// alias has yet.
func (t *tx) freeAddress(a mail.Address) (store.DomainID, error) {
	var domain store.DomainID
	err := t.scan(`SELECT id FROM domain WHERE name = ? AND backup = 0`, []any{a.Domain}, &domain)
	if err != nil {
		return 0, noRows(err, store.ErrNotFound)
	}
	taken, err := t.exists(`
		SELECT 1 FROM account WHERE domain = ?1 AND local = ?2
		UNION ALL
		SELECT 1 FROM alias WHERE domain = ?1 AND local = ?2`, domain, localPart(a))
	return domain, errors.Join(err, conflictIf(taken))
}

// Accounts returns all accounts by domain and local part.
func (s *Store) Accounts(context.Context) ([]store.Account, error) {
	rows, err := s.query(selectAccount + `
		ORDER BY d.name, a.local`)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return collect(rows, func(a *store.Account) error { return s.scanAccount(rows.Scan, a) })
}

// Account returns an account, or fails with store.ErrNotFound.
func (s *Store) Account(_ context.Context, id store.AccountID) (store.Account, error) {
	return s.oneAccount(s.queryRow(selectAccount+`
		WHERE a.id = ?`, id))
}

// AccountByAddress returns the account of an address, which has to be its own
// without a tag, or fails with store.ErrNotFound.
func (s *Store) AccountByAddress(_ context.Context, address mail.Address) (store.Account, error) {
	return s.oneAccount(s.queryRow(selectAccount+`
		WHERE d.name = ? AND a.local = ?`, address.Domain, localPart(address)))
}

// AccountByLogin returns the account that a login name means: its address, or its
// local part alone where no other account has the same. It fails with
// store.ErrNotFound.
func (s *Store) AccountByLogin(ctx context.Context, login string) (store.Account, error) {
	if address, err := mail.ParseAddress(login); err == nil {
		return s.AccountByAddress(ctx, address)
	}
	rows, err := s.query(selectAccount+`
		WHERE a.local = ?
		LIMIT 2`, strings.ToLower(login))
	if err != nil {
		return store.Account{}, fmt.Errorf("find account: %w", err)
	}
	found, err := collect(rows, func(a *store.Account) error { return s.scanAccount(rows.Scan, a) })
	if err != nil {
		return store.Account{}, fmt.Errorf("find account: %w", err)
	}
	if len(found) != 1 {
		return store.Account{}, fmt.Errorf("find account: %w", store.ErrNotFound)
	}
	return found[0], nil
}

// SetSecret changes what is kept of an account's password, and ends its sessions of
// the web page.
func (s *Store) SetSecret(ctx context.Context, id store.AccountID, secret store.Secret) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		if err := affected(tx.exec(`UPDATE account SET hash = ?, scram = ? WHERE id = ?`, secret.Hash, secret.SCRAM, id)); err != nil {
			return err
		}
		return tx.endSessions(id, 0)
	})
	if err != nil {
		return fmt.Errorf("set secret of account %d: %w", id, err)
	}
	return nil
}

// SetQuota changes how many octets an account's maildrop may hold; 0 is no bound.
func (s *Store) SetQuota(ctx context.Context, id store.AccountID, quota int64) error {
	err := s.changeDirectory(ctx, func(tx *tx) error {
		return affected(tx.exec(`UPDATE account SET quota = ?, notice_told = 0 WHERE id = ?`, quota, id))
	})
	if err != nil {
		return fmt.Errorf("set quota of account %d: %w", id, err)
	}
	s.noteUsage()
	return nil
}

// RemoveAccount removes an account with its maildrop and its app passwords. What
// it has in the queue stays there; if that was held because the account is
// disabled, it is for the admin to release from now on. A large maildrop is emptied
// before, in several commits, and progress is told: if it fails on the way or ctx
// ends, the account stays with what is left in it.
func (s *Store) RemoveAccount(ctx context.Context, id store.AccountID) error {
	if err := s.emptyMaildrop(ctx, id); err != nil {
		return fmt.Errorf("remove account %d: %w", id, err)
	}
	if err := s.followStanding(ctx, id); err != nil { // what isn't marked as held would be sent
		return fmt.Errorf("remove account %d: %w", id, err)
	}
	err := s.changeDirectory(ctx, func(tx *tx) error {
		for _, query := range []string{
			`INSERT OR IGNORE INTO reap (message) SELECT message FROM entry WHERE account = ?`,
			`DELETE FROM entry WHERE account = ?`,
			`UPDATE queue SET hold = (hold & ~2) | 1 WHERE account = ? AND account <> 0 AND hold & 2`,
		} {
			if _, err := tx.exec(query, id); err != nil {
				return err
			}
		}
		tx.afterCommit(func() { s.usage.forget(id) })
		tx.afterCommit(func() { s.suspended.set(id, false) }) // all it has is held by the admin now
		tx.afterCommit(s.announceWays)                        // its routes and sources go with it
		if err := s.dropAllowance(tx, store.Owner{Scope: store.AccountScope, ID: int64(id)}); err != nil {
			return err
		}
		if err := affected(tx.exec(`DELETE FROM account WHERE id = ?`, id)); err != nil {
			return err
		}
		return errors.Join(s.followDevices(tx), s.followVacations(tx)) // they go with it
	})
	if err != nil {
		return fmt.Errorf("remove account %d: %w", id, err)
	}
	s.reapSoon()
	return nil
}
