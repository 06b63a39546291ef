package sqlite

import (
	"context"
	"fmt"

	"postroom/store"
	"postroom/store/mail"
)

// SetForward has the mail of an account go on to others, in the place of those
// that were there before. It fails with store.ErrNotFound if the account isn't
// here. Targets need not exist.
func (s *Store) SetForward(ctx context.Context, account store.AccountID, f store.Forward) error {
	err := s.changeDirectory(ctx, func(tx *tx) error {
		if err := tx.mustBeHere(account); err != nil {
			return err
		}
		if _, err := tx.exec(`DELETE FROM forward WHERE account = ?`, account); err != nil || len(f.Targets) == 0 {
			return err
		}
		return tx.insertForward(account, f)
	})
	if err != nil {
		return fmt.Errorf("set forward of account %d: %w", account, err)
	}
	return nil
}

func (t *tx) insertForward(account store.AccountID, f store.Forward) error {
	if _, err := t.exec(`INSERT INTO forward (account, keep) VALUES (?, ?)`, account, f.Keep); err != nil {
		return err
	}
	for i, target := range f.Targets {
		_, err := t.exec(`INSERT INTO forward_target (account, seq, address) VALUES (?, ?, ?)`, account, i, target.String())
		if err != nil {
			return err
		}
	}
	return nil
}

// Forward returns where the mail of an account goes on to, whether the account is
// disabled or not.
func (s *Store) Forward(_ context.Context, account store.AccountID) (f store.Forward, err error) {
	err = s.snapshot(func(n names) error {
		rows, err := n.query(`SELECT keep FROM forward WHERE account = ?`, account)
		if err != nil {
			return err
		}
		if f.Keep, _, err = first(collect(rows, func(keep *bool) error { return rows.Scan(keep) })); err != nil {
			return err
		}
		f.Targets, err = n.forwardTargets(account)
		return err
	})
	if err != nil {
		return store.Forward{}, fmt.Errorf("read forward of account %d: %w", account, err)
	}
	return f, nil
}

// ForwardsTo returns the accounts whose forwards name an address themselves, by
// domain and local part.
func (s *Store) ForwardsTo(_ context.Context, address mail.Address) ([]mail.Address, error) {
	rows, err := s.query(`
		SELECT a.local, d.name
		FROM account AS a
		JOIN domain AS d ON d.id = a.domain
		WHERE a.id IN (SELECT account FROM forward_target WHERE lower(address) = lower(?))
		ORDER BY d.name, a.local`, address.String())
	if err != nil {
		return nil, fmt.Errorf("find forwards: %w", err)
	}
	return collect(rows, func(a *mail.Address) error { return rows.Scan(&a.Local, &a.Domain) })
}
