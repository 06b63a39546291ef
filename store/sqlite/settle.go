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
	onPaper := s.claims.onPaper(settlement.Outcomes)
	var unwanted []*pending
	var lanes []store.LaneDue
	err := s.write(ctx, weight, func(tx *tx) error {
		unwanted, lanes = nil, nil // it may be a second attempt
		for _, o := range settlement.Outcomes {
			waiting, err := s.settle(tx, o, onPaper[o.Item])
			if err != nil {
				return err
			}
			lanes = append(lanes, waiting...)
		}
		for _, h := range settlement.Health {
			if err := keepHealth(tx, h); err != nil {
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
	s.announce(lanes) // now that it can be claimed
	s.reapSoon()
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

// settle records one outcome, and returns the lane in which the item waits now, if
// it does. An item that is gone, because the admin cancelled it, keeps its events
// all the same.
func (s *Store) settle(tx *tx, o store.Outcome, onPaper bool) ([]store.LaneDue, error) {
	if o.Result == store.Interrupted {
		return lanesOf(tx, `id = ?`, o.Item)
	}
	if err := addEvents(tx, o.Message, o.Events); err != nil {
		return nil, err
	}
	switch o.Result {
	case store.Sent:
		return nil, s.finish(tx, o, "sent")
	case store.Failed:
		return nil, s.finish(tx, o, "bounced")
	case store.Told:
		return nil, removeItem(tx, o)
	case store.Deferred:
		return s.postpone(tx, o, onPaper)
	}
	return nil, fmt.Errorf("outcome of queue item %d has no result", o.Item)
}

func (s *Store) finish(tx *tx, o store.Outcome, tally string) error {
	if err := removeItem(tx, o); err != nil {
		return err
	}
	return s.addTally(tx, tally, 1)
}

func removeItem(tx *tx, o store.Outcome) error {
	if _, err := tx.exec(`DELETE FROM queue WHERE id = ?`, o.Item); err != nil {
		return fmt.Errorf("remove queue item: %w", err)
	}
	return listForReaping(tx, o.Message)
}

// postpone has an item wait for its next round. What was cancelled while a server
// was asked doesn't wait; what was to be returned and couldn't be, does.
func (s *Store) postpone(tx *tx, o store.Outcome, onPaper bool) ([]store.LaneDue, error) {
	_, err := tx.exec(`
		UPDATE queue
		SET due = IIF(cancel AND NOT ?, due, ?), attempts = attempts + 1, class = MAX(class, 1),
			last_reply = ?, delayed = delayed OR ?
		WHERE id = ?`, onPaper, micros(o.Retry), o.Reply, o.Delayed, o.Item)
	if err != nil {
		return nil, fmt.Errorf("postpone queue item: %w", err)
	}
	if err := s.addTally(tx, "deferred", 1); err != nil {
		return nil, err
	}
	return lanesOf(tx, `id = ?`, o.Item)
}

// listForReaping has the reaper look whether the message has lost its last
// reference.
func listForReaping(tx *tx, id store.MessageID) error {
	if _, err := tx.exec(`INSERT OR IGNORE INTO reap (message) VALUES (?)`, id); err != nil {
		return fmt.Errorf("list for reaping: %w", err)
	}
	return nil
}
