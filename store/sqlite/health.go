package sqlite

import (
	"context"
	"fmt"

	"postroom/store"
)

// Health returns what is known of each destination, by their keys.
func (s *Store) Health(context.Context) ([]store.Health, error) {
	return s.healthWhere(`failures >= ?`, 0)
}

// FailingHealth returns what is known of the destinations at which nobody could be
// reached the last time, by their keys.
func (s *Store) FailingHealth(context.Context) ([]store.Health, error) {
	return s.healthWhere(`failures >= ?`, 1)
}

func (s *Store) healthWhere(condition string, arg any) ([]store.Health, error) {
	rows, err := s.query(`
		SELECT key, host, failures, last_success, last_failure, next_try, reply
		FROM destination
		WHERE `+condition+`
		ORDER BY key`, arg)
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

// HealthOf returns what is known of one destination, by its key. It fails with
// store.ErrNotFound if that is nothing.
func (s *Store) HealthOf(_ context.Context, destination string) (store.Health, error) {
	list, err := s.healthWhere(`key = ?`, destination)
	if err == nil && len(list) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Health{}, fmt.Errorf("find destination: %w", err)
	}
	return list[0], nil
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
