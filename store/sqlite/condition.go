package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"postroom/store"
)

// Condition returns how the store is doing.
func (s *Store) Condition(ctx context.Context, q store.ConditionQuery) (store.Condition, error) {
	var c store.Condition
	var err error
	if c.Ages, err = s.queueAges(ctx, q.Since); err != nil {
		return c, fmt.Errorf("count the queue by age: %w", err)
	}
	if c.Disk, err = s.space(); err != nil {
		return c, fmt.Errorf("measure disk: %w", err)
	}
	if c.Full, c.Fulls, err = s.fullAccounts(q.Percent, q.Most); err != nil {
		return c, fmt.Errorf("find full accounts: %w", err)
	}
	if c.Failing, c.Fails, err = s.failingAndWaitedFor(q.Most); err != nil {
		return c, fmt.Errorf("find failing destinations: %w", err)
	}
	if c.Backup, err = s.lastBackup(); err != nil {
		return c, fmt.Errorf("find the last backup: %w", err)
	}
	return c, nil
}

// queueAges counts recipients by the time of their message, which its id holds: an
// index has it.
func (s *Store) queueAges(ctx context.Context, since []time.Time) ([]int64, error) {
	ages := make([]int64, 0, len(since)+1)
	counted := int64(0)
	count := func(query string, args ...any) error {
		var n int64
		err := s.reader().QueryRowContext(ctx, query, args...).Scan(&n)
		ages = append(ages, n-counted)
		counted = n
		return err
	}
	for _, at := range since {
		err := count(`
			SELECT (SELECT COUNT(*) FROM queue WHERE message >= ?1)
				- (SELECT COUNT(*) FROM queue INDEXED BY queue_report WHERE report <> 0 AND message >= ?1)`, earliest(at))
		if err != nil {
			return nil, err
		}
	}
	return ages, count(`SELECT (SELECT COUNT(*) FROM queue) - (SELECT COUNT(*) FROM queue WHERE report <> 0)`)
}

func (s *Store) space() (d store.Disk, err error) {
	if d.Free, d.Size, err = diskSpace(s.opts.Dir); err != nil {
		return d, err
	}
	d.Reserve = min(s.opts.Reserve, d.Size/50)
	file := filepath.Join(s.opts.Dir, FileName)
	if d.Database, err = fileSize(file); err != nil {
		return d, err
	}
	d.WAL, err = fileSize(file + "-wal")
	return d, err
}

// fileSize is 0 for a file that isn't there.
func fileSize(name string) (int64, error) {
	info, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (s *Store) fullAccounts(percent int64, most int) (full []store.FullAccount, n int64, err error) {
	rows, err := s.query(`
		SELECT a.local || '@' || d.name, a.used_bytes * 100 / a.quota, COUNT(*) OVER ()
		FROM account AS a
		JOIN domain AS d ON d.id = a.domain
		WHERE a.quota > 0 AND a.used_bytes * 100 >= a.quota * ?
		ORDER BY a.used_bytes * 100 / a.quota DESC, a.id
		LIMIT ?`, percent, most)
	if err != nil {
		return nil, 0, err
	}
	full, err = collect(rows, func(f *store.FullAccount) error { return rows.Scan(&f.Address, &f.Percent, &n) })
	return full, n, err
}

// failingAndWaitedFor returns the destinations at which nobody could be reached, if
// mail waits for them. A relay may be waited for from anywhere.
func (s *Store) failingAndWaitedFor(most int) (failing []store.Health, n int64, err error) {
	rows, err := s.query(`
		SELECT key, host, failures, last_success, last_failure, reply, COUNT(*) OVER ()
		FROM destination
		WHERE failures > 0 AND (
			key LIKE 'relay %'
			OR EXISTS (SELECT 1 FROM queue WHERE hold = 0 AND domain = substr(key, 1, instr(key || ' ', ' ') - 1)))
		ORDER BY failures DESC, key
		LIMIT ?`, most)
	if err != nil {
		return nil, 0, err
	}
	failing, err = collect(rows, func(h *store.Health) error {
		var success, failure int64
		err := rows.Scan(&h.Destination, &h.Host, &h.Failures, &success, &failure, &h.Reply, &n)
		h.LastSuccess, h.LastFailure = fromMicros(success), fromMicros(failure)
		return err
	})
	return failing, n, err
}

// backupKey is the setting that says where the last backup went.
const backupKey = "backup"

// noteBackup remembers a backup that has been made.
func (s *Store) noteBackup(ctx context.Context, file string) error {
	if whole, err := filepath.Abs(file); err == nil {
		file = whole
	}
	size, err := fileSize(file)
	if err != nil {
		return err
	}
	note, err := json.Marshal(store.BackupNote{At: s.now(), File: file, Size: size})
	if err != nil {
		return err
	}
	return s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`REPLACE INTO setting (key, value) VALUES (?, ?)`, backupKey, string(note))
		return err
	})
}

func (s *Store) lastBackup() (*store.BackupNote, error) {
	var text string
	err := s.queryRow(`SELECT value FROM setting WHERE key = ?`, backupKey).Scan(&text)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	}
	var note store.BackupNote
	return &note, json.Unmarshal([]byte(text), &note)
}
