package sqlite

import (
	"encoding/json"
	"fmt"

	"postroom/store"
)

// selectAndChange runs a statement on the selected items, whatever their number,
// in a few steps: their ids are put into a temporary table first.
func selectAndChange(tx *tx, f store.QueueFilter, kind store.Kind, statement string, claimed []int64, now int64) (int64, error) {
	skip, err := json.Marshal(claimed)
	if err != nil {
		return 0, err
	}
	where, args := queueWhere(f)
	steps := []struct {
		query string
		args  []any
	}{
		{`CREATE TEMP TABLE IF NOT EXISTS selected (id INTEGER PRIMARY KEY)`, nil},
		{`DELETE FROM temp.selected`, nil},
		{
			`INSERT INTO temp.selected SELECT q.id FROM queue q
			WHERE ` + where + ` AND q.id NOT IN (SELECT value FROM json_each(?))`,
			append(args, string(skip)),
		},
		{
			`INSERT INTO event (trail, seq, at, kind, recipient, detail)
			SELECT message,
				(SELECT COALESCE(MAX(seq), -1) FROM event WHERE trail = q.message)
					+ row_number() OVER (PARTITION BY message ORDER BY id),
				?, ?, recipient, ''
			FROM queue q
			WHERE id IN (SELECT id FROM temp.selected)`,
			[]any{now, string(kind)},
		},
	}
	if statement == cancelItems {
		steps = append(steps, struct {
			query string
			args  []any
		}{`INSERT OR IGNORE INTO reap (message) SELECT message FROM queue WHERE id IN (SELECT id FROM temp.selected)`, nil})
	}
	for _, step := range steps {
		if _, err := tx.exec(step.query, step.args...); err != nil {
			return 0, fmt.Errorf("select items: %w", err)
		}
	}
	result, err := tx.exec(statement+`(SELECT id FROM temp.selected)`, now)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
