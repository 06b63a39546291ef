package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"postroom/store"
)

// CountQueue returns how many queue items a filter selects: at most its Limit,
// unless that is zero.
func (s *Store) CountQueue(ctx context.Context, f store.QueueFilter) (n int64, err error) {
	where, args := queueWhere(f)
	if f.Limit == 0 {
		f.Limit = -1
	}
	err = s.reader().QueryRowContext(ctx, `
		SELECT COUNT(*)
		FROM (SELECT 1 FROM queue q WHERE `+where+` LIMIT ?)`, append(args, f.Limit)...).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count queue: %w", err)
	}
	return n, nil
}

// QueuedByDomain returns how much waits for each recipient domain, by their names.
// All of a paused domain counts as held. It reads indexes alone.
func (s *Store) QueuedByDomain(context.Context) ([]store.DestinationQueue, error) {
	rows, err := s.query(`
		SELECT d.domain, d.waiting, d.held, queue.created
		FROM (` + queuedByDomain + `) AS d
		JOIN queue ON queue.id = d.first
		ORDER BY d.domain`)
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

// queuedByDomain counts what waits for each recipient domain, and says which of it
// came first.
const queuedByDomain = `
	SELECT domain, SUM(waiting) AS waiting, SUM(held) AS held, MIN(first) AS first
	FROM (` + queuedParts + `)
	GROUP BY domain
	HAVING SUM(waiting) + SUM(held) > 0`

// queuedParts are what queuedByDomain adds up.
const queuedParts = `
	SELECT domain, COUNT(*) AS waiting, 0 AS held, MIN(id) AS first
	FROM queue INDEXED BY queue_lane
	WHERE hold = 0
	GROUP BY domain
	UNION ALL
	SELECT domain, -COUNT(*), 0, NULL
	FROM queue INDEXED BY queue_report
	WHERE report <> 0
	GROUP BY domain
	UNION ALL
	SELECT domain, 0, COUNT(*), MIN(id)
	FROM queue INDEXED BY queue_held
	WHERE hold <> 0
	GROUP BY domain`

// QueuedByLane returns how much of each lane waits to be sent, in no particular
// order: of all recipient domains, or of some. What needs no server is not among it;
// paused domains are. It reads an index alone.
func (s *Store) QueuedByLane(_ context.Context, domains ...string) ([]store.LaneQueue, error) {
	where, args := `hold = 0 AND class <> ?`, []any{store.Paperwork}
	if len(domains) > 0 {
		names, err := json.Marshal(domains)
		if err != nil {
			return nil, fmt.Errorf("count queue by lane: %w", err)
		}
		where, args = where+` AND domain IN (SELECT value FROM json_each(?))`, append(args, string(names))
	}
	rows, err := s.query(`
		SELECT `+laneColumns+`, COUNT(*)
		FROM queue INDEXED BY queue_lane
		WHERE `+where+`
		GROUP BY `+laneColumns, args...)
	if err != nil {
		return nil, fmt.Errorf("count queue by lane: %w", err)
	}
	list, err := collect(rows, func(l *store.LaneQueue) error {
		return rows.Scan(&l.Domain, &l.Account, &l.Origin, &l.Class, &l.Waiting)
	})
	if err != nil {
		return nil, fmt.Errorf("count queue by lane: %w", err)
	}
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	for i := range list {
		l := &list[i]
		if claimed := s.claims.lanes[l.Lane]; claimed != nil {
			l.Sending = min(l.Waiting, int64(claimed.n))
			l.Waiting -= l.Sending
		}
	}
	return list, nil
}

// countClaims says how many of what waits is being sent, and what is paused.
func (s *Store) countClaims(list []store.DestinationQueue) error {
	paused, err := s.pausedDomains()
	if err != nil {
		return err
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
