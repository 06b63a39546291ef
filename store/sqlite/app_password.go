package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postroom/store"
)

// selectAppPassword is what scanAppPassword reads.
const selectAppPassword = `
	SELECT id, account, name, hash, created, last_used
	FROM app_password`

func scanAppPassword(scan func(dest ...any) error, p *store.AppPassword) error {
	var hash []byte
	var created, used int64
	err := scan(&p.ID, &p.Account, &p.Name, &hash, &created, &used)
	copy(p.Hash[:], hash)
	p.Created, p.LastUsed = fromMicros(created), fromMicros(used)
	return err
}

// AddAppPassword adds an app password and returns it with its ID. It fails with
// store.ErrNotFound if there is no such account, and with store.ErrConflict if the
// account has one of the same name.
func (s *Store) AddAppPassword(ctx context.Context, p store.AppPassword) (store.AppPassword, error) {
	if p.Created.IsZero() {
		p.Created = s.now()
	}
	err := s.write(ctx, 0, func(tx *tx) error {
		known, err := tx.exists(`SELECT 1 FROM account WHERE id = ?`, p.Account)
		if err != nil || !known {
			return errors.Join(err, store.ErrNotFound)
		}
		taken, err := tx.exists(`SELECT 1 FROM app_password WHERE account = ? AND name = ?`, p.Account, p.Name)
		if err != nil || taken {
			return errors.Join(err, conflictIf(taken))
		}
		return insertID(&p.ID, tx, `
			INSERT INTO app_password (account, name, hash, created)
			VALUES (?, ?, ?, ?)`,
			p.Account, p.Name, p.Hash[:], micros(p.Created))
	})
	if err != nil {
		return store.AppPassword{}, fmt.Errorf("add app password: %w", err)
	}
	return p, nil
}

// AppPasswords returns an account's app passwords, oldest first.
func (s *Store) AppPasswords(_ context.Context, account store.AccountID) ([]store.AppPassword, error) {
	rows, err := s.query(selectAppPassword+`
		WHERE account = ?
		ORDER BY id`, account)
	if err != nil {
		return nil, fmt.Errorf("list app passwords: %w", err)
	}
	return collect(rows, func(p *store.AppPassword) error { return scanAppPassword(rows.Scan, p) })
}

// AppPasswordByHash returns the app password with a hash, or fails with
// store.ErrNotFound.
func (s *Store) AppPasswordByHash(_ context.Context, hash [32]byte) (store.AppPassword, error) {
	var p store.AppPassword
	row := s.queryRow(selectAppPassword+`
		WHERE hash = ?`, hash[:])
	if err := scanAppPassword(row.Scan, &p); err != nil {
		return store.AppPassword{}, fmt.Errorf("find app password: %w", noRows(err, store.ErrNotFound))
	}
	return p, nil
}

// TouchAppPassword notes when an app password was used, to the hour.
func (s *Store) TouchAppPassword(ctx context.Context, id int64, at time.Time) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		return affected(tx.exec(`UPDATE app_password SET last_used = ? WHERE id = ?`, micros(at.Truncate(time.Hour)), id))
	})
	if err != nil {
		return fmt.Errorf("touch app password %d: %w", id, err)
	}
	return nil
}

// RemoveAppPassword removes the app password of an account that has a name, or
// fails with store.ErrNotFound.
func (s *Store) RemoveAppPassword(ctx context.Context, account store.AccountID, name string) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		return affected(tx.exec(`DELETE FROM app_password WHERE account = ? AND name = ?`, account, name))
	})
	if err != nil {
		return fmt.Errorf("remove app password: %w", err)
	}
	return nil
}
