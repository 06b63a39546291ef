package sqlite

import (
	"context"
	"fmt"
	"slices"

	"postroom/store"
	"postroom/store/mail"
)

// MaySend reports whether an account may send as an address: its own with any tag,
// an alias that leads to it through however many others, a role whose mail it
// reads, or an address that the admin lets it send as. A catch-all gives no right,
// and neither does a forward.
func (s *Store) MaySend(_ context.Context, account store.AccountID, address mail.Address) (bool, error) {
	right := senderRight{account, address.Key()}
	may, ok, generation := s.directory.right(right)
	if ok {
		return may, nil
	}
	err := s.snapshot(func(n names) (err error) {
		may, err = n.maySend(account, address)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("rights of account %d: %w", account, err)
	}
	if may { // who tries many must not push the good ones out
		s.directory.keepRight(generation, right, may)
	}
	return may, nil
}

func (n names) maySend(account store.AccountID, address mail.Address) (bool, error) {
	if address.Domain == "" {
		return false, nil
	}
	d, ours, err := n.domain(address.Domain)
	if err != nil || !ours || d.backup {
		return false, err
	}
	if own, err := n.ownsUnderTag(d, account, address); own || err != nil {
		return own, err
	}
	if granted, err := n.isSender(d, account, address); granted || err != nil {
		return granted, err
	}
	x := newExpansion(n)
	x.rights = true
	if _, err := x.follow(address, 0); err != nil {
		return false, err
	}
	return slices.Contains(x.found, store.Destination{Account: account}), nil
}

// ownsUnderTag reports whether the address is the account's own with some tag.
// It is, even where an alias has that very address and leads mail elsewhere; but
// not where another account has it.
func (n names) ownsUnderTag(d knownDomain, account store.AccountID, address mail.Address) (bool, error) {
	exact, ok, err := n.holder(d.id, localPart(address))
	if ok || err != nil {
		n.noteOwn(exact, account, address)
		return exact.id == account, err
	}
	base, ok, err := n.holder(d.id, localPart(address.Base()))
	base.tagged = true
	n.noteOwn(base, account, address)
	return ok && base.id == account, err
}

// noteOwn tells of an address that is the account's own.
func (n names) noteOwn(h holder, account store.AccountID, address mail.Address) {
	if h.id == account {
		n.note(h.hop(address, 0), account)
	}
}

// isSender reports whether the admin lets the account send as an address: itself,
// without its tag unless somebody has it with that tag, or as all of the domain.
func (n names) isSender(d knownDomain, account store.AccountID, address mail.Address) (bool, error) {
	exact, base := localPart(address), localPart(address.Base())
	if exact == "" {
		return false, nil
	}
	if base != exact {
		_, taken, err := n.holder(d.id, exact)
		if err != nil {
			return false, err
		}
		if taken {
			base = exact
		}
	}
	rows, err := n.query(`
		SELECT 1
		FROM sender
		WHERE account = ?
			AND domain = ?
			AND local IN (?, ?, '')
		LIMIT 1`, account, d.id, exact, base)
	if err != nil {
		return false, err
	}
	_, granted, err := first(collect(rows, func(one *int) error { return rows.Scan(one) }))
	if granted {
		n.note(store.Hop{Address: address, Kind: store.HopGranted}, account)
	}
	return granted, err
}
