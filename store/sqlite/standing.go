package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"postroom/store"
)

// SetStanding changes what an account may do. From then on nothing that it has in
// the queue is sent while it is disabled, but what is to be returned; and before
// SetStanding returns nil each such item is marked as held, or as released if the
// account is enabled again. If it fails after the change has been made, the items
// follow later.
func (s *Store) SetStanding(ctx context.Context, id store.AccountID, standing store.Standing) error {
	err := s.setStanding(ctx, id, standing)
	if err == nil {
		err = s.followStanding(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("set standing of account %d: %w", id, err)
	}
	return nil
}

// setStanding changes the account, and has its queue stand still or go on.
func (s *Store) setStanding(ctx context.Context, id store.AccountID, standing store.Standing) error {
	disabled := standing != store.Enabled
	if err := s.changeStanding(ctx, id, disabled, standing == store.DisabledRefusing); err != nil || disabled {
		return err
	}
	rows, err := s.query(`
		SELECT `+laneColumns+`, MIN(due)
		FROM queue
		WHERE hold = 0 AND account = ? AND account <> 0
		GROUP BY `+laneColumns, id)
	if err != nil {
		return fmt.Errorf("find lanes: %w", err)
	}
	lanes, err := collect(rows, func(l *store.LaneDue) error { return scanLane(rows, l) })
	s.announce(lanes)
	return err
}

func (s *Store) changeStanding(ctx context.Context, id store.AccountID, disabled, refuse bool) error {
	// Claims wait until the change is durable: nothing must be claimed from an
	// older view.
	defer s.claims.lockToWithdraw()()
	err := s.changeDirectory(ctx, func(tx *tx) error {
		_, err := tx.exec(`INSERT OR IGNORE INTO setting (key, value) VALUES (?, ?)`, followKey(id), id)
		if disabled {
			err = errors.Join(err, tx.endSessions(id, 0))
		}
		return errors.Join(err, affected(tx.exec(`UPDATE account SET disabled = ?, refuse = ? WHERE id = ?`, disabled, refuse, id)))
	})
	if err == nil {
		s.suspended.set(id, disabled)
	}
	return err
}

// followKey is the setting that is there while an account's queue doesn't follow
// its standing yet.
func followKey(id store.AccountID) string { return fmt.Sprintf("%s%d", followPrefix, id) }

const followPrefix = "standing "

// A following has the queue of an account follow its standing, in steps: all who
// change something wait for each.
type following struct {
	account  store.AccountID
	disabled bool          // as the last step has found it
	after    store.QueueID // the items up to here follow
	done     bool
	lanes    []store.LaneDue // in which items were released in the last step
}

func (s *Store) followStanding(ctx context.Context, id store.AccountID) error {
	ctx = store.WithoutChange(ctx) // the journal tells of the account, not of its mail
	now := micros(s.now())
	for f := (following{account: id}); !f.done; {
		step := f
		err := s.write(ctx, 256*changeAtOnce, func(tx *tx) error {
			step = f // it may be a second attempt
			return step.step(tx, now)
		})
		if err != nil {
			return err
		}
		f = step
		s.announce(f.lanes)
	}
	return nil
}

// step has some more items follow. If the standing has changed meanwhile it begins
// anew.
func (f *following) step(tx *tx, now int64) error {
	var disabled bool
	f.lanes = nil
	err := tx.scan(`SELECT disabled FROM account WHERE id = ?`, []any{f.account}, &disabled)
	if err = noRows(err, store.ErrNotFound); errors.Is(err, store.ErrNotFound) {
		return f.end(tx) // removed
	}
	if err != nil {
		return err
	}
	if disabled != f.disabled {
		f.disabled, f.after = disabled, 0
	}
	ids, err := f.next(tx)
	if err != nil {
		return err
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	if f.disabled {
		err = holdForAccount(tx, string(list), now)
	} else {
		f.lanes, err = releaseForAccount(tx, string(list), now)
	}
	if err != nil || len(ids) == changeAtOnce {
		return err
	}
	return f.end(tx)
}

// next returns the items that come next.
func (f *following) next(tx *tx) ([]store.QueueID, error) {
	rows, err := tx.query(`
		SELECT id
		FROM queue INDEXED BY queue_account
		WHERE account = ? AND account <> 0 AND id > ?
		ORDER BY id
		LIMIT ?`, f.account, f.after, changeAtOnce)
	if err != nil {
		return nil, err
	}
	ids, err := collect(rows, func(id *store.QueueID) error { return rows.Scan(id) })
	if len(ids) > 0 {
		f.after = ids[len(ids)-1]
	}
	return ids, err
}

func (f *following) end(tx *tx) error {
	f.done = true
	_, err := tx.exec(`DELETE FROM setting WHERE key = ?`, followKey(f.account))
	return err
}

func holdForAccount(tx *tx, list string, now int64) error {
	_, err := tx.exec(addStandingEvents+` AND hold = 0 AND report = 0 AND class <> 2`,
		now, string(store.Held), "the account is disabled", list)
	if err != nil {
		return err
	}
	_, err = tx.exec(`
		UPDATE queue SET hold = hold | ?
		WHERE id IN (SELECT value FROM json_each(?)) AND report = 0 AND class <> 2`, store.HeldForAccount, list)
	return err
}

func releaseForAccount(tx *tx, list string, now int64) ([]store.LaneDue, error) {
	_, err := tx.exec(addStandingEvents+` AND hold = ?`,
		now, string(store.Released), "the account is enabled again", list, store.HeldForAccount)
	if err != nil {
		return nil, err
	}
	_, err = tx.exec(`
		UPDATE queue SET hold = hold & ~?
		WHERE id IN (SELECT value FROM json_each(?))`, store.HeldForAccount, list)
	if err != nil {
		return nil, err
	}
	return lanesOf(tx, `id IN (SELECT value FROM json_each(?))`, list)
}

// addStandingEvents writes an event for each of some queue items that the rest of
// its WHERE clause selects.
const addStandingEvents = `
	INSERT INTO event (trail, seq, at, kind, recipient, detail)
	SELECT message,
		(SELECT COALESCE(MAX(seq), -1) FROM event WHERE trail = q.message)
			+ row_number() OVER (PARTITION BY message ORDER BY id),
		?, ?, recipient, json_object('reason', ?)
	FROM queue AS q
	WHERE id IN (SELECT value FROM json_each(?))`

// followStandings goes on with what a failure or a crash has left undone.
func (s *Store) followStandings(ctx context.Context) error {
	rows, err := s.query(`SELECT value FROM setting WHERE key >= ? AND key < ?`, followPrefix, followPrefix+"~")
	if err != nil {
		return err
	}
	ids, err := collect(rows, func(id *store.AccountID) error { return rows.Scan(id) })
	for _, id := range ids {
		err = errors.Join(err, s.followStanding(ctx, id))
	}
	return err
}

// loadSuspended reads which accounts are disabled: of these nothing is claimed but
// Paperwork, whether it is marked as held yet or not.
func (s *Store) loadSuspended() error {
	rows, err := s.query(`SELECT id FROM account WHERE disabled`)
	if err != nil {
		return fmt.Errorf("list disabled accounts: %w", err)
	}
	ids, err := collect(rows, func(id *store.AccountID) error { return rows.Scan(id) })
	if err != nil {
		return fmt.Errorf("list disabled accounts: %w", err)
	}
	suspended := make(map[store.AccountID]bool, len(ids))
	for _, id := range ids {
		suspended[id] = true
	}
	s.suspended.replace(suspended)
	return nil
}
