package sqlite

import (
	"context"
	"fmt"
	"time"

	"postroom/store"
)

// addTally counts n more of a kind in the current hour. The kinds are received,
// delivered, sent, bounced, rejected and deferred.
func (s *Store) addTally(tx *tx, kind string, n int64) error {
	_, err := tx.exec(`
		INSERT INTO tally (hour, kind, n)
		VALUES (?, ?, ?)
		ON CONFLICT (hour, kind) DO UPDATE SET n = n + excluded.n`,
		hourOf(s.now()), kind, n)
	if err != nil {
		return fmt.Errorf("tally %s: %w", kind, err)
	}
	return nil
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

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
			(SELECT COUNT(*) FROM queue WHERE hold <> 0 AND report = 0)
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
	rows, err := s.reader().QueryContext(ctx, `
		SELECT kind, SUM(n)
		FROM tally
		WHERE hour >= ?
		GROUP BY kind`,
		hourOf(midnight(s.now())))
	if err != nil {
		return err
	}
	defer rows.Close()
	into := map[string]*int64{
		"received": &c.Received, "delivered": &c.Delivered,
		"sent": &c.Sent, "bounced": &c.Bounced, "rejected": &c.Rejected,
	}
	for rows.Next() {
		var kind string
		var n int64
		if err := rows.Scan(&kind, &n); err != nil {
			return err
		}
		if field := into[kind]; field != nil {
			*field = n
		}
	}
	return rows.Err()
}
