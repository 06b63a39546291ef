package sqlite

import (
	"context"
	"fmt"

	"postroom/store"
)

// ChangeAccount changes what is kept of an account, and returns it as it was
// before. It fails with store.ErrNotFound if it isn't here, and with
// store.ErrLastAdmin if no enabled administrator would be left.
func (s *Store) ChangeAccount(ctx context.Context, id store.AccountID, change store.AccountChange) (before store.Account, err error) {
	err = s.changeDirectory(ctx, func(tx *tx) error {
		err := s.scanAccount(func(dest ...any) error {
			return tx.scan(selectAccount+`
				WHERE a.id = ?`, []any{id}, dest...)
		}, &before)
		if err != nil {
			return noRows(err, store.ErrNotFound)
		}
		after := before
		change.Apply(&after)
		if before.Admin && !after.Admin {
			if err := tx.notLastAdmin(id); err != nil {
				return err
			}
		}
		_, err = tx.exec(`
			UPDATE account
			SET name = ?, quota = ?, admin = ?, notice_told = IIF(quota = ?2, notice_told, 0)
			WHERE id = ?`, after.Name, after.Quota, after.Admin, id)
		return err
	})
	if err != nil {
		return store.Account{}, fmt.Errorf("change account %d: %w", id, err)
	}
	s.noteUsage()
	return before, nil
}

// notLastAdmin fails with store.ErrLastAdmin unless somebody else is an enabled
// administrator.
func (t *tx) notLastAdmin(id store.AccountID) error {
	another, err := t.exists(`SELECT 1 FROM account WHERE admin = 1 AND disabled = 0 AND id <> ? LIMIT 1`, id)
	if err == nil && !another {
		return store.ErrLastAdmin
	}
	return err
}
