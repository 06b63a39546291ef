package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"postroom/store"
)

// ListDestinations returns a part of all destinations that are known, waited for or
// paused: first those at which mail doesn't go on, then those that most waits for,
// then by their keys. The text is looked for in the key, the state ("ok", "failing",
// "paused") and the host. What Leadings say counts as if it were kept.
func (s *Store) ListDestinations(_ context.Context, q store.ListQuery, ways []store.Leading) (store.DestinationPart, error) {
	if ways == nil {
		ways = []store.Leading{}
	}
	leadings, err := json.Marshal(ways)
	if err != nil {
		return store.DestinationPart{}, fmt.Errorf("list destinations: %w", err)
	}
	part, err := s.destinations(q, string(leadings))
	if at := q.At(part.Matching); err == nil && at != q.Offset {
		q.Offset = at
		part, err = s.destinations(q, string(leadings))
	}
	if err == nil {
		err = s.countClaimsOf(part.Rows)
	}
	if err != nil {
		return store.DestinationPart{}, fmt.Errorf("list destinations: %w", err)
	}
	return part, nil
}

// destinations reads the part where it is asked for, even if it is behind the end.
func (s *Store) destinations(q store.ListQuery, leadings string) (store.DestinationPart, error) {
	part := store.DestinationPart{ListPart: store.ListPart[store.DestinationRow]{Offset: q.Offset}}
	limit := int64(-1)
	if q.Limit > 0 {
		limit = q.Limit
	}
	list := listDestinations
	if leadings != noLeadings {
		list = listLedDestinations
	}
	rows, err := s.query(list, leadings, q.Text, limit, q.Offset)
	if err != nil {
		return part, err
	}
	part.Rows, err = collect(rows, func(d *store.DestinationRow) error { return scanDestination(rows, &part, d) })
	if len(part.Rows) == 1 && part.Rows[0].Destination == "" {
		part.Rows = nil // all of it is the counts
	}
	return part, err
}

// noLeadings is an empty list of Leadings as JSON.
const noLeadings = "[]"

