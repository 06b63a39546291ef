package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"postroom/store"
)

// Entries returns an account's maildrop, oldest first. It is a copy: what
// happens to the maildrop later does not change it.
func (s *Store) Entries(ctx context.Context, account store.AccountID) ([]store.Entry, error) {
	entries := make([]store.Entry, 0, s.usage.get(account).Messages)
	rows, err := s.query(`
		SELECT message, uid, size
		FROM entry
		WHERE account = ?
		ORDER BY message`, account)
	if err != nil {
		return nil, fmt.Errorf("list maildrop: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e store.Entry
		if err := rows.Scan(&e.Message, (*uidColumn)(&e.UID), &e.Size); err != nil {
			return nil, fmt.Errorf("list maildrop: %w", err)
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list maildrop: %w", err)
	}
	return entries, nil
}

// RemoveEntries takes messages out of a maildrop, all of them or none, in one
// commit. Their bodies are reaped in the background if nothing else refers to
// them.
func (s *Store) RemoveEntries(ctx context.Context, r store.Removal) error {
	if len(r.Messages) == 0 {
		return nil
	}
	ids, err := json.Marshal(idList(r.Messages))
	if err != nil {
		return fmt.Errorf("encode removal: %w", err)
	}
	rows, err := encodeEvents([]store.Event{{Time: r.At, Kind: store.Deleted, Client: r.Client, Protocol: r.Protocol}})
	if err != nil {
		return err
	}
	err = s.write(ctx, int64(64*len(r.Messages)), func(tx *tx) error {
		return s.removeEntries(tx, r.Account, string(ids), rows[0])
	})
	if err != nil {
		return fmt.Errorf("remove entries: %w", err)
	}
	s.reapSoon()
	return nil
}

// removeEntries handles all of a removal in a few statements, whatever their
// number: row by row, 10,000 of them would take the writer a third of a second.
func (s *Store) removeEntries(tx *tx, account store.AccountID, ids string, event eventRow) error {
	var bytes, count int64
	err := tx.scan(`
		SELECT COALESCE(SUM(size), 0), COUNT(*)
		FROM entry
		WHERE account = ? AND message IN (SELECT value FROM json_each(?))`, []any{account, ids}, &bytes, &count)
	if err != nil || count == 0 {
		return err
	}
	for _, step := range []struct {
		query string
		args  []any
	}{
		{
			`INSERT INTO event (trail, seq, at, kind, recipient, detail)
			SELECT e.message, (SELECT COALESCE(MAX(seq) + 1, 0) FROM event WHERE trail = e.message), ?, ?, e.recipient,
				json_set(?, '$.account', (SELECT a.local || '@' || d.name FROM account a JOIN domain d ON d.id = a.domain WHERE a.id = ?))
			FROM entry e
			WHERE e.account = ? AND e.message IN (SELECT value FROM json_each(?))`,
			[]any{event.at, string(event.kind), orEmptyObject(event.detail), account, account, ids},
		},
		{`INSERT OR IGNORE INTO reap (message)
			SELECT message FROM entry
			WHERE account = ? AND message IN (SELECT value FROM json_each(?))`, []any{account, ids}},
		{`DELETE FROM entry
			WHERE account = ? AND message IN (SELECT value FROM json_each(?))`, []any{account, ids}},
	} {
		if _, err := tx.exec(step.query, step.args...); err != nil {
			return err
		}
	}
	return s.addUsage(tx, account, -bytes, -count)
}

func orEmptyObject(json string) string {
	if json == "" {
		return "{}"
	}
	return json
}

// idList gives ids to JSON as numbers; their text form is for people.
func idList(ids []store.MessageID) []int64 {
	list := make([]int64, len(ids))
	for i, id := range ids {
		list[i] = int64(id)
	}
	return list
}

// addUsage changes what an account's maildrop holds.
func (s *Store) addUsage(tx *tx, account store.AccountID, bytes, count int64) error {
	_, err := tx.exec(`
		UPDATE account
		SET used_bytes = used_bytes + ?, used_count = used_count + ?
		WHERE id = ?`, bytes, count, account)
	if err != nil {
		return fmt.Errorf("count usage: %w", err)
	}
	tx.afterCommit(func() {
		s.usage.add(account, bytes, count)
		s.noteUsage()
	})
	return nil
}

// uidColumn reads a UID from its column.
type uidColumn store.UID

// Scan implements sql.Scanner.
func (u *uidColumn) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != len(u) {
		return fmt.Errorf("a unique-id is %T", v)
	}
	copy(u[:], b)
	return nil
}
