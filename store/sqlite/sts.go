package sqlite

import (
	"context"
	"encoding/json"
	"fmt"

	"postroom/store"
)

// STSPolicy returns the MTA-STS policy that was kept for a domain, however old,
// or fails with store.ErrNotFound.
func (s *Store) STSPolicy(_ context.Context, domain string) (store.STSPolicy, error) {
	p := store.STSPolicy{Domain: domain}
	var mx []byte
	var fetched, expires int64
	err := s.queryRow(`
		SELECT id, mode, mx, fetched, expires
		FROM sts_policy
		WHERE domain = ?`, domain).Scan(&p.ID, &p.Mode, &mx, &fetched, &expires)
	if err != nil {
		return store.STSPolicy{}, fmt.Errorf("MTA-STS policy of %s: %w", domain, noRows(err, store.ErrNotFound))
	}
	if err := json.Unmarshal(mx, &p.MX); err != nil {
		return store.STSPolicy{}, fmt.Errorf("MTA-STS policy of %s: %w", domain, err)
	}
	p.Fetched, p.Expires = fromMicros(fetched), fromMicros(expires)
	return p, nil
}

// KeepSTSPolicy keeps a domain's policy in place of the one before.
func (s *Store) KeepSTSPolicy(ctx context.Context, p store.STSPolicy) error {
	mx, err := json.Marshal(append([]string{}, p.MX...))
	if err != nil {
		return fmt.Errorf("keep MTA-STS policy of %s: %w", p.Domain, err)
	}
	err = s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`
			INSERT OR REPLACE INTO sts_policy (domain, id, mode, mx, fetched, expires)
			VALUES (?, ?, ?, ?, ?, ?)`,
			p.Domain, p.ID, p.Mode, string(mx), micros(p.Fetched), micros(p.Expires))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep MTA-STS policy of %s: %w", p.Domain, err)
	}
	return nil
}

// ForgetSTSPolicy removes a domain's policy, if there is one.
func (s *Store) ForgetSTSPolicy(ctx context.Context, domain string) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`DELETE FROM sts_policy WHERE domain = ?`, domain)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget MTA-STS policy of %s: %w", domain, err)
	}
	return nil
}
