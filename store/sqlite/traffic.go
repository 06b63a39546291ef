package sqlite

import (
	"context"
	"fmt"
	"sort"
	"time"

	"postroom/store"
)

// keepMinutes is for how long mail is counted by the minute, in hours; then it is by
// the hour.
const keepMinutes = 2

// addTally counts n more of a kind in the current minute. The kinds are received,
// delivered, sent, bounced, rejected and deferred.
func (s *Store) addTally(tx *tx, kind string, n int64) error {
	_, err := tx.exec(`
		INSERT INTO tally_minute (minute, kind, n)
		VALUES (?, ?, ?)
		ON CONFLICT (minute, kind) DO UPDATE SET n = n + excluded.n`,
		s.now().Unix()/60, kind, n)
	if err != nil {
		return fmt.Errorf("tally %s: %w", kind, err)
	}
	if since := s.tallied.of(kind); since != nil {
		tx.afterCommit(func() { since.Add(n) })
	}
	return nil
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// addUpHours moves what was counted by the minute to the hours, as soon as these are
// over for long enough.
func (s *Store) addUpHours(ctx context.Context, now time.Time) error {
	before := (hourOf(now) - keepMinutes) * 60
	var some bool
	err := s.queryRow(`SELECT EXISTS (SELECT 1 FROM tally_minute WHERE minute < ?)`, before).Scan(&some)
	if err == nil && some {
		err = s.write(ctx, 0, func(tx *tx) error {
			_, err := tx.exec(`
				INSERT INTO tally (hour, kind, n)
				SELECT minute / 60, kind, SUM(n)
				FROM tally_minute
				WHERE minute < ?
				GROUP BY 1, 2
				ON CONFLICT (hour, kind) DO UPDATE SET n = n + excluded.n`, before)
			if err != nil {
				return err
			}
			_, err = tx.exec(`DELETE FROM tally_minute WHERE minute < ?`, before)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("add up the mail of past hours: %w", err)
	}
	return nil
}

// tallied is what is counted between two times, in seconds. What has moved to an hour
// counts at the hour's beginning.
const tallied = `
	SELECT minute * 60 AS at, kind, n FROM tally_minute WHERE minute >= (?1 + 59) / 60 AND minute < (?2 + 59) / 60
	UNION ALL
	SELECT hour * 3600, kind, n FROM tally WHERE hour >= (?1 + 3599) / 3600 AND hour < (?2 + 3599) / 3600`

// Traffic returns how much mail there was between each two of some times, which are
// in order. The last two hours are known by the minute, and what was before by the
// hour: time zones whose offset isn't whole hours see an hour's mail at its beginning.
func (s *Store) Traffic(ctx context.Context, bounds []time.Time) ([]store.Traffic, error) {
	if len(bounds) < 2 {
		return nil, nil
	}
	spans := make([]store.Traffic, len(bounds)-1)
	for i := range spans {
		spans[i].From, spans[i].To = bounds[i], bounds[i+1]
	}
	rows, err := s.reader().QueryContext(ctx, tallied, bounds[0].Unix(), bounds[len(bounds)-1].Unix())
	if err != nil {
		return nil, fmt.Errorf("count mail: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var at, n int64
		var kind string
		if err := rows.Scan(&at, &kind, &n); err != nil {
			return nil, fmt.Errorf("count mail: %w", err)
		}
		i := sort.Search(len(spans), func(i int) bool { return spans[i].To.Unix() > at })
		if field := trafficField(&spans[i], kind); field != nil {
			*field += n
		}
	}
	return spans, rows.Err()
}

func trafficField(t *store.Traffic, kind string) *int64 {
	switch kind {
	case "received":
		return &t.Received
	case "delivered":
		return &t.Delivered
	case "sent":
		return &t.Sent
	case "deferred":
		return &t.Deferred
	case "bounced":
		return &t.Bounced
	case "rejected":
		return &t.Rejected
	}
	return nil
}
