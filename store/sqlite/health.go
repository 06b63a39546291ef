package sqlite

import (
	"context"
	"fmt"

	"postroom/store"
)

// Health returns what is known of each destination, by their keys.
func (s *Store) Health(context.Context) ([]store.Health, error) { return s.health(0) }

// FailingHealth returns what is known of the destinations at which nobody could be
// reached the last time, by their keys.
func (s *Store) FailingHealth(context.Context) ([]store.Health, error) { return s.health(1) }

func (s *Store) health(failures int) ([]store.Health, error) {
	rows, err := s.query(`
		SELECT key, host, failures, last_success, last_failure, next_try, reply
		FROM destination
		WHERE failures >= ?
		ORDER BY key`, failures)
	if err != nil {
		return nil, fmt.Errorf("list destinations: %w", err)
	}
	return collect(rows, func(h *store.Health) error {
		var success, failure, next int64
		err := rows.Scan(&h.Destination, &h.Host, &h.Failures, &success, &failure, &next, &h.Reply)
		h.LastSuccess, h.LastFailure, h.NextTry = fromMicros(success), fromMicros(failure), fromMicros(next)
		return err
	})
}

// keepHealth replaces what is known of a destination.
func keepHealth(tx *tx, h store.Health) error {
	_, err := tx.exec(`
		INSERT OR REPLACE INTO destination (key, host, failures, last_success, last_failure, next_try, reply)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		h.Destination, h.Host, h.Failures, micros(h.LastSuccess), micros(h.LastFailure), micros(h.NextTry), h.Reply)
	if err != nil {
		return fmt.Errorf("keep health of a destination: %w", err)
	}
	return nil
}
