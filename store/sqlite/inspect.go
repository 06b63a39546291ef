package sqlite

import (
	"context"
	"fmt"

	"postroom/store"
	"postroom/store/mail"
)

// InspectAliases says what is wrong with each of some aliases, or surprising,
// whether they are there already or are to be. Loops of aliases alone are for
// AddAlias and ChangeAlias to find.
func (s *Store) InspectAliases(_ context.Context, aliases []store.Alias) ([][]store.AddressProblem, error) {
	found := make([][]store.AddressProblem, len(aliases))
	err := s.snapshot(func(n names) error {
		for i, a := range aliases {
			p := inspection{names: n, source: a.Source}
			if err := p.alias(a); err != nil {
				return err
			}
			found[i] = p.found
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("inspect aliases: %w", err)
	}
	return found, nil
}

// InspectForward says what is wrong with where the mail of an account is to go
// on to, or surprising.
func (s *Store) InspectForward(_ context.Context, account mail.Address, f store.Forward) ([]store.AddressProblem, error) {
	var found []store.AddressProblem
	err := s.snapshot(func(n names) error {
		p := inspection{names: n, source: account}
		if err := p.targets(f.Targets); err != nil {
			return err
		}
		found = p.found
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("inspect forward: %w", err)
	}
	return found, nil
}

// An inspection follows the targets of an alias or a forward, and notes what it
// comes across.
type inspection struct {
	names  names
	source mail.Address
	target mail.Address // whose way is followed
	passed map[string]bool
	detour int // forwards and catch-alls on the way
	found  []store.AddressProblem
}

func (p *inspection) note(kind store.ProblemKind, at mail.Address) {
	p.found = append(p.found, store.AddressProblem{Kind: kind, Target: p.target, At: at})
}

// noteReturn notes that a way leads back to the source.
func (p *inspection) noteReturn(at mail.Address) {
	if p.detour > 0 {
		p.note(store.TargetReturns, at)
	} else {
		p.note(store.TargetLoops, at)
	}
}

func (p *inspection) alias(a store.Alias) error {
	if err := p.sourceOf(a); err != nil {
		return err
	}
	return p.targets(a.Targets)
}

// sourceOf notes whose mail an alias takes away. That a catch-all or the alias of a
// role does is what it is for, and no problem.
func (p *inspection) sourceOf(a store.Alias) error {
	d, ours, err := p.names.domain(a.Source.Domain)
	if err != nil || !ours {
		return err
	}
	base := a.Source.Base()
	if a.Source.Local == "" || localPart(base) == localPart(a.Source) {
		return nil
	}
	h, f, err := p.names.explicit(d, base)
	if err != nil {
		return err
	}
	if h.id != 0 || f.id != 0 {
		p.note(store.SourceTakesTag, base)
	}
	return nil
}

func (p *inspection) targets(targets []mail.Address) error {
	somewhere := false
	for _, target := range targets {
		p.target, p.passed = target, make(map[string]bool)
		arrives, err := p.follow(target, 0)
		if err != nil {
			return err
		}
		somewhere = somewhere || arrives
	}
	if !somewhere {
		p.target = mail.Address{}
		p.note(store.SourceLeadsNowhere, p.source)
	}
	return nil
}

// follow is expansion.follow for who wants to know what is on the way.
func (p *inspection) follow(a mail.Address, depth int) (arrives bool, err error) {
	if a.Key() == p.source.Key() {
		p.noteReturn(a)
		return false, nil
	}
	if p.passed[a.Key()] || depth >= maxAliasDepth {
		return false, nil
	}
	p.passed[a.Key()] = true
	d, ours, err := p.names.domain(a.Domain)
	switch {
	case err != nil:
		return false, err
	case !ours:
		return true, nil
	case d.backup:
		return p.held(d, a)
	}
	h, f, err := p.names.explicit(d, a)
	switch {
	case err != nil:
		return false, err
	case h.id != 0:
		return p.holder(h, a, depth)
	case f.id != 0:
		return p.all(f.targets, depth+1)
	case isRole(a):
		return true, nil
	}
	return p.nobody(d, a, depth)
}

func (p *inspection) all(targets []mail.Address, depth int) (arrives bool, err error) {
	for _, target := range targets {
		found, err := p.follow(target, depth)
		if err != nil {
			return false, err
		}
		arrives = arrives || found
	}
	return arrives, nil
}

func (p *inspection) held(d knownDomain, a mail.Address) (arrives bool, err error) {
	taken, err := p.names.takes(d, localPart(a))
	if err != nil {
		return false, err
	}
	if taken {
		p.note(store.TargetHeld, a)
	} else {
		p.note(store.TargetUnlisted, a)
	}
	return true, nil
}

// holder follows what an account forwards, for the way back to the source alone:
// what arrives at an account is never lost.
func (p *inspection) holder(h holder, a mail.Address, depth int) (arrives bool, err error) {
	switch {
	case a.Base().Key() == p.source.Key(): // under a tag
		p.noteReturn(a)
		return false, nil
	case h.refuses:
		p.note(store.TargetRefuses, a)
		return false, nil
	case h.disabled:
		p.note(store.TargetDisabled, a)
	case h.forwards:
		targets, err := p.names.forwardTargets(h.id)
		if err != nil {
			return false, err
		}
		known := len(p.found)
		if _, err := p.around(targets, depth); err != nil {
			return false, err
		}
		p.found = onlyReturns(p.found, known)
	}
	return true, nil
}

// onlyReturns leaves out what was found from the index known on, returns aside.
func onlyReturns(found []store.AddressProblem, known int) []store.AddressProblem {
	kept := found[:known:known]
	for _, problem := range found[known:] {
		if problem.Kind == store.TargetReturns {
			kept = append(kept, problem)
		}
	}
	return kept
}

// nobody looks who gets mail for an address that nobody has.
func (p *inspection) nobody(d knownDomain, a mail.Address, depth int) (arrives bool, err error) {
	switch {
	case p.source.Local == "" && p.source.Domain == a.Domain:
		p.note(store.TargetReturns, a)
		return false, nil
	case a.Base().Key() == p.source.Key(): // an alias that isn't there yet, under a tag
		p.noteReturn(a)
		return false, nil
	}
	f, ok, err := p.names.alias(d.id, "")
	if err != nil {
		return false, err
	}
	if !ok {
		p.note(store.TargetUnknown, a)
		return false, nil
	}
	p.note(store.TargetCaught, a)
	return p.around(f.targets, depth)
}

// around follows a forward or a catch-all: what comes back by one is no loop of
// aliases.
func (p *inspection) around(targets []mail.Address, depth int) (arrives bool, err error) {
	p.detour++
	defer func() { p.detour-- }()
	return p.all(targets, depth+1)
}
