package sqlite

import (
	"fmt"

	"postroom/store"
)

// selectAndChange runs a statement on the selected items, whatever their number,
// in a few steps: their ids are put into a temporary table first.
func selectAndChange(tx *tx, f store.QueueFilter, c queueChange, now int64) (int64, error) {
	where, args := queueWhere(f)
	steps := []struct {
		query string
		args  []any
	}{
		{`CREATE TEMP TABLE IF NOT EXISTS selected (id INTEGER PRIMARY KEY)`, nil},
		{`DELETE FROM temp.selected`, nil},
		{
			`INSERT INTO temp.selected SELECT q.id FROM queue q WHERE ` + where + ` AND ` + c.where,
			args,
		},
		{
			`INSERT INTO event (trail, seq, at, kind, recipient, detail)
			SELECT message,
				(SELECT COALESCE(MAX(seq), -1) FROM event WHERE trail = q.message)
					+ row_number() OVER (PARTITION BY message ORDER BY id),
				?, ?, recipient, ''
			FROM queue q
			WHERE id IN (SELECT id FROM temp.selected)`,
			[]any{now, string(c.kind)},
		},
	}
	if c.kind == store.Cancelled {
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
	result, err := tx.exec(c.statement+`(SELECT id FROM temp.selected)`, now)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
