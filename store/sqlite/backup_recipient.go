package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"postroom/store"
)

// SetBackupRecipients says which local parts a backup domain is known to have:
// mail for others is refused, but for its postmaster's. With nil it takes every
// address again. It fails with store.ErrNotFound if there is no such backup
// domain.
func (s *Store) SetBackupRecipients(ctx context.Context, domain string, locals []string) error {
	return s.changeRecipients(ctx, domain, locals, func(tx *tx, id store.DomainID, list string) error {
		if _, err := tx.exec(`DELETE FROM backup_recipient WHERE domain = ?`, id); err != nil {
			return err
		}
		if _, err := tx.exec(`UPDATE domain SET listed = ? WHERE id = ?`, locals != nil, id); err != nil {
			return err
		}
		return tx.addRecipients(id, list)
	})
}

// AddBackupRecipients adds to the local parts that a backup domain is known to
// have; those that it has already are passed over. Mail for others is refused
// from now on. It fails as SetBackupRecipients does.
func (s *Store) AddBackupRecipients(ctx context.Context, domain string, locals []string) error {
	return s.changeRecipients(ctx, domain, locals, func(tx *tx, id store.DomainID, list string) error {
		if _, err := tx.exec(`UPDATE domain SET listed = 1 WHERE id = ?`, id); err != nil {
			return err
		}
		return tx.addRecipients(id, list)
	})
}

// RemoveBackupRecipients takes local parts away from those that a backup domain
// is known to have. It fails with store.ErrNotFound, and changes nothing, if there
// is no such backup domain or if it doesn't have one of them.
func (s *Store) RemoveBackupRecipients(ctx context.Context, domain string, locals []string) error {
	return s.changeRecipients(ctx, domain, locals, func(tx *tx, id store.DomainID, list string) error {
		missing, err := tx.exists(`
			SELECT 1
			FROM json_each(?2)
			WHERE value NOT IN (SELECT local FROM backup_recipient WHERE domain = ?1)`, id, list)
		switch {
		case err != nil:
			return err
		case missing:
			return store.ErrNotFound
		}
		_, err = tx.exec(`
			DELETE FROM backup_recipient
			WHERE domain = ?1 AND local IN (SELECT value FROM json_each(?2))`, id, list)
		return err
	})
}

// changeRecipients runs a change of a backup domain's list. The change is given
// the local parts as they are kept, as a JSON list.
func (s *Store) changeRecipients(
	ctx context.Context, domain string, locals []string, apply func(tx *tx, id store.DomainID, list string) error,
) error {
	list, err := json.Marshal(lowered(locals))
	if err != nil {
		return fmt.Errorf("change recipients of %s: %w", domain, err)
	}
	err = s.changeDirectory(ctx, func(tx *tx) error {
		var id store.DomainID
		if err := tx.scan(`SELECT id FROM domain WHERE name = ? AND backup = 1`, []any{domain}, &id); err != nil {
			return noRows(err, store.ErrNotFound)
		}
		return apply(tx, id, string(list))
	})
	if err != nil {
		return fmt.Errorf("change recipients of %s: %w", domain, err)
	}
	return nil
}

func lowered(locals []string) []string {
	kept := make([]string, len(locals))
	for i, local := range locals {
		kept[i] = strings.ToLower(local)
	}
	return kept
}

func (t *tx) addRecipients(id store.DomainID, list string) error {
	_, err := t.exec(`
		INSERT OR IGNORE INTO backup_recipient (domain, local)
		SELECT ?1, value
		FROM json_each(?2)`, id, list)
	return err
}

// BackupRecipients returns the local parts that a backup domain is known to have,
// in order; nil if it takes every address. It fails with store.ErrNotFound if
// there is no such backup domain.
func (s *Store) BackupRecipients(_ context.Context, domain string) ([]string, error) {
	locals := []string{}
	err := s.snapshot(func(n names) error {
		d, _, err := n.domain(domain)
		switch {
		case err != nil:
			return err
		case !d.backup:
			return store.ErrNotFound
		case !d.listed:
			locals = nil
			return nil
		}
		found, err := n.recipients(d.id)
		locals = append(locals, found...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list recipients of %s: %w", domain, err)
	}
	return locals, nil
}

func (n names) recipients(domain store.DomainID) ([]string, error) {
	rows, err := n.query(`SELECT local FROM backup_recipient WHERE domain = ? ORDER BY local`, domain)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(local *string) error { return rows.Scan(local) })
}

// takes reports whether a backup domain takes mail for a local part. Its
// postmaster's it always takes (RFC 5321 4.5.1).
func (n names) takes(d knownDomain, local string) (bool, error) {
	if !d.listed || local == "postmaster" {
		return true, nil
	}
	rows, err := n.query(`SELECT local FROM backup_recipient WHERE domain = ? AND local = ?`, d.id, local)
	if err != nil {
		return false, err
	}
	_, found, err := first(collect(rows, func(local *string) error { return rows.Scan(local) }))
	return found, err
}
