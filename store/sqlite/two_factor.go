package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postroom/store"
)

// SetTOTPKey keeps a key that no code has been seen of yet, in the place of an
// earlier one of that kind. It fails with store.ErrConflict if the account has a
// second factor already.
func (s *Store) SetTOTPKey(ctx context.Context, key store.TOTPKey) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		on, err := tx.exists(`SELECT 1 FROM account WHERE id = ? AND two_factor <> 0`, key.Account)
		if err := errors.Join(err, conflictIf(on)); err != nil {
			return err
		}
		_, err = tx.exec(`
			INSERT OR REPLACE INTO totp (account, secret, created, step)
			VALUES (?, ?, ?, 0)`,
			key.Account, key.Secret, micros(key.Created))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the TOTP key of account %d: %w", key.Account, err)
	}
	return nil
}

// TOTPKey returns the key of an account, whether or not its second factor is
// turned on. It fails with store.ErrNotFound if there is none.
func (s *Store) TOTPKey(_ context.Context, account store.AccountID) (store.TOTPKey, error) {
	key := store.TOTPKey{Account: account}
	var created int64
	err := s.queryRow(`
		SELECT secret, created, step
		FROM totp
		WHERE account = ?`, account).Scan(&key.Secret, &created, &key.Step)
	if err != nil {
		return store.TOTPKey{}, fmt.Errorf("find the TOTP key of account %d: %w", account, noRows(err, store.ErrNotFound))
	}
	key.Created = fromMicros(created)
	return key, nil
}

// TakeTOTPStep notes that the code of a step has been taken. It fails with
// store.ErrConflict if that one or a later one has been taken before.
func (s *Store) TakeTOTPStep(ctx context.Context, account store.AccountID, step int64) error {
	err := s.write(ctx, 0, func(tx *tx) error { return tx.takeTOTPStep(account, step) })
	if err != nil {
		return fmt.Errorf("take a code of account %d: %w", account, err)
	}
	return nil
}

func (t *tx) takeTOTPStep(account store.AccountID, step int64) error {
	err := affected(t.exec(`UPDATE totp SET step = ?2 WHERE account = ?1 AND step < ?2`, account, step))
	if errors.Is(err, store.ErrNotFound) {
		return store.ErrConflict
	}
	return err
}

// TurnTwoFactorOn turns an account's second factor on, whose key has given the code
// of a step, ends its web sessions but one, and keeps the recovery codes. It fails
// with store.ErrConflict if there is no such key, its code was taken before, or the
// second factor is on already.
func (s *Store) TurnTwoFactorOn(ctx context.Context, account store.AccountID, step int64, at time.Time, codes [][32]byte, but int64) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		err := affected(tx.exec(`UPDATE account SET two_factor = ? WHERE id = ? AND two_factor = 0`, micros(at), account))
		if errors.Is(err, store.ErrNotFound) {
			err = store.ErrConflict
		}
		if err != nil {
			return err
		}
		if err := tx.takeTOTPStep(account, step); err != nil {
			return err
		}
		return errors.Join(tx.setRecoveryCodes(account, codes), tx.endSessions(account, but))
	})
	if err != nil {
		return fmt.Errorf("turn on the second factor of account %d: %w", account, err)
	}
	return nil
}

// TurnTwoFactorOff removes an account's second factor with its recovery codes. It
// fails with store.ErrNotFound if it has none.
func (s *Store) TurnTwoFactorOff(ctx context.Context, account store.AccountID) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		if err := affected(tx.exec(`UPDATE account SET two_factor = 0 WHERE id = ? AND two_factor <> 0`, account)); err != nil {
			return err
		}
		_, err := tx.exec(`DELETE FROM totp WHERE account = ?`, account)
		return errors.Join(err, tx.setRecoveryCodes(account, nil))
	})
	if err != nil {
		return fmt.Errorf("turn off the second factor of account %d: %w", account, err)
	}
	return nil
}

// SetRecoveryCodes keeps codes in the place of those that an account had.
func (s *Store) SetRecoveryCodes(ctx context.Context, account store.AccountID, codes [][32]byte) error {
	err := s.write(ctx, 0, func(tx *tx) error { return tx.setRecoveryCodes(account, codes) })
	if err != nil {
		return fmt.Errorf("set the recovery codes of account %d: %w", account, err)
	}
	return nil
}

func (t *tx) setRecoveryCodes(account store.AccountID, codes [][32]byte) error {
	if _, err := t.exec(`DELETE FROM recovery_code WHERE account = ?`, account); err != nil {
		return err
	}
	for _, code := range codes {
		if _, err := t.exec(`INSERT INTO recovery_code (account, hash) VALUES (?, ?)`, account, code[:]); err != nil {
			return err
		}
	}
	return nil
}

// RecoveryCodes returns how many of an account's recovery codes are left.
func (s *Store) RecoveryCodes(_ context.Context, account store.AccountID) (n int, err error) {
	if err := s.queryRow(`SELECT COUNT(*) FROM recovery_code WHERE account = ?`, account).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the recovery codes of account %d: %w", account, err)
	}
	return n, nil
}

// TakeRecoveryCode uses a recovery code up. It fails with store.ErrNotFound if the
// account has no such code, or had it.
func (s *Store) TakeRecoveryCode(ctx context.Context, account store.AccountID, code [32]byte) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		return affected(tx.exec(`DELETE FROM recovery_code WHERE account = ? AND hash = ?`, account, code[:]))
	})
	if err != nil {
		return fmt.Errorf("take a recovery code of account %d: %w", account, err)
	}
	return nil
}