// listDestinations counts the queue once for the counts and for the part, because
// that takes longest. The recipient domain in a key is its first word; a relay has
// none. listLedDestinations is the same where mail goes other ways than its domains'
// own, which costs more: what Leadings say is added up with the rest, as a join with
// them would look for each of many destinations in a list without an index.
const (
	listDestinations = countDestinations + `
			UNION ALL SELECT key, 0, 0, NULL, failures, host FROM destination
			UNION ALL SELECT domain, 0, 0, NULL, 0, NULL FROM pause
		)
		GROUP BY key
		HAVING SUM(waiting) + SUM(held) > 0 OR MAX(failures) IS NOT NULL
	),
	judged AS (
		SELECT key, waiting, held, first, 0 AS led, waiting + held AS waits, key AS judge, host, ` + destinationState + `
			WHEN failures > 0 THEN 'failing'
			ELSE 'ok' END AS state
		FROM counted
		WHERE ?1 = '` + noLeadings + `'
	),` + selectDestinations

	listLedDestinations = countLedDestinations + `
			UNION ALL SELECT key, 0, 0, NULL, failures, host, NULL, NULL, NULL FROM destination
			UNION ALL SELECT domain, 0, 0, NULL, 0, NULL, NULL, NULL, NULL FROM pause
			UNION ALL SELECT value ->> 'Destination', 0, 0, NULL, 0, NULL, value ->> 'Waits', value ->> 'Follows', value ->> 'Led' FROM json_each(?1)
		)
		GROUP BY key
		HAVING SUM(waiting) + SUM(held) > 0 OR MAX(failures) IS NOT NULL
	),
	judged AS (
		SELECT key, waiting, held, first, COALESCE(led, 0) AS led,
			waiting + held + COALESCE(led_waits, 0) AS waits,
			COALESCE(NULLIF(follows, ''), key) AS judge,
			IIF(follows <> '', (SELECT d.host FROM destination AS d WHERE d.key = follows), host) AS host, ` + destinationState + `
			WHEN IIF(follows <> '', (SELECT d.failures FROM destination AS d WHERE d.key = follows), failures) > 0 THEN 'failing'
			ELSE 'ok' END AS state
		FROM counted
	),` + selectDestinations

	countDestinations = `
	WITH
	counted AS (
		SELECT key, SUM(waiting) AS waiting, SUM(held) AS held, MIN(first) AS first, MAX(failures) AS failures, MAX(host) AS host
		FROM (
			SELECT domain AS key, waiting, held, first, NULL AS failures, NULL AS host
			FROM (` + queuedParts + `)`

	countLedDestinations = `
	WITH
	counted AS (
		SELECT key, SUM(waiting) AS waiting, SUM(held) AS held, MIN(first) AS first, MAX(failures) AS failures, MAX(host) AS host,
			MAX(led_waits) AS led_waits, MAX(follows) AS follows, MAX(led) AS led
		FROM (
			SELECT domain AS key, waiting, held, first, NULL AS failures, NULL AS host, NULL AS led_waits, NULL AS follows, NULL AS led
			FROM (` + queuedParts + `)`

	destinationState = `
			CASE
			WHEN key IN (SELECT domain FROM pause) THEN 'paused'
			WHEN instr(key, ' ') AND key NOT LIKE 'relay _%' AND substr(key, 1, instr(key, ' ') - 1) IN (SELECT domain FROM pause) THEN 'paused'`

	selectDestinations = `
	listed AS MATERIALIZED (
		SELECT *, ?2 = '' OR instr(lower(key || ' ' || state || ' ' || COALESCE(host, '')), lower(?2)) > 0 AS asked
		FROM judged
	)
	SELECT n.total, n.matching, n.failing, n.paused,
		COALESCE(d.key, ''), COALESCE(p.since, 0), COALESCE(d.waiting, 0), COALESCE(d.held, 0), COALESCE(q.created, 0),
		COALESCE(h.key, ''), COALESCE(h.host, ''), COALESCE(h.failures, 0),
		COALESCE(h.last_success, 0), COALESCE(h.last_failure, 0), COALESCE(h.next_try, 0), COALESCE(h.reply, '')
	FROM (
		SELECT COUNT(*) AS total, COUNT(CASE WHEN asked THEN 1 END) AS matching,
			COUNT(CASE WHEN state = 'failing' AND NOT led THEN 1 END) AS failing, COUNT(CASE WHEN state = 'paused' THEN 1 END) AS paused
		FROM listed
	) AS n
	LEFT JOIN (
		SELECT *
		FROM listed
		WHERE asked
		ORDER BY state = 'ok', waits DESC, key
		LIMIT ?3 OFFSET ?4
	) AS d
	LEFT JOIN destination AS h ON h.key = d.judge
	LEFT JOIN queue AS q ON q.id = d.first
	LEFT JOIN pause AS p ON d.state = 'paused' AND p.domain = substr(d.key, 1, instr(d.key || ' ', ' ') - 1)
	ORDER BY d.state = 'ok', d.waits DESC, d.key`
)

func scanDestination(rows *sql.Rows, part *store.DestinationPart, d *store.DestinationRow) error {
	var since, oldest, success, failure, next int64
	err := rows.Scan(&part.All, &part.Matching, &part.Failing, &part.Paused,
		&d.Destination, &since, &d.Queue.Waiting, &d.Queue.Held, &oldest,
		&d.Health.Destination, &d.Host, &d.Failures, &success, &failure, &next, &d.Reply)
	d.Queue.Domain, d.Queue.Oldest, d.PausedSince = d.Destination, fromMicros(oldest), fromMicros(since)
	d.LastSuccess, d.LastFailure, d.NextTry = fromMicros(success), fromMicros(failure), fromMicros(next)
	return err
}

// countClaimsOf is countClaims for rows of the list.
func (s *Store) countClaimsOf(rows []store.DestinationRow) error {
	queues := make([]store.DestinationQueue, len(rows))
	for i, d := range rows {
		queues[i] = d.Queue
	}
	err := s.countClaims(queues)
	for i, q := range queues {
		rows[i].Queue = q
	}
	return err
}
