package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"postroom/store"
)

// ChangeAlias has an alias lead to other targets.
func (a *Admin) ChangeAlias(ctx context.Context, request NewAlias) (Alias, error) {
	alias, err := parseAlias(request)
	if err != nil {
		return Alias{}, err
	}
	before, err := a.alias(ctx, alias.Source)
	if err != nil {
		return Alias{}, err
	}
	alias.Source, alias.Created = before.Source, before.Created
	warnings, err := a.warnings(ctx, alias, request.Strict)
	if err != nil {
		return Alias{}, err
	}
	noted := a.noting(ctx, "alias.change", sourceText(alias.Source), aliasStateOf(before), aliasStateOf(alias))
	_, err = a.Store.ChangeAlias(noted, alias.Source, alias.Targets)
	switch {
	case errors.Is(err, store.ErrLoop):
		return Alias{}, a.aliasLoop(alias, err)
	case errors.Is(err, store.ErrNotFound):
		return Alias{}, noAlias(alias.Source)
	case err != nil:
		return Alias{}, fmt.Errorf("change alias %s: %w", sourceText(alias.Source), err)
	}
	changed := aliasOf(alias)
	changed.Problems = warnings
	return changed, nil
}

func (a *Admin) aliasLoop(alias store.Alias, err error) error {
	return &Error{Invalid, fmt.Sprintf("The alias %s would lead back to itself. Choose other targets.", sourceText(alias.Source)), err}
}

// warnings says what should be known before an alias is saved. Who is strict about
// it gets an Error instead.
func (a *Admin) warnings(ctx context.Context, alias store.Alias, strict bool) ([]string, error) {
	found, err := a.Store.InspectAliases(ctx, []store.Alias{alias})
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(found[0], func(p store.AddressProblem) bool { return p.Kind == store.TargetLoops }) {
		return nil, a.aliasLoop(alias, store.ErrLoop)
	}
	warnings := problemsOf(found[0], false)
	if strict && len(warnings) > 0 {
		return nil, doubtful(warnings)
	}
	return warnings, nil
}

// InspectAliases returns aliases with what is wrong with where they lead.
func (a *Admin) InspectAliases(ctx context.Context, aliases []Alias) ([]Alias, error) {
	parsed := make([]store.Alias, len(aliases))
	for i, alias := range aliases {
		var err error
		if parsed[i], err = parseAlias(NewAlias{Source: alias.Source, Targets: alias.Targets}); err != nil {
			return nil, err
		}
	}
	found, err := a.Store.InspectAliases(ctx, parsed)
	if err != nil {
		return nil, err
	}
	inspected := make([]Alias, len(aliases))
	for i, alias := range aliases {
		alias.Problems = problemsOf(onlyLasting(found[i]), false)
		inspected[i] = alias
	}
	return inspected, nil
}

func onlyLasting(list []store.AddressProblem) []store.AddressProblem {
	var kept []store.AddressProblem
	for _, p := range list {
		if slices.Contains(lasting, p.Kind) {
			kept = append(kept, p)
		}
	}
	return kept
}
