package sqlite

import (
	"context"
	"fmt"

	"postroom/store"
)

// Raise notes a concern, or that it is still there: then its Since stays. Its own
// times are set by the store.
func (s *Store) Raise(ctx context.Context, c store.Concern) error {
	now := micros(s.now())
	err := s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`
			INSERT INTO concern (key, text, cure, since, seen)
			VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE
			SET text = excluded.text, cure = excluded.cure, seen = excluded.seen`,
			c.Key, c.Text, c.Cure, now, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("raise the concern %q: %w", c.Key, err)
	}
	return nil
}

// Clear forgets a concern, if it is there.
func (s *Store) Clear(ctx context.Context, key string) error {
	var there bool
	err := s.queryRow(`SELECT EXISTS (SELECT 1 FROM concern WHERE key = ?)`, key).Scan(&there)
	if err == nil && there { // the usual case is that it isn't: no change for the writer
		err = s.write(ctx, 0, func(tx *tx) error {
			_, err := tx.exec(`DELETE FROM concern WHERE key = ?`, key)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("clear the concern %q: %w", key, err)
	}
	return nil
}

// Concerns returns all concerns, the newest first.
func (s *Store) Concerns(context.Context) ([]store.Concern, error) {
	rows, err := s.query(`
		SELECT key, text, cure, since, seen
		FROM concern
		ORDER BY since DESC, key`)
	if err != nil {
		return nil, fmt.Errorf("list concerns: %w", err)
	}
	list, err := collect(rows, func(c *store.Concern) error {
		var since, seen int64
		err := rows.Scan(&c.Key, &c.Text, &c.Cure, &since, &seen)
		c.Since, c.Seen = fromMicros(since), fromMicros(seen)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list concerns: %w", err)
	}
	return list, nil
}
