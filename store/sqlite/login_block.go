package sqlite

import (
	"context"
	"fmt"
	"net/netip"

	"postroom/store"
)

// LoginBlocks returns the networks that were kept from logging in, the latest
// first. Some may have ended.
func (s *Store) LoginBlocks(context.Context) ([]store.LoginBlock, error) {
	rows, err := s.query(`
		SELECT network, since, until, failures, names, protocol
		FROM login_block
		ORDER BY since DESC, network`)
	if err != nil {
		return nil, fmt.Errorf("list blocks of logins: %w", err)
	}
	list, err := collect(rows, func(b *store.LoginBlock) error {
		var network string
		var since, until int64
		if err := rows.Scan(&network, &since, &until, &b.Failures, &b.Names, &b.Protocol); err != nil {
			return err
		}
		b.Since, b.Until = fromMicros(since), fromMicros(until)
		var err error
		b.Network, err = netip.ParsePrefix(network)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list blocks of logins: %w", err)
	}
	return list, nil
}

// KeepLoginBlock keeps a block in the place of an older one of its network. Those
// that had ended before it began are forgotten.
func (s *Store) KeepLoginBlock(ctx context.Context, b store.LoginBlock) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		if _, err := tx.exec(`DELETE FROM login_block WHERE until <= ?`, micros(b.Since)); err != nil {
			return err
		}
		_, err := tx.exec(`
			INSERT OR REPLACE INTO login_block (network, since, until, failures, names, protocol)
			VALUES (?, ?, ?, ?, ?, ?)`,
			b.Network.String(), micros(b.Since), micros(b.Until), b.Failures, b.Names, b.Protocol)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep a block of logins from %s: %w", b.Network, err)
	}
	return nil
}

// RemoveLoginBlock forgets a block, if it is there.
func (s *Store) RemoveLoginBlock(ctx context.Context, network netip.Prefix) error {
	err := s.write(ctx, 0, func(tx *tx) error {
		_, err := tx.exec(`DELETE FROM login_block WHERE network = ?`, network.String())
		return err
	})
	if err != nil {
		return fmt.Errorf("forget the block of logins from %s: %w", network, err)
	}
	return nil
}
