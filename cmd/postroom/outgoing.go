package main

import (
	"context"
	"net"

	"postroom/delivery"
	"postroom/store"
)

// dialing returns d with its connections counted.
func (m *monitor) dialing(d delivery.Dialer) delivery.Dialer { return &countedDialer{d, m} }

type countedDialer struct {
	delivery.Dialer
	monitor *monitor
}

// DialContext connects.
func (d *countedDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		d.monitor.dialed.WithLabelValues("failed").Inc()
		return nil, err
	}
	d.monitor.dialed.WithLabelValues("connected").Inc()
	d.monitor.outgoing.Inc()
	return &watchedConn{Conn: c, open: d.monitor.outgoing}, nil
}

// settling returns q with its outcomes counted.
func (m *monitor) settling(q delivery.Queue) delivery.Queue { return &countedQueue{q, m} }

type countedQueue struct {
	delivery.Queue
	monitor *monitor
}

// outcomes are the words for what may come of a delivery.
func outcomes() map[store.Result]string {
	return map[store.Result]string{
		store.Sent: "sent", store.Deferred: "deferred", store.Failed: "bounced", store.Interrupted: "interrupted", store.Told: "reported",
	}
}

// Settle records outcomes.
func (q *countedQueue) Settle(ctx context.Context, s store.Settlement) error {
	if err := q.Queue.Settle(ctx, s); err != nil {
		return err
	}
	words := outcomes()
	for _, o := range s.Outcomes {
		q.monitor.settled.WithLabelValues(words[o.Result]).Inc()
	}
	return nil
}
