package sqlite

import (
	"context"
	"fmt"
	"strings"

	"postroom/store"
)

// selectAdmin finds somebody who can sign in as an administrator.
const selectAdmin = `SELECT 1 FROM account WHERE admin = 1 AND disabled = 0 AND hash <> ''`

// HasAdmin reports whether somebody can sign in as an administrator.
func (s *Store) HasAdmin(context.Context) (bool, error) {
	var has bool
	if err := s.queryRow(`SELECT EXISTS (` + selectAdmin + `)`).Scan(&has); err != nil {
		return false, fmt.Errorf("look for an administrator: %w", err)
	}
	return has, nil
}

// AddFirstAdmin adds an administrator, and the domain of the address if it isn't
// here, in one transaction. It fails with store.ErrHasAdmin if somebody can sign in as
// an administrator: of several who try at once one succeeds. Otherwise it fails as
// AddAccount does.
func (s *Store) AddFirstAdmin(ctx context.Context, a store.Account) (added store.Account, newDomain bool, err error) {
	a = s.newAccount(a)
	a.Admin = true
	err = s.changeDirectory(ctx, func(tx *tx) error {
		has, err := tx.exists(selectAdmin)
		switch {
		case err != nil:
			return err
		case has:
			return store.ErrHasAdmin
		}
		known, err := tx.exists(`SELECT 1 FROM domain WHERE name = ?`, a.Address.Domain)
		if err != nil {
			return err
		}
		if newDomain = !known; newDomain {
			tx.afterCommit(s.announceWays)
			tx.afterCommit(s.signing.clear)
			if _, err := tx.exec(`INSERT INTO domain (name, backup, listed, created) VALUES (?, 0, 0, ?)`, a.Address.Domain, micros(a.Created)); err != nil {
				return err
			}
		}
		return tx.insertAccount(&a)
	})
	if err != nil {
		return store.Account{}, false, fmt.Errorf("add the first administrator: %w", err)
	}
	return a, newDomain, nil
}

// setupKey begins the keys of the marks among the settings.
const setupKey = "setup "

// MarkSetup says how a step of the guide was left.
func (s *Store) MarkSetup(ctx context.Context, step store.SetupStep, mark store.SetupMark) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`
			INSERT INTO setting (key, value)
			VALUES (?, ?)
			ON CONFLICT (key) DO UPDATE
			SET value = excluded.value`, setupKey+string(step), string(mark))
		return err
	})
	if err != nil {
		return fmt.Errorf("mark the step %s: %w", step, err)
	}
	return nil
}

// SetupMarks returns the marks that there are.
func (s *Store) SetupMarks(context.Context) (map[store.SetupStep]store.SetupMark, error) {
	rows, err := s.query(`SELECT key, value FROM setting WHERE key >= ? AND key < ?`, setupKey, setupKey+"~")
	if err != nil {
		return nil, fmt.Errorf("read how far the guide is: %w", err)
	}
	type pair struct{ key, value string }
	pairs, err := collect(rows, func(p *pair) error { return rows.Scan(&p.key, &p.value) })
	if err != nil {
		return nil, fmt.Errorf("read how far the guide is: %w", err)
	}
	marks := make(map[store.SetupStep]store.SetupMark)
	for _, p := range pairs {
		marks[store.SetupStep(strings.TrimPrefix(p.key, setupKey))] = store.SetupMark(p.value)
	}
	return marks, nil
}
