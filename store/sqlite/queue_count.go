package sqlite

import (
	"context"
	"fmt"

	"postroom/store"
)

// QueuedByDomain returns how much waits for each recipient domain, by their names.
// All of a paused domain counts as held.
func (s *Store) QueuedByDomain(context.Context) ([]store.DestinationQueue, error) {
	rows, err := s.query(`
		SELECT q.domain, q.waiting, q.held, (SELECT created FROM queue WHERE id = q.first)
		FROM (
			SELECT domain,
				COUNT(*) - COALESCE(h.n, 0) - COALESCE(r.n, 0) AS waiting,
				COALESCE(h.n, 0) AS held,
				MIN(id) AS first
			FROM queue
			LEFT JOIN (SELECT domain, COUNT(*) AS n FROM queue WHERE hold <> 0 AND report = 0 GROUP BY domain) AS h USING (domain)
			LEFT JOIN (SELECT domain, COUNT(*) AS n FROM queue WHERE report <> 0 GROUP BY domain) AS r USING (domain)
			GROUP BY domain) AS q
		WHERE q.waiting + q.held > 0
		ORDER BY q.domain`)
	if err != nil {
		return nil, fmt.Errorf("count queue by domain: %w", err)
	}
	list, err := collect(rows, func(d *store.DestinationQueue) error {
		var oldest int64
		err := rows.Scan(&d.Domain, &d.Waiting, &d.Held, &oldest)
		d.Oldest = fromMicros(oldest)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count queue by domain: %w", err)
	}
	return list, s.countClaims(list)
}

// countClaims says how many of what waits is being sent, and what is paused.
func (s *Store) countClaims(list []store.DestinationQueue) error {
	rows, err := s.query(`SELECT domain FROM pause`)
	if err != nil {
		return fmt.Errorf("list pauses: %w", err)
	}
	names, err := collect(rows, func(name *string) error { return rows.Scan(name) })
	if err != nil {
		return fmt.Errorf("list pauses: %w", err)
	}
	paused := make(map[string]bool)
	for _, name := range names {
		paused[name] = true
	}
	sending := s.claims.byDomain()
	for i := range list {
		d := &list[i]
		if paused[d.Domain] {
			d.Held, d.Waiting = d.Held+d.Waiting, 0
		}
		d.Sending = min(d.Waiting, sending[d.Domain])
		d.Waiting -= d.Sending
	}
	return nil
}

// byDomain counts what is claimed to be sent.
func (c *claims) byDomain() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := make(map[string]int64)
	for _, l := range c.lanes {
		if l.lane.Class != store.Paperwork {
			counts[l.lane.Domain] += int64(l.n)
		}
	}
	return counts
}
