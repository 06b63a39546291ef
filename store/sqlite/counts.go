package sqlite

import (
	"context"
	"fmt"
	"time"

	"postroom/store"
)

// midnight returns the start of t's day in t's own time zone.
func midnight(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, t.Location())
}

// Counts returns the numbers of the first page. Today begins at midnight of the
// server's time zone, to the hour: where the offset from UTC isn't whole hours
// the rest of that hour is counted too. Of the queue it reads indexes alone.
func (s *Store) Counts(ctx context.Context) (store.Counts, error) {
	var c store.Counts
	var oldest int64
	err := s.reader().QueryRowContext(ctx, `
		SELECT
			(SELECT COUNT(*) FROM domain),
			(SELECT COUNT(*) FROM account),
			(SELECT COUNT(*) FROM alias),
			(SELECT COUNT(*) FROM queue) - (SELECT COUNT(*) FROM queue WHERE report <> 0),
			(SELECT COUNT(*) FROM queue WHERE hold <> 0)
				- (SELECT COUNT(*) FROM queue INDEXED BY queue_report WHERE report <> 0 AND hold <> 0)
				+ (SELECT COUNT(*) FROM queue WHERE hold = 0 AND class <> 2 AND domain IN (SELECT domain FROM pause)),
			COALESCE((SELECT created FROM queue WHERE report = 0 ORDER BY id LIMIT 1), 0)`).
		Scan(&c.Domains, &c.Accounts, &c.Aliases, &c.Queued, &c.Held, &oldest)
	if err != nil {
		return store.Counts{}, fmt.Errorf("count: %w", err)
	}
	c.Oldest = fromMicros(oldest)
	if err := s.countToday(ctx, &c); err != nil {
		return store.Counts{}, fmt.Errorf("count today's mail: %w", err)
	}
	return c, nil
}

func (s *Store) countToday(ctx context.Context, c *store.Counts) error {
	now := s.now()
	today, err := s.Traffic(ctx, []time.Time{midnight(now).Truncate(time.Hour), now.Add(time.Second)})
	if err != nil {
		return err
	}
	t := today[0]
	c.Received, c.Delivered, c.Sent, c.Bounced, c.Rejected = t.Received, t.Delivered, t.Sent, t.Bounced, t.Rejected
	return nil
}
