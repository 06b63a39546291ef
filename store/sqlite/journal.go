package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postroom/store"
)

// writeChange is write for an operation that leaves an entry in the journal: the
// same savepoint holds both.
func (s *Store) writeChange(ctx context.Context, bytes int64, apply func(*tx) error, c *store.Change) error {
	return s.writer.do(ctx, bytes, func(tx *tx) error {
		if err := apply(tx); err != nil {
			return err
		}
		if err := tx.note(c); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		return nil
	})
}

// note writes an entry, or counts on where an earlier commit of the same operation
// wrote it.
func (t *tx) note(c *store.Change) error {
	switch {
	case t.touched == 0 && (c.Counts || c.ID != 0):
		return nil
	case c.ID != 0:
		_, err := t.exec(`UPDATE journal SET touched = touched + ? WHERE id = ?`, t.touched, c.ID)
		return err
	}
	var id store.ChangeID
	err := insertID(&id, t, `
		INSERT INTO journal (at, who, via, client, action, subject, before, after, touched, undoes, undone_by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		micros(c.At), c.Who, c.Via, c.Client, c.Action, c.Subject, c.Before, c.After, t.touched, c.Undoes)
	if err != nil {
		return err
	}
	t.afterCommit(func() { c.ID = id })
	if c.Undoes == 0 {
		return nil
	}
	return t.markUndone(c.Undoes, id)
}

func (t *tx) markUndone(undone, by store.ChangeID) error {
	taken, err := t.exists(`SELECT 1 FROM journal WHERE id = ? AND undone_by <> 0`, undone)
	if err != nil {
		return err
	}
	if taken {
		return store.ErrConflict
	}
	return affected(t.exec(`UPDATE journal SET undone_by = ? WHERE id = ?`, by, undone))
}

// NoteChange writes the entry that ctx carries where nothing else is changed in
// the store.
func (s *Store) NoteChange(ctx context.Context) error {
	if err := s.write(ctx, 0, func(*tx) error { return nil }); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

const selectChange = `
	SELECT id, at, who, via, client, action, subject, before, after, touched, undoes, undone_by
	FROM journal`

func scanChange(scan func(...any) error, c *store.Change) error {
	var at int64
	err := scan(&c.ID, &at, &c.Who, &c.Via, &c.Client, &c.Action, &c.Subject, &c.Before, &c.After, &c.Touched, &c.Undoes, &c.UndoneBy)
	c.At = fromMicros(at)
	return err
}

// Change returns an entry of the journal, or fails with store.ErrNotFound.
func (s *Store) Change(_ context.Context, id store.ChangeID) (store.Change, error) {
	var c store.Change
	if err := scanChange(s.queryRow(selectChange+` WHERE id = ?`, id).Scan, &c); err != nil {
		return store.Change{}, fmt.Errorf("read journal: %w", noRows(err, store.ErrNotFound))
	}
	return c, nil
}

// Journal returns entries of the journal, the newest first.
func (s *Store) Journal(ctx context.Context, q store.JournalQuery) ([]store.Change, error) {
	where, args := journalWhere(q)
	limit := -1
	if q.Limit > 0 {
		limit = q.Limit
	}
	rows, err := s.reader().QueryContext(ctx, selectChange+where+` ORDER BY id DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	list, err := collect(rows, func(c *store.Change) error { return scanChange(rows.Scan, c) })
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return list, nil
}

// journalWhere turns a query, its Limit aside, into a WHERE clause. What takes
// longest comes last. All of it is asked in the order of the ids: the newest are
// wanted, and a page is full soon.
func journalWhere(q store.JournalQuery) (where string, args []any) {
	var conditions []string
	add := func(condition string, arg ...any) {
		conditions = append(conditions, condition)
		args = append(args, arg...)
	}
	if q.Below != 0 {
		add(`id < ?`, q.Below)
	}
	if q.Action != "" {
		add(`(action = ? OR substr(action, 1, ?) = ?)`, q.Action, len(q.Action)+1, q.Action+".")
	}
	if !q.Since.IsZero() {
		add(`id >= (SELECT COALESCE(MIN(id), 9223372036854775807) FROM journal WHERE at >= ?)`, micros(q.Since))
	}
	if !q.Until.IsZero() {
		add(`+at < ?`, micros(q.Until))
	}
	if q.About != "" {
		add(`instr(lower(subject), ?)`, strings.ToLower(q.About))
	}
	if q.Who != "" {
		text := strings.ToLower(q.Who)
		add(`(instr(lower(who), ?) OR instr(via, ?) OR instr(client, ?))`, text, text, text)
	}
	if conditions == nil {
		return "", nil
	}
	return " WHERE " + strings.Join(conditions, " AND "), args
}

// How much of the journal is kept.
const (
	keepChanges = 400 * 24 * time.Hour
	mostChanges = 100_000
)

// expireJournal removes entries that are too old, or too many.
func (s *Store) expireJournal(ctx context.Context, now time.Time) error {
	below, err := s.journalBound(now)
	if err == nil && below > 0 {
		err = s.removeChanges(ctx, below)
	}
	if err != nil {
		return fmt.Errorf("shorten journal: %w", err)
	}
	return nil
}

// journalBound returns the id up to which entries are to go; 0 for none.
func (s *Store) journalBound(now time.Time) (last store.ChangeID, err error) {
	err = s.queryRow(`
		SELECT max(
			COALESCE((SELECT MAX(id) FROM journal WHERE at < ?), 0),
			COALESCE((SELECT id FROM journal ORDER BY id DESC LIMIT 1 OFFSET ?), 0))`,
		micros(now.Add(-keepChanges)), mostChanges).Scan(&last)
	return last, err
}

// removeChanges removes the entries up to last, a few at a time.
func (s *Store) removeChanges(ctx context.Context, last store.ChangeID) error {
	for ctx.Err() == nil {
		var n int64
		err := s.write(ctx, 256*expireAtOnce, func(tx *tx) error {
			result, err := tx.exec(`
				DELETE FROM journal
				WHERE id IN (SELECT id FROM journal WHERE id <= ? ORDER BY id LIMIT ?)`, last, expireAtOnce)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
		if err != nil || n < expireAtOnce {
			return err
		}
	}
	return ctx.Err()
}
