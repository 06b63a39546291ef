package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"postroom/store"
	"postroom/store/mail"
)

// changeDirectory runs a change after which other answers about addresses hold.
func (s *Store) changeDirectory(ctx context.Context, apply func(*tx) error) error {
	return s.write(ctx, 0, func(tx *tx) error {
		tx.afterCommit(s.directory.clear)
		return apply(tx)
	})
}

// exists reports whether a query gives a row.
func (t *tx) exists(query string, args ...any) (bool, error) {
	var one int
	err := t.scan(query, args, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// affected names the error of a statement that found nothing to change.
func affected(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return store.ErrNotFound
}

// localPart returns the form in which local parts of our domains are kept.
func localPart(a mail.Address) string { return strings.ToLower(a.Local) }

// AddDomain adds a domain and returns it with its ID. It fails with
// store.ErrConflict if it is there.
func (s *Store) AddDomain(ctx context.Context, d store.Domain) (store.Domain, error) {
	if d.Created.IsZero() {
		d.Created = s.now()
	}
	err := s.changeDirectory(ctx, func(tx *tx) error {
		tx.afterCommit(s.announceWays)
		tx.afterCommit(s.signing.clear)
		taken, err := tx.exists(`SELECT 1 FROM domain WHERE name = ?`, d.Name)
		if err != nil || taken {
			return errors.Join(err, conflictIf(taken))
		}
		return insertID(&d.ID, tx, `
			INSERT INTO domain (name, backup, listed, created)
			VALUES (?, ?, ?, ?)`,
			d.Name, d.Backup, d.Listed, micros(d.Created))
	})
	if err != nil {
		return store.Domain{}, fmt.Errorf("add domain %s: %w", d.Name, err)
	}
	return d, nil
}

func conflictIf(taken bool) error {
	if taken {
		return store.ErrConflict
	}
	return nil
}

// insertID runs an INSERT and reads the new row's id.
func insertID[ID ~int64](id *ID, tx *tx, query string, args ...any) error {
	result, err := tx.exec(query, args...)
	if err != nil {
		return err
	}
	n, err := result.LastInsertId()
	*id = ID(n)
	return err
}

// Domains returns all domains by name.
func (s *Store) Domains(context.Context) ([]store.Domain, error) {
	rows, err := s.query(`
		SELECT id, name, backup, listed, created
		FROM domain
		ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list domains: %w", err)
	}
	return collect(rows, func(d *store.Domain) error {
		var created int64
		err := rows.Scan(&d.ID, &d.Name, &d.Backup, &d.Listed, &created)
		d.Created = fromMicros(created)
		return err
	})
}

// collect reads all rows, each with scan, and closes them.
func collect[T any](rows *sql.Rows, scan func(*T) error) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		var one T
		if err := scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// RemoveDomain removes a domain. It fails with store.ErrNotFound, or with
// store.ErrInUse while it has accounts or aliases.
func (s *Store) RemoveDomain(ctx context.Context, name string) error {
	err := s.changeDirectory(ctx, func(tx *tx) error {
		tx.afterCommit(s.announceWays)
		tx.afterCommit(s.signing.clear)
		used, err := tx.exists(`
			SELECT 1
			FROM domain AS d
			WHERE name = ?
				AND (EXISTS (SELECT 1 FROM account WHERE domain = d.id)
					OR EXISTS (SELECT 1 FROM alias WHERE domain = d.id))`, name)
		switch {
		case err != nil:
			return err
		case used:
			return store.ErrInUse
		}
		var id int64
		if err := tx.scan(`SELECT id FROM domain WHERE name = ?`, []any{name}, &id); err != nil {
			return noRows(err, store.ErrNotFound)
		}
		if err := s.dropAllowance(tx, store.Owner{Scope: store.DomainScope, ID: id}); err != nil {
			return err
		}
		return affected(tx.exec(`DELETE FROM domain WHERE id = ?`, id))
	})
	if err != nil {
		return fmt.Errorf("remove domain %s: %w", name, err)
	}
	return nil
}
