package sqlite

import (
	"context"
	"fmt"

	"postroom/store"
)

// Percents of the quota: at two of them the account is told, once each; below the
// third what it has been told is forgotten.
const (
	noticeFirst = 80
	noticeLast  = 95
	noticeReset = 75
)

// UsageChanged signals, at least once after each commit that makes a maildrop or
// its quota larger or smaller, that QuotaNotices may have something new.
func (s *Store) UsageChanged() <-chan struct{} { return s.usageChanged }

// noteUsage signals UsageChanged.
func (s *Store) noteUsage() {
	select {
	case s.usageChanged <- struct{}{}:
	default:
	}
}

// QuotaNotices returns the notices that are owed now. Accounts whose maildrops
// have become emptier will be told again.
func (s *Store) QuotaNotices(ctx context.Context) ([]store.QuotaNotice, error) {
	if err := s.resetNotices(ctx); err != nil {
		return nil, err
	}
	rows, err := s.query(`
		SELECT a.id, a.local, d.name, a.quota, a.used_bytes, a.used_count,
			IIF(a.used_bytes >= a.quota * ?2 / 100, ?2, ?1) AS percent
		FROM account AS a
		JOIN domain AS d ON d.id = a.domain
		WHERE a.quota > 0
			AND a.used_bytes >= a.quota * ?1 / 100
			AND a.notice_told < percent
		ORDER BY a.id`, noticeFirst, noticeLast)
	if err != nil {
		return nil, fmt.Errorf("find quota notices: %w", err)
	}
	return collect(rows, func(n *store.QuotaNotice) error {
		return rows.Scan(&n.Account, &n.Address.Local, &n.Address.Domain, &n.Quota, &n.Usage.Bytes, &n.Usage.Messages, &n.Percent)
	})
}

// resetNotices forgets what accounts were told whose maildrops are emptier now.
func (s *Store) resetNotices(ctx context.Context) error {
	const stale = `
		FROM account
		WHERE notice_told > 0
			AND (quota = 0 OR used_bytes < quota * ? / 100)`
	var n int
	if err := s.queryRow(`SELECT COUNT(*)`+stale, noticeReset).Scan(&n); err != nil {
		return fmt.Errorf("find old quota notices: %w", err)
	}
	if n == 0 {
		return nil // the usual case: no change for the writer
	}
	err := s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`UPDATE account SET notice_told = 0 WHERE id IN (SELECT id`+stale+`)`, noticeReset)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget old quota notices: %w", err)
	}
	return nil
}
