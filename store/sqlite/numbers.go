package sqlite

import (
	"context"
	"fmt"
	"sync/atomic"

	"postroom/store"
)

// tallies are what addTally has counted since the store was opened.
type tallies struct{ received, delivered, sent, deferred, bounced, rejected atomic.Int64 }

// of returns the count of a kind, nil if there is none.
func (t *tallies) of(kind string) *atomic.Int64 {
	switch kind {
	case "received":
		return &t.received
	case "delivered":
		return &t.delivered
	case "sent":
		return &t.sent
	case "deferred":
		return &t.deferred
	case "bounced":
		return &t.bounced
	case "rejected":
		return &t.rejected
	}
	return nil
}

// Numbers returns what is counted in memory, and what the system says of the disk.
func (s *Store) Numbers(ctx context.Context) (store.Numbers, error) {
	n := store.Numbers{Since: store.Traffic{
		Received: s.tallied.received.Load(), Delivered: s.tallied.delivered.Load(), Sent: s.tallied.sent.Load(),
		Deferred: s.tallied.deferred.Load(), Bounced: s.tallied.bounced.Load(), Rejected: s.tallied.rejected.Load(),
	}}
	var err error
	if n.Disk, err = s.space(); err != nil {
		return n, fmt.Errorf("measure disk: %w", err)
	}
	n.Sending = s.claims.count()
	err = s.reader().QueryRowContext(ctx, `SELECT COUNT(*) FROM destination WHERE failures > 0`).Scan(&n.Failing)
	if err != nil {
		return n, fmt.Errorf("count failing destinations: %w", err)
	}
	return n, nil
}
