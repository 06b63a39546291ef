package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// expireAtOnce bounds how many trails one change removes.
const expireAtOnce = 250

// expire removes what is too old at a time.
func (s *Store) expire(ctx context.Context, now time.Time) error {
	return errors.Join(s.expireTrails(ctx, now), s.expireDestinations(ctx, now), s.expireAccess(ctx, now), s.expireSending(ctx, now),
		s.expireJournal(ctx, now), s.addUpHours(ctx, now))
}

// expireDestinations forgets what is known of destinations that nothing was heard
// of for as long as the trace of accepted mail is kept.
func (s *Store) expireDestinations(ctx context.Context, now time.Time) error {
	if s.opts.KeepTrace == 0 {
		return nil
	}
	before := micros(now.Add(-s.opts.KeepTrace))
	const old = ` FROM destination WHERE MAX(last_success, last_failure) < ?`
	var n int64
	err := s.queryRow(`SELECT COUNT(*)`+old, before).Scan(&n)
	if err == nil && n > 0 {
		err = s.write(ctx, 0, func(tx *tx) error {
			_, err := tx.exec(`DELETE`+old, before)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("remove old destinations: %w", err)
	}
	return nil
}

// expireTrails removes trails that are older than the options say, and refusals
// beyond their number. What is still in a maildrop or in the queue keeps its
// trail.
func (s *Store) expireTrails(ctx context.Context, now time.Time) error {
	for _, class := range []struct {
		keep    time.Duration
		refused bool
	}{{s.opts.KeepTrace, false}, {s.opts.KeepRefused, true}} {
		if class.keep == 0 {
			continue
		}
		before := now.Add(-class.keep).UnixMilli() << 20
		if err := s.removeTrails(ctx, class.refused, before); err != nil {
			return err
		}
	}
	if s.opts.MostRefusals == 0 {
		return nil
	}
	before, err := s.refusalsBound()
	if err != nil {
		return err
	}
	return s.removeTrails(ctx, true, before)
}

// refusalsBound returns the id below which refusals are too many.
func (s *Store) refusalsBound() (before int64, err error) {
	err = s.queryRow(`
		SELECT COALESCE((SELECT id FROM trail WHERE refused = 1 ORDER BY id DESC LIMIT 1 OFFSET ?), 0)`,
		s.opts.MostRefusals-1).Scan(&before)
	if err != nil {
		return 0, fmt.Errorf("count refusals: %w", err)
	}
	return before, nil
}

// removeTrails removes the trails of a class whose ids are below a bound, a few
// at a time. Trails that aren't indexed yet are left for the next time, so that
// the indexer never writes keys for a trail that is gone.
func (s *Store) removeTrails(ctx context.Context, refused bool, before int64) error {
	for ctx.Err() == nil {
		old, err := s.trailHeads(ctx, `
			SELECT id, 0 AS first FROM trail t
			WHERE refused = ? AND id < ?
				AND NOT EXISTS (SELECT 1 FROM message WHERE id = t.id)
				AND NOT EXISTS (SELECT 1 FROM trail_new WHERE trail = t.id)
			ORDER BY id
			LIMIT ?`, refused, before, expireAtOnce)
		if err != nil || len(old) == 0 {
			return err
		}
		if err := s.dropTrails(ctx, old); err != nil {
			return fmt.Errorf("remove trails: %w", err)
		}
	}
	return ctx.Err()
}

// dropTrails removes trails with their events and their keys.
func (s *Store) dropTrails(ctx context.Context, old []trailHead) error {
	return s.write(ctx, 256*expireAtOnce, func(tx *tx) error {
		for i := range old {
			if err := old[i].drop(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (h *trailHead) drop(tx *tx) error {
	for _, key := range h.keys() {
		if _, err := tx.exec(`DELETE FROM trail_key WHERE key = ? AND trail = ?`, key, h.id); err != nil {
			return err
		}
	}
	if _, err := tx.exec(`DELETE FROM event WHERE trail = ?`, h.id); err != nil {
		return err
	}
	_, err := tx.exec(`DELETE FROM trail WHERE id = ?`, h.id)
	return err
}
