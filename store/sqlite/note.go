package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"postroom/store"
)

// maxNotes bounds what waits to be noted. Beyond it notes are dropped and
// counted: a flood of refusals must not become a flood of writes.
const maxNotes = 10_000

// notes is what the trace is told without anybody waiting for it: refused mail,
// and what was collected. It is written in batches, and may be lost in a crash.
type notes struct {
	mu      sync.Mutex
	waiting []note
	dropped int64
	soon    chan struct{} // capacity 1: there is something to write

	// write writes a batch. One batch is written at a time.
	write   func([]note) error
	writing sync.Mutex
}

// A note is a change that is too small to be waited for.
type note func(*tx) error

func (n *notes) add(x note) {
	n.mu.Lock()
	if len(n.waiting) < maxNotes {
		n.waiting = append(n.waiting, x)
	} else {
		n.dropped++
	}
	n.mu.Unlock()
	select {
	case n.soon <- struct{}{}:
	default:
	}
}

// flush writes what is waiting.
func (n *notes) flush() (dropped int64, err error) {
	n.writing.Lock()
	defer n.writing.Unlock()
	n.mu.Lock()
	batch := n.waiting
	dropped, n.waiting, n.dropped = n.dropped, nil, 0
	n.mu.Unlock()
	if len(batch) == 0 {
		return dropped, nil
	}
	return dropped, n.write(batch)
}

// writeNotes writes a batch of notes, some at a time.
func (s *Store) writeNotes(batch []note) error {
	const atOnce = 500
	for len(batch) > 0 {
		part := batch[:min(atOnce, len(batch))]
		batch = batch[len(part):]
		err := s.write(context.Background(), int64(256*len(part)), func(tx *tx) error {
			for _, write := range part {
				if err := write(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("write notes: %w", err)
		}
	}
	return nil
}

// Collected notes that a client has collected a message. It never waits, and
// what it notes may be lost in a crash.
func (s *Store) Collected(c store.Collection) {
	rows, err := encodeEvents([]store.Event{{Time: c.At, Kind: store.Collected, Client: c.Client, Protocol: c.Protocol}})
	if err != nil {
		s.log.Error("note lost", "message", c.Message, "err", err)
		return
	}
	s.notes.add(func(tx *tx) error { return insertCollected(tx, c, rows[0]) })
}

func insertCollected(tx *tx, c store.Collection, r eventRow) error {
	_, err := tx.exec(`
		INSERT INTO event (trail, seq, at, kind, recipient, detail)
		SELECT ?1, (SELECT COALESCE(MAX(seq) + 1, 0) FROM event WHERE trail = ?1), ?2, ?3, a.local || '@' || d.name,
			json_set(?4, '$.account', a.local || '@' || d.name)
		FROM account a JOIN domain d ON d.id = a.domain
		WHERE a.id = ?5`,
		c.Message, r.at, string(r.kind), orEmptyObject(r.detail), c.Account)
	if err != nil {
		return fmt.Errorf("note collection: %w", err)
	}
	return nil
}

// Refused notes a message, or an attempt at one, that was not taken. It never
// waits, and what it notes may be lost in a crash.
func (s *Store) Refused(r store.Refusal) {
	rows, err := encodeEvents(r.Events)
	if err == nil && len(rows) == 0 {
		return
	}
	recipients, errTo := json.Marshal(append([]string{}, r.To...))
	if err != nil || errTo != nil {
		s.log.Error("note lost", "message", r.ID, "err", err)
		return
	}
	s.notes.add(func(tx *tx) error {
		if err := insertTrail(tx, r.ID, rows[0].at, r.HeaderID, r.From, string(recipients), true); err != nil {
			return err
		}
		if err := s.addTally(tx, "rejected", int64(max(1, len(r.To)))); err != nil {
			return err
		}
		return insertEvents(tx, r.ID, 0, rows)
	})
}
