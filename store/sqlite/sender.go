package sqlite

import (
	"context"
	"errors"
	"fmt"

	"postroom/store"
	"postroom/store/mail"
)

// AddSender lets an account send as a further address, or as every address of a
// domain. It fails with store.ErrNotFound if the account isn't here or the domain
// isn't one whose mail ends here, and with store.ErrConflict if it may already. It
// goes with the account and with the domain.
func (s *Store) AddSender(ctx context.Context, sender store.Sender) error {
	if sender.Created.IsZero() {
		sender.Created = s.now()
	}
	err := s.changeDirectory(ctx, func(tx *tx) error {
		if err := tx.mustBeHere(sender.Account); err != nil {
			return err
		}
		var domain store.DomainID
		err := tx.scan(`SELECT id FROM domain WHERE name = ? AND backup = 0`, []any{sender.Address.Domain}, &domain)
		if err != nil {
			return noRows(err, store.ErrNotFound)
		}
		taken, err := tx.exists(`SELECT 1 FROM sender WHERE account = ? AND domain = ? AND local = ?`,
			sender.Account, domain, localPart(sender.Address))
		if err != nil || taken {
			return errors.Join(err, conflictIf(taken))
		}
		_, err = tx.exec(`INSERT INTO sender (account, domain, local, created) VALUES (?, ?, ?, ?)`,
			sender.Account, domain, localPart(sender.Address), micros(sender.Created))
		return err
	})
	if err != nil {
		return fmt.Errorf("add sender of account %d: %w", sender.Account, err)
	}
	return nil
}

// Senders returns the further addresses that an account may send as, by domain and
// local part.
func (s *Store) Senders(_ context.Context, account store.AccountID) ([]store.Sender, error) {
	rows, err := s.query(`
		SELECT s.account, s.local, d.name, s.created
		FROM sender AS s
		JOIN domain AS d ON d.id = s.domain
		WHERE s.account = ?
		ORDER BY d.name, s.local`, account)
	if err != nil {
		return nil, fmt.Errorf("list senders of account %d: %w", account, err)
	}
	return collect(rows, func(s *store.Sender) error {
		var created int64
		err := rows.Scan(&s.Account, &s.Address.Local, &s.Address.Domain, &created)
		s.Created = fromMicros(created)
		return err
	})
}

// RemoveSender takes the right to send as an address from an account, or fails
// with store.ErrNotFound.
func (s *Store) RemoveSender(ctx context.Context, account store.AccountID, address mail.Address) error {
	err := s.changeDirectory(ctx, func(tx *tx) error {
		return affected(tx.exec(`
			DELETE FROM sender
			WHERE account = ?
				AND local = ?
				AND domain = (SELECT id FROM domain WHERE name = ?)`,
			account, localPart(address), address.Domain))
	})
	if err != nil {
		return fmt.Errorf("remove sender of account %d: %w", account, err)
	}
	return nil
}
