package admin

import (
	"context"
	"fmt"

	"postroom/store"
)

// Lists can be long, so pages ask for parts of them. What a ListQuery can sort by
// stands at the store's operations of the same names.

// ListAccounts returns a part of all accounts.
func (a *Admin) ListAccounts(ctx context.Context, q store.ListQuery) (store.ListPart[Account], error) {
	part, err := a.Store.ListAccounts(ctx, q)
	return shownPart(part, accountOf), err
}

// ListAliases returns a part of all aliases.
func (a *Admin) ListAliases(ctx context.Context, q store.ListQuery) (store.ListPart[Alias], error) {
	part, err := a.Store.ListAliases(ctx, q)
	return shownPart(part, aliasOf), err
}

// ListDomains returns a part of all domains.
func (a *Admin) ListDomains(ctx context.Context, q store.ListQuery) (store.ListPart[Domain], error) {
	part, err := a.Store.ListDomains(ctx, q)
	return shownPart(part, domainSizeOf), err
}

// ListAccess returns a part of the admin's own lists, both together.
func (a *Admin) ListAccess(ctx context.Context, q store.ListQuery) (store.ListPart[AccessEntry], error) {
	part, err := a.Store.ListAccess(ctx, q)
	return shownPart(part, accessEntryOf), err
}

// shownPart is a part of a list as it is shown.
func shownPart[S, T any](part store.ListPart[S], show func(S) T) store.ListPart[T] {
	shown := store.ListPart[T]{Rows: make([]T, len(part.Rows)), Offset: part.Offset, Matching: part.Matching, All: part.All}
	for i, row := range part.Rows {
		shown.Rows[i] = show(row)
	}
	return shown
}

func domainSizeOf(d store.DomainSize) Domain {
	return Domain{d.Name, d.Backup, int(d.Accounts), int(d.Aliases), d.Created, d.Listed}
}

// Domain returns a domain that is served.
func (a *Admin) Domain(ctx context.Context, name string) (Domain, error) {
	name, err := parseDomain(name)
	if err != nil {
		return Domain{}, err
	}
	part, err := a.Store.ListDomains(ctx, store.ListQuery{Text: name})
	if err != nil {
		return Domain{}, fmt.Errorf("find domain %s: %w", name, err)
	}
	for _, d := range part.Rows {
		if d.Name == name {
			return domainSizeOf(d), nil
		}
	}
	return Domain{}, noDomain(name)
}
