package sqlite

import (
	"context"
	"errors"
	"fmt"

	"postroom/store"
)

// AddRoute adds a route and returns it with its ID. It fails with
// store.ErrConflict if there is one for the same domain and the same senders, and
// with store.ErrNotFound if it is for an account that isn't here. A route for an
// account goes with it.
func (s *Store) AddRoute(ctx context.Context, r store.Route) (store.Route, error) {
	if r.Created.IsZero() {
		r.Created = s.now()
	}
	origin, account := scope(r.For)
	err := s.changeWays(ctx, func(tx *tx) error {
		if err := tx.mustBeHere(account); err != nil {
			return err
		}
		taken, err := tx.exists(`
			SELECT 1
			FROM route
			WHERE domain = ? AND origin = ? AND COALESCE(account, 0) = ?`, r.Domain, origin, account)
		if err != nil || taken {
			return errors.Join(err, conflictIf(taken))
		}
		return insertID(&r.ID, tx, `
			INSERT INTO route (domain, origin, account, host, port, tls, user, password, created)
			VALUES (?, ?, NULLIF(?, 0), ?, ?, ?, ?, ?, ?)`,
			r.Domain, origin, account, r.Host, r.Port, r.TLS, r.User, r.Password, micros(r.Created))
	})
	if err != nil {
		return store.Route{}, fmt.Errorf("add route for %s: %w", r.Domain, err)
	}
	return r, nil
}

// ChangeRoute leads the mail of a route, which r's Domain and For name, to another
// server or in another manner. It returns the route as it was, and fails with
// store.ErrNotFound if there is none.
func (s *Store) ChangeRoute(ctx context.Context, r store.Route) (before store.Route, err error) {
	origin, account := scope(r.For)
	err = s.changeWays(ctx, func(tx *tx) error {
		before = store.Route{Domain: r.Domain, For: r.For}
		var created int64
		err := tx.scan(`
			SELECT id, host, port, tls, user, password, created
			FROM route
			WHERE domain = ? AND origin = ? AND COALESCE(account, 0) = ?`, []any{r.Domain, origin, account},
			&before.ID, &before.Host, &before.Port, &before.TLS, &before.User, &before.Password, &created)
		if err != nil {
			return noRows(err, store.ErrNotFound)
		}
		before.Created = fromMicros(created)
		_, err = tx.exec(`
			UPDATE route
			SET host = ?, port = ?, tls = ?, user = ?, password = ?
			WHERE id = ?`, r.Host, r.Port, r.TLS, r.User, r.Password, before.ID)
		return err
	})
	if err != nil {
		return store.Route{}, fmt.Errorf("change route for %s: %w", r.Domain, err)
	}
	return before, nil
}

// RemoveRoute removes the route for a domain and some senders, or fails with
// store.ErrNotFound.
func (s *Store) RemoveRoute(ctx context.Context, domain string, f store.For) error {
	origin, account := scope(f)
	err := s.changeWays(ctx, func(tx *tx) error {
		return affected(tx.exec(`
			DELETE FROM route
			WHERE domain = ? AND origin = ? AND COALESCE(account, 0) = ?`, domain, origin, account))
	})
	if err != nil {
		return fmt.Errorf("remove route for %s: %w", domain, err)
	}
	return nil
}

// Routes returns all routes by domain; of one domain those for accounts come
// first, then those for senders' domains, then the one for everybody.
func (s *Store) Routes(context.Context) ([]store.Route, error) {
	routes, err := readRoutes(s)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	return routes, nil
}

func readRoutes(q querier) ([]store.Route, error) {
	rows, err := q.query(`
		SELECT r.id, r.domain, r.origin, COALESCE(r.account, 0), COALESCE(a.local, ''), COALESCE(d.name, ''),
			r.host, r.port, r.tls, r.user, r.password, r.created
		FROM route AS r
		LEFT JOIN account AS a ON a.id = r.account
		LEFT JOIN domain AS d ON d.id = a.domain
		ORDER BY r.domain, r.account IS NULL, r.origin = '', d.name, a.local, r.origin`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *store.Route) error {
		var origin, local, domain string
		var account store.AccountID
		var created int64
		err := rows.Scan(&r.ID, &r.Domain, &origin, &account, &local, &domain,
			&r.Host, &r.Port, &r.TLS, &r.User, &r.Password, &created)
		r.For, r.Created = scopeOf(origin, account, local, domain), fromMicros(created)
		return err
	})
}
