package sqlite

import (
	"strings"
	"testing"
)

// plan returns how SQLite runs a query.
func plan(t *testing.T, s *Store, query string, args ...any) string {
	t.Helper()
	rows, err := s.reader().QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := collect(rows, func(step *string) error { return rows.Scan(new(int), new(int), new(int), step) })
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
}

// What is asked of the queue while mail flows reads what it gives, and nothing
// else: no scan of it, no sorting.
func TestQueueIsReadByIndex(t *testing.T) {
	s := openTest(t)
	for _, test := range []struct {
		it, query string
		args      int
		want      string
	}{
		{"lists lanes", lanesQuery, 0, "USING COVERING INDEX queue_lane"},
		{"claims from a lane", laneRows, 8, "USING INDEX queue_lane (domain=? AND account=? AND origin=? AND class=? AND due>?)"},
		{"claims the rest of a message", messageRows, 3, "USING INDEX queue_message (message=?)"},
		{"claims the rest of a message at a domain", messageRows + ` AND q.domain = ?4`, 4, "USING INDEX queue_message (message=? AND domain=?)"},
		{"lists a domain", `SELECT 1 FROM queue q WHERE ` + atDomain, 4, "USING COVERING INDEX queue_lane (domain=?)"},
		{"lists what is held", `SELECT 1 FROM queue q WHERE ` + isHeld, 0, "USING INTEGER PRIMARY KEY"},
	} {
		t.Run(test.it, func(t *testing.T) {
			got := plan(t, s, test.query, make([]any, test.args)...)
			if !strings.Contains(got, test.want) || strings.Contains(got, "TEMP B-TREE") {
				t.Errorf("it is run as\n%s\nwant %s", got, test.want)
			}
		})
	}
}
