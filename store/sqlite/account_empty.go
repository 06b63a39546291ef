package sqlite

import (
	"context"

	"postroom/store"
)

// emptyAtOnce bounds how many entries one change removes with their account:
// accepting mail waits for each.
const emptyAtOnce = 2000

// emptyMaildrop removes entries of an account, the oldest first, until few enough
// are left to go with it in one change.
func (s *Store) emptyMaildrop(ctx context.Context, id store.AccountID) error {
	ctx = store.WithoutChange(ctx) // the journal tells of the account
	all := s.usage.get(id).Messages
	for done := int64(0); s.usage.get(id).Messages > emptyAtOnce; {
		store.TellProgress(ctx, done, all)
		var n int64
		err := s.write(ctx, 64*emptyAtOnce, func(tx *tx) (err error) {
			n, err = s.removeOldest(tx, id)
			return err
		})
		if err == nil {
			done, err = min(done+n, all), ctx.Err()
		}
		if err != nil || n == 0 {
			store.TellProgress(ctx, done, all)
			return err
		}
		s.reapSoon()
	}
	return nil
}

func (s *Store) removeOldest(tx *tx, id store.AccountID) (n int64, err error) {
	var last store.MessageID
	var octets int64
	err = tx.scan(`
		SELECT COUNT(*), COALESCE(SUM(size), 0), COALESCE(MAX(message), 0)
		FROM (SELECT message, size FROM entry WHERE account = ? ORDER BY message LIMIT ?)`, []any{id, emptyAtOnce}, &n, &octets, &last)
	if err != nil || n == 0 {
		return 0, err
	}
	for _, query := range []string{
		`INSERT OR IGNORE INTO reap (message) SELECT message FROM entry WHERE account = ? AND message <= ?`,
		`DELETE FROM entry WHERE account = ? AND message <= ?`,
	} {
		if _, err := tx.exec(query, id, last); err != nil {
			return 0, err
		}
	}
	return n, s.addUsage(tx, id, -octets, -n)
}
