package sqlite

import (
	"context"
	"crypto/rand"
	"fmt"
)

// secretSize is how long a secret is, in octets.
const secretSize = 32

// Secret returns the 32 random octets that are kept under a name. They are made
// when they are asked for the first time, and are the same ever after; a backup
// has them too.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	made := make([]byte, secretSize)
	rand.Read(made)
	var secret []byte
	err := s.write(ctx, 0, func(tx *tx) error {
		key := "secret " + name
		if _, err := tx.exec(`INSERT OR IGNORE INTO setting (key, value) VALUES (?, ?)`, key, made); err != nil {
			return err
		}
		return tx.scan(`SELECT value FROM setting WHERE key = ?`, []any{key}, &secret)
	})
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", name, err)
	}
	return secret, nil
}
