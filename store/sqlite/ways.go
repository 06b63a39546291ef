package sqlite

import (
	"context"
	"fmt"

	"postroom/store"
	"postroom/store/mail"
)

// Ways returns what the admin has said about how mail leaves, all of it as it
// was at one moment.
func (s *Store) Ways(context.Context) (store.Ways, error) {
	var w store.Ways
	err := s.snapshot(func(n names) (err error) {
		w, err = readWays(n)
		return err
	})
	if err != nil {
		return store.Ways{}, fmt.Errorf("read ways: %w", err)
	}
	return w, nil
}

func readWays(q querier) (w store.Ways, err error) {
	if w.Routes, err = readRoutes(q); err != nil {
		return w, err
	}
	if w.Sources, err = readSources(q); err != nil {
		return w, err
	}
	if w.Paused, err = readPauses(q); err != nil {
		return w, err
	}
	w.Backup, err = readBackupDomains(q)
	return w, err
}

func readPauses(q querier) ([]store.Pause, error) {
	rows, err := q.query(`SELECT domain, since FROM pause ORDER BY domain`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(p *store.Pause) error {
		var since int64
		err := rows.Scan(&p.Domain, &since)
		p.Since = fromMicros(since)
		return err
	})
}

func readBackupDomains(q querier) ([]string, error) {
	rows, err := q.query(`SELECT name FROM domain WHERE backup = 1 ORDER BY name`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(name *string) error { return rows.Scan(name) })
}

// changeWays runs a change after which Ways gives something else.
func (s *Store) changeWays(ctx context.Context, apply func(*tx) error) error {
	return s.write(ctx, 0, func(tx *tx) error {
		tx.afterCommit(s.announceWays)
		return apply(tx)
	})
}

// scope returns how the columns origin and account keep whose mail is meant.
func scope(f store.For) (origin string, account store.AccountID) {
	if f.Account != 0 {
		return "", f.Account
	}
	return f.Domain, 0
}

// scopeOf is the inverse of scope. The address is that of the account.
func scopeOf(origin string, account store.AccountID, local, domain string) store.For {
	if account == 0 {
		return store.For{Domain: origin}
	}
	return store.For{Account: account, Address: mail.Address{Local: local, Domain: domain}.String()}
}

// mustBeHere fails with store.ErrNotFound if an account is named that isn't here.
func (t *tx) mustBeHere(account store.AccountID) error {
	if account == 0 {
		return nil
	}
	here, err := t.exists(`SELECT 1 FROM account WHERE id = ?`, account)
	if err == nil && !here {
		return store.ErrNotFound
	}
	return err
}
