package sqlite

import (
	"context"
	"errors"
	"fmt"

	"postroom/store"
)

// PauseDomain keeps everything for a recipient domain here until it is resumed;
// what is to be returned to its sender goes on. It fails with store.ErrConflict if
// the domain is paused.
func (s *Store) PauseDomain(ctx context.Context, domain string) error {
	// Claims wait until the change is durable: nothing must be claimed from an
	// older view.
	defer s.claims.lockToWithdraw()()
	err := s.write(ctx, 0, func(tx *tx) error {
		paused, err := tx.exists(`SELECT 1 FROM pause WHERE domain = ?`, domain)
		if err != nil || paused {
			return errors.Join(err, conflictIf(paused))
		}
		_, err = tx.exec(`INSERT INTO pause (domain, since) VALUES (?, ?)`, domain, micros(s.now()))
		return err
	})
	if err != nil {
		return fmt.Errorf("pause %s: %w", domain, err)
	}
	s.announceWays()
	return nil
}

// ResumeDomain ends a pause. It fails with store.ErrNotFound if there is none.
func (s *Store) ResumeDomain(ctx context.Context, domain string) error {
	var lanes []store.LaneDue
	err := s.write(ctx, 0, func(tx *tx) (err error) {
		if err = affected(tx.exec(`DELETE FROM pause WHERE domain = ?`, domain)); err != nil {
			return err
		}
		lanes, err = lanesOf(tx, `domain = ?`, domain)
		return err
	})
	if err != nil {
		return fmt.Errorf("resume %s: %w", domain, err)
	}
	s.announceWays()
	s.announce(lanes)
	return nil
}
