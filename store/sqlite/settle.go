package sqlite

import (
	"context"
	"fmt"

	"postroom/store"
)

// Settle records the outcomes of finished rounds and the reports that they
// cause, in one commit, and ends the claims. If it fails nothing is recorded, the
// claims stay, and it should be called again: what was sent must not be sent
// twice because the disk was full. A report to an account that has been removed
// meanwhile is dropped.
func (s *Store) Settle(ctx context.Context, settlement store.Settlement) error {
	reports := make([]*pending, 0, len(settlement.Reports))
	abandon := func() {
		for _, p := range reports {
			p.body.abandon()
		}
	}
	weight := int64(512 * len(settlement.Outcomes))
	for _, a := range settlement.Reports {
		p, err := s.prepare(ctx, a)
		if err != nil {
			abandon()
			return fmt.Errorf("settle: %w", err)
		}
		reports = append(reports, p)
		weight += p.weight()
	}
	var unwanted []*pending
	err := s.write(ctx, weight, func(tx *tx) error {
		unwanted = nil // it may be a second attempt
		for _, o := range settlement.Outcomes {
			if err := s.settle(tx, o); err != nil {
				return err
			}
		}
		for _, p := range reports {
			kept, err := p.applyReport(tx)
			if err != nil {
				return err
			}
			if !kept {
				unwanted = append(unwanted, p)
			}
		}
		return nil
	})
	if err != nil {
		abandon()
		return fmt.Errorf("settle: %w", err)
	}
	for _, p := range unwanted {
		p.body.abandon()
	}
	s.claims.end(settlement.Outcomes)
	s.reapSoon()
	s.wakeQueue()
	return nil
}

// applyReport accepts a report, as far as it still can be. One that is there
// already, because a commit took place after all although it failed, and one
// whose only reader has been removed meanwhile, are not kept; to fail for them
// would hold up everything that is to be settled, forever.
func (p *pending) applyReport(tx *tx) (kept bool, err error) {
	var there bool
	err = tx.scan(`SELECT EXISTS (SELECT 1 FROM trail WHERE id = ?)`, []any{p.a.ID}, &there)
	if err != nil || there {
		return false, err
	}
	var local []store.LocalDelivery
	for _, d := range p.a.Local {
		err := tx.scan(`SELECT EXISTS (SELECT 1 FROM account WHERE id = ?)`, []any{d.Account}, &there)
		if err != nil {
			return false, fmt.Errorf("look up reader of a report: %w", err)
		}
		if there {
			local = append(local, d)
		}
	}
	if len(local)+len(p.a.Outbound) == 0 {
		return false, nil
	}
	if len(local) < len(p.a.Local) {
		p.a.Local = local
		if p.events, err = encodeEvents(acceptanceEvents(p.a)); err != nil {
			return false, err
		}
	}
	return true, p.apply(tx)
}

// settle records one outcome. An item that is gone, because the admin cancelled
// it, keeps its events all the same.
func (s *Store) settle(tx *tx, o store.Outcome) error {
	if o.Result == store.Interrupted {
		return nil
	}
	if err := addEvents(tx, o.Message, o.Events); err != nil {
		return err
	}
	switch o.Result {
	case store.Sent:
		return s.finish(tx, o, "sent")
	case store.Failed:
		return s.finish(tx, o, "bounced")
	case store.Deferred:
		return s.postpone(tx, o)
	}
	return fmt.Errorf("outcome of queue item %d has no result", o.Item)
}

func (s *Store) finish(tx *tx, o store.Outcome, tally string) error {
	if _, err := tx.exec(`DELETE FROM queue WHERE id = ?`, o.Item); err != nil {
		return fmt.Errorf("remove queue item: %w", err)
	}
	if err := listForReaping(tx, o.Message); err != nil {
		return err
	}
	return s.addTally(tx, tally, 1)
}

func (s *Store) postpone(tx *tx, o store.Outcome) error {
	_, err := tx.exec(`
		UPDATE queue
		SET due = IIF(cancel, due, ?), attempts = attempts + 1, last_reply = ?, delayed = delayed OR ?
		WHERE id = ?`, micros(o.Retry), o.Reply, o.Delayed, o.Item)
	if err != nil {
		return fmt.Errorf("postpone queue item: %w", err)
	}
	return s.addTally(tx, "deferred", 1)
}

// listForReaping has the reaper look whether the message has lost its last
// reference.
func listForReaping(tx *tx, id store.MessageID) error {
	if _, err := tx.exec(`INSERT OR IGNORE INTO reap (message) VALUES (?)`, id); err != nil {
		return fmt.Errorf("list for reaping: %w", err)
	}
	return nil
}

// A queueChange is what the admin does to items.
type queueChange struct {
	kind      store.Kind // of the event
	where     string     // of "queue q": which items it would change
	statement string     // with the time as ?1, up to the list of ids
}

// RetryQueue makes items due now and returns how many. What is held stays held.
func (s *Store) RetryQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	return s.changeQueue(ctx, f, queueChange{store.Hastened, `1`, `UPDATE queue SET due = ?1 WHERE id IN `})
}

// HoldQueue keeps items from being sent until they are released.
func (s *Store) HoldQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	return s.changeQueue(ctx, f, queueChange{store.Held, `NOT q.hold & 1`, `UPDATE queue SET hold = hold | 1 WHERE ?1 AND id IN `})
}

// ReleaseQueue ends what HoldQueue and a restore did. An item whose submitter is
// disabled stays held for that reason.
func (s *Store) ReleaseQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	return s.changeQueue(ctx, f, queueChange{store.Released, `q.hold & 5`, `UPDATE queue SET hold = hold & ~5, due = ?1 WHERE id IN `})
}

// ReturnQueue has items returned to their senders: they become due, held or not,
// and the next claim shows them with Cancel set.
func (s *Store) ReturnQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	return s.changeQueue(ctx, f, queueChange{store.Cancelled, `1`, `UPDATE queue SET cancel = 1, hold = 0, due = ?1 WHERE id IN `})
}

// CancelQueue drops items; nobody is told.
func (s *Store) CancelQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	n, err := s.changeQueue(ctx, f, queueChange{store.Cancelled, `1`, `DELETE FROM queue WHERE ?1 AND id IN `})
	s.reapSoon()
	return n, err
}

// changeQueue changes the items that a filter selects, and writes an event for
// each of them. Whoever has claimed an item asks Withdrawn before sending it.
func (s *Store) changeQueue(ctx context.Context, f store.QueueFilter, c queueChange) (int64, error) {
	// Claim waits until the change is durable: an item must not be claimed from
	// a view of the queue in which it isn't cancelled yet.
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	var n int64
	err := s.write(ctx, 0, func(tx *tx) (err error) {
		n, err = selectAndChange(tx, f, c, micros(s.now()))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("change queue: %w", err)
	}
	s.wakeQueue()
	return n, nil
}
