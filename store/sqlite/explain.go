package sqlite

import (
	"context"
	"errors"
	"fmt"

	"postroom/store"
	"postroom/store/mail"
)

// Explain is Resolve, and tells each step by which it came to its answer, also to
// that the address is nobody's.
func (s *Store) Explain(ctx context.Context, address mail.Address) (store.Resolution, []store.Hop, error) {
	var r resolved
	hops, err := s.explained(ctx, func(n names) (err error) {
		r, err = n.resolve(address)
		return err
	})
	if err != nil {
		return store.Resolution{}, nil, fmt.Errorf("resolve address: %w", err)
	}
	resolution, err := s.answer(r, address)
	return resolution, hops, err
}

// ExplainRight is MaySend, and tells each step by which it came to its answer.
func (s *Store) ExplainRight(ctx context.Context, account store.AccountID, address mail.Address) (may bool, hops []store.Hop, err error) {
	hops, err = s.explained(ctx, func(n names) (err error) {
		may, err = n.maySend(account, address)
		return err
	})
	if err != nil {
		return false, nil, fmt.Errorf("rights of account %d: %w", account, err)
	}
	return may, hops, nil
}

// explained has f look names up, and returns the steps that it took.
func (s *Store) explained(ctx context.Context, f func(names) error) ([]store.Hop, error) {
	var heard []namedHop
	err := s.snapshot(func(n names) error {
		heard = nil
		n.heard = &heard
		return f(n)
	})
	if err != nil {
		return nil, err
	}
	hops := make([]store.Hop, len(heard))
	for i, h := range heard {
		if err := s.name(ctx, &h); err != nil {
			return nil, err
		}
		hops[i] = h.Hop
	}
	return hops, nil
}

// name puts the addresses of a hop's accounts into it. Those that were removed since
// have none.
func (s *Store) name(ctx context.Context, h *namedHop) error {
	for _, id := range append(h.accounts, h.owner) {
		if id == 0 {
			continue
		}
		account, err := s.Account(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		case id == h.owner:
			h.Address = account.Address
		default:
			h.To = append(h.To, account.Address)
		}
	}
	return nil
}
