package sqlite

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"postroom/store"
)

// AddSource adds an address to send from. It fails with store.ErrConflict if the
// same senders have it already, and with store.ErrNotFound if it is for an account
// that isn't here. An account's sources go with it.
func (s *Store) AddSource(ctx context.Context, source store.Source) error {
	if source.Created.IsZero() {
		source.Created = s.now()
	}
	origin, account := scope(source.For)
	err := s.changeWays(ctx, func(tx *tx) error {
		if err := tx.mustBeHere(account); err != nil {
			return err
		}
		taken, err := tx.exists(`
			SELECT 1
			FROM source
			WHERE ip = ? AND origin = ? AND COALESCE(account, 0) = ?`, source.IP.String(), origin, account)
		if err != nil || taken {
			return errors.Join(err, conflictIf(taken))
		}
		_, err = tx.exec(`
			INSERT INTO source (ip, name, origin, account, created)
			VALUES (?, ?, ?, NULLIF(?, 0), ?)`,
			source.IP.String(), source.Name, origin, account, micros(source.Created))
		return err
	})
	if err != nil {
		return fmt.Errorf("add source %s: %w", source.IP, err)
	}
	return nil
}

// ChangeSource gives an address to send from, which source's IP and For name,
// another name. It returns it as it was, and fails with store.ErrNotFound if those
// senders haven't got it.
func (s *Store) ChangeSource(ctx context.Context, source store.Source) (before store.Source, err error) {
	origin, account := scope(source.For)
	err = s.changeWays(ctx, func(tx *tx) error {
		before = store.Source{IP: source.IP, For: source.For}
		var id, created int64
		err := tx.scan(`
			SELECT id, name, created
			FROM source
			WHERE ip = ? AND origin = ? AND COALESCE(account, 0) = ?`, []any{source.IP.String(), origin, account},
			&id, &before.Name, &created)
		if err != nil {
			return noRows(err, store.ErrNotFound)
		}
		before.Created = fromMicros(created)
		_, err = tx.exec(`UPDATE source SET name = ? WHERE id = ?`, source.Name, id)
		return err
	})
	if err != nil {
		return store.Source{}, fmt.Errorf("change source %s: %w", source.IP, err)
	}
	return before, nil
}

// RemoveSource takes an address away from some senders, or fails with
// store.ErrNotFound.
func (s *Store) RemoveSource(ctx context.Context, ip netip.Addr, f store.For) error {
	origin, account := scope(f)
	err := s.changeWays(ctx, func(tx *tx) error {
		return affected(tx.exec(`
			DELETE FROM source
			WHERE ip = ? AND origin = ? AND COALESCE(account, 0) = ?`, ip.String(), origin, account))
	})
	if err != nil {
		return fmt.Errorf("remove source %s: %w", ip, err)
	}
	return nil
}

// Sources returns all addresses to send from, in the order in which they were
// added.
func (s *Store) Sources(context.Context) ([]store.Source, error) {
	sources, err := readSources(s)
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	return sources, nil
}

func readSources(q querier) ([]store.Source, error) {
	rows, err := q.query(`
		SELECT s.ip, s.name, s.origin, COALESCE(s.account, 0), COALESCE(a.local, ''), COALESCE(d.name, ''), s.created
		FROM source AS s
		LEFT JOIN account AS a ON a.id = s.account
		LEFT JOIN domain AS d ON d.id = a.domain
		ORDER BY s.id`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(source *store.Source) error {
		var ip, origin, local, domain string
		var account store.AccountID
		var created int64
		if err := rows.Scan(&ip, &source.Name, &origin, &account, &local, &domain, &created); err != nil {
			return err
		}
		source.For, source.Created = scopeOf(origin, account, local, domain), fromMicros(created)
		var err error
		source.IP, err = netip.ParseAddr(ip)
		return err
	})
}
