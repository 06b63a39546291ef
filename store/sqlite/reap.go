package sqlite

import (
	"context"
	"fmt"
	"sync"

	"postroom/store"
)

// reapAtOnce bounds how many messages one change looks at, and reapBytes how
// much of their bodies it removes: the writer has other work.
const (
	reapAtOnce = 200
	reapBytes  = 8 << 20
)

// staged are the bodies that were given up before they were committed. The
// bodies that are still on their way stand in the same table and must be left
// alone; after a restart there are none of those.
type staged struct {
	mu        sync.Mutex
	abandoned []int64 // their first chunks
}

func (g *staged) abandon(first ...int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.abandoned = append(g.abandoned, first...)
}

func (g *staged) take() []int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := g.abandoned
	g.abandoned = nil
	return list
}

// reapSoon wakes the reaper.
func (s *Store) reapSoon() {
	select {
	case s.reapWanted <- struct{}{}:
	default:
	}
}

// reap removes messages that nobody refers to any more, and bodies that were
// given up, until there are none.
func (s *Store) reap(ctx context.Context) error {
	given := s.staged.take()
	for i, first := range given {
		if err := s.write(ctx, 0, func(tx *tx) error { return removeStaged(tx, first) }); err != nil {
			s.staged.abandon(given[i:]...)
			return err
		}
	}
	for ctx.Err() == nil {
		var more bool
		err := s.write(ctx, reapBytes/8, func(tx *tx) (err error) {
			more, err = s.reapSome(tx)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
	return ctx.Err()
}

// removeStaged removes the chunks of a body that no message refers to.
func removeStaged(tx *tx, first int64) error {
	_, err := tx.exec(`
		DELETE FROM chunk
		WHERE id >= ?1 AND id < ?1 + (SELECT chunks FROM staging WHERE first_chunk = ?1)`, first)
	if err == nil {
		_, err = tx.exec(`DELETE FROM staging WHERE first_chunk = ?`, first)
	}
	if err != nil {
		return fmt.Errorf("remove staged body: %w", err)
	}
	return nil
}

// removeAllStaged removes what a crash has left of bodies that were never
// committed.
func removeAllStaged(tx *tx) error {
	_, err := tx.exec(`
		DELETE FROM chunk
		WHERE id IN (
			SELECT c.id FROM staging s JOIN chunk c ON c.id >= s.first_chunk AND c.id < s.first_chunk + s.chunks)`)
	if err == nil {
		_, err = tx.exec(`DELETE FROM staging`)
	}
	if err != nil {
		return fmt.Errorf("remove staged bodies: %w", err)
	}
	return nil
}

// reapSome looks at some of the messages that lost a reference, and reports
// whether there are more.
func (s *Store) reapSome(tx *tx) (more bool, err error) {
	candidates, err := reapCandidates(tx)
	if err != nil {
		return false, fmt.Errorf("reap: %w", err)
	}
	var bytes int64
	for i, c := range candidates {
		if bytes += c.size; i > 0 && bytes > reapBytes {
			return true, nil
		}
		if err := c.reap(tx); err != nil {
			return false, fmt.Errorf("reap message %v: %w", c.id, err)
		}
		if !c.wanted {
			tx.afterCommit(func() { s.recent.forget(c.id) })
		}
	}
	return len(candidates) == reapAtOnce, nil
}

// A candidate is a message that lost a reference.
type candidate struct {
	id            store.MessageID
	first, chunks int64
	size          int64 // zero if there is nothing to remove
	wanted        bool  // something still refers to it
}

func reapCandidates(tx *tx) ([]candidate, error) {
	rows, err := tx.query(`
		SELECT r.message, COALESCE(m.first_chunk, 0), COALESCE(m.chunks, 0), COALESCE(m.size, 0),
			EXISTS (SELECT 1 FROM entry e WHERE e.message = r.message)
				OR EXISTS (SELECT 1 FROM queue q WHERE q.message = r.message)
		FROM reap r LEFT JOIN message m ON m.id = r.message
		ORDER BY r.message
		LIMIT ?`, reapAtOnce)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []candidate
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.id, &c.first, &c.chunks, &c.size, &c.wanted); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

func (c candidate) reap(tx *tx) error {
	if !c.wanted {
		if _, err := tx.exec(`DELETE FROM message WHERE id = ?`, c.id); err != nil {
			return err
		}
		if _, err := tx.exec(`DELETE FROM chunk WHERE id >= ? AND id < ?`, c.first, c.first+c.chunks); err != nil {
			return err
		}
	}
	_, err := tx.exec(`DELETE FROM reap WHERE message = ?`, c.id)
	return err
}
