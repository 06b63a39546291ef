package sqlite

import (
	"context"
	"errors"
	"fmt"

	"postroom/store"
	"postroom/store/mail"
)

// AddAlias adds an alias. It fails with store.ErrNotFound if the source's domain
// isn't one whose mail ends here, with store.ErrConflict if an account or an alias
// has the source, and with store.ErrLoop if a target leads back to the source.
// Targets need not exist yet.
func (s *Store) AddAlias(ctx context.Context, a store.Alias) error {
	if a.Created.IsZero() {
		a.Created = s.now()
	}
	if len(a.Targets) == 0 {
		return errors.New("add alias: it leads nowhere")
	}
	err := s.changeDirectory(ctx, func(tx *tx) error {
		domain, err := tx.freeAddress(a.Source)
		if err != nil {
			return err
		}
		if err := tx.noLoop(a); err != nil {
			return err
		}
		return tx.insertAlias(domain, a)
	})
	if err != nil {
		return fmt.Errorf("add alias: %w", err)
	}
	return nil
}

// ChangeAlias has an alias lead to other targets and returns it as it was. It fails
// with store.ErrNotFound if there is none, and with store.ErrLoop if a target leads
// back to the source.
func (s *Store) ChangeAlias(ctx context.Context, source mail.Address, targets []mail.Address) (before store.Alias, err error) {
	if len(targets) == 0 {
		return store.Alias{}, errors.New("change alias: it leads nowhere")
	}
	err = s.changeDirectory(ctx, func(tx *tx) error {
		var id, created int64
		err := tx.scan(`
			SELECT a.id, a.created
			FROM alias AS a
			JOIN domain AS d ON d.id = a.domain
			WHERE a.local = ? AND d.name = ?`, []any{localPart(source), source.Domain}, &id, &created)
		if err != nil {
			return noRows(err, store.ErrNotFound)
		}
		before = store.Alias{Source: mail.Address{Local: localPart(source), Domain: source.Domain}, Created: fromMicros(created)}
		if before.Targets, err = (names{querier: tx}).aliasTargets(id); err != nil {
			return err
		}
		if _, err := tx.exec(`DELETE FROM alias_target WHERE alias = ?`, id); err != nil {
			return err
		}
		if err := tx.noLoop(store.Alias{Source: source, Targets: targets}); err != nil {
			return err
		}
		return tx.insertTargets(id, targets)
	})
	if err != nil {
		return store.Alias{}, fmt.Errorf("change alias: %w", err)
	}
	return before, nil
}

func (t *tx) insertAlias(domain store.DomainID, a store.Alias) error {
	var id int64
	err := insertID(&id, t, `
		INSERT INTO alias (domain, local, created)
		VALUES (?, ?, ?)`,
		domain, localPart(a.Source), micros(a.Created))
	if err != nil {
		return err
	}
	return t.insertTargets(id, a.Targets)
}

func (t *tx) insertTargets(id int64, targets []mail.Address) error {
	for i, target := range targets {
		_, err := t.exec(`
			INSERT INTO alias_target (alias, seq, address)
			VALUES (?, ?, ?)`,
			id, i, target.String())
		if err != nil {
			return err
		}
	}
	return nil
}

// noLoop fails with store.ErrLoop if following the explicit aliases from one of
// the targets comes to the source.
func (t *tx) noLoop(a store.Alias) error {
	seen := make(map[string]bool)
	waiting := a.Targets
	for len(waiting) > 0 {
		target := waiting[0]
		waiting = waiting[1:]
		if seen[target.Key()] {
			continue
		}
		seen[target.Key()] = true
		next, err := t.step(target, a.Source)
		if err != nil {
			return err
		}
		waiting = append(waiting[:len(waiting):len(waiting)], next...)
	}
	return nil
}

// step returns where the alias that an address names leads, and fails with
// store.ErrLoop if that alias will be the source's.
func (t *tx) step(a, source mail.Address) ([]mail.Address, error) {
	n := names{querier: t}
	if a.Key() == source.Key() {
		return nil, store.ErrLoop
	}
	d, ours, err := n.domain(a.Domain)
	if err != nil || !ours {
		return nil, err
	}
	h, f, err := n.explicit(d, a)
	if err == nil && h.id == 0 && f.id == 0 && a.Base().Key() == source.Key() {
		return nil, store.ErrLoop
	}
	return f.targets, err
}

// Aliases returns all aliases by domain and local part; a catch-all comes first
// of its domain.
func (s *Store) Aliases(context.Context) ([]store.Alias, error) {
	rows, err := s.query(`
		SELECT a.local, d.name, a.created, t.address
		FROM alias AS a
		JOIN domain AS d ON d.id = a.domain
		JOIN alias_target AS t ON t.alias = a.id
		ORDER BY d.name, a.local, t.seq`)
	if err != nil {
		return nil, fmt.Errorf("list aliases: %w", err)
	}
	defer rows.Close()
	var all []store.Alias
	for rows.Next() {
		var source mail.Address
		var created int64
		var text string
		if err := rows.Scan(&source.Local, &source.Domain, &created, &text); err != nil {
			return nil, fmt.Errorf("list aliases: %w", err)
		}
		target, err := mail.ParseAddress(text)
		if err != nil {
			return nil, fmt.Errorf("target of alias %s: %w", source, err)
		}
		if n := len(all); n == 0 || all[n-1].Source != source {
			all = append(all, store.Alias{Source: source, Created: fromMicros(created)})
		}
		last := &all[len(all)-1]
		last.Targets = append(last.Targets, target)
	}
	return all, rows.Err()
}

// RemoveAlias removes an alias, or fails with store.ErrNotFound.
func (s *Store) RemoveAlias(ctx context.Context, source mail.Address) error {
	err := s.changeDirectory(ctx, func(tx *tx) error {
		return affected(tx.exec(`
			DELETE FROM alias
			WHERE local = ?
				AND domain = (SELECT id FROM domain WHERE name = ?)`,
			localPart(source), source.Domain))
	})
	if err != nil {
		return fmt.Errorf("remove alias: %w", err)
	}
	return nil
}
