package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"postroom/store"
)

// maxForwards bounds how many copies of each mail one account sends on.
const maxForwards = 20

// SetForward asks for the mail of an account to go on to others.
type SetForward struct {
	Address string   `json:"address"`
	Targets []string `json:"targets"` // none: it isn't forwarded any more
	Keep    bool     `json:"keep"`    // a copy enters the account's own maildrop
	Strict  bool     `json:"strict,omitempty"`
}

// A Forward says where the mail of an account goes on to.
type Forward struct {
	Targets  []string `json:"targets"` // none: it isn't forwarded
	Keep     bool     `json:"keep"`
	Problems []string `json:"problems,omitempty"` // what is wrong with it, in sentences
}

// SetForward has the mail of an account go on to others, and returns what should be
// known about that among the forward's problems. With Strict they are an Error of
// kind Doubtful instead, and nothing is changed.
func (a *Admin) SetForward(ctx context.Context, request SetForward) (Forward, error) {
	account, err := a.account(ctx, request.Address)
	if err != nil {
		return Forward{}, err
	}
	forward, err := request.parse()
	if err != nil {
		return Forward{}, err
	}
	before, err := a.Store.Forward(ctx, account.ID)
	if err != nil {
		return Forward{}, err
	}
	warnings, err := a.forwardProblems(ctx, account, forward)
	switch {
	case err != nil:
		return Forward{}, err
	case request.Strict && len(warnings) > 0:
		return Forward{}, doubtful(warnings)
	}
	noted := a.noting(ctx, "account.forward", account.Address.String(), forwardStateOf(before), forwardStateOf(forward))
	switch err := a.Store.SetForward(noted, account.ID, forward); {
	case errors.Is(err, store.ErrNotFound):
		return Forward{}, notFound("There is no account %s.", account.Address)
	case err != nil:
		return Forward{}, fmt.Errorf("forward %s: %w", account.Address, err)
	}
	return Forward{Targets: addressTexts(forward.Targets), Keep: forward.Keep, Problems: warnings}, nil
}

func (r SetForward) parse() (store.Forward, error) {
	targets, err := parseTargets(r.Targets)
	switch {
	case err != nil:
		return store.Forward{}, err
	case len(targets) > maxForwards:
		return store.Forward{}, invalid("Mail can go on to %d addresses at most. Ask for a mailing list if there are more.", maxForwards)
	}
	return store.Forward{Targets: targets, Keep: r.Keep && len(targets) > 0}, nil
}

// forwardProblems says what is wrong with a forward. It fails with an Error if all
// of it leads back to the account: that is none.
func (a *Admin) forwardProblems(ctx context.Context, account store.Account, f store.Forward) ([]string, error) {
	if len(f.Targets) == 0 {
		return nil, nil
	}
	found, err := a.Store.InspectForward(ctx, account.Address, f)
	if err != nil {
		return nil, err
	}
	leadsBack := slices.ContainsFunc(found, func(p store.AddressProblem) bool { return p.Kind == store.SourceLeadsNowhere }) &&
		!slices.ContainsFunc(found, func(p store.AddressProblem) bool {
			return p.Kind != store.SourceLeadsNowhere && p.Kind != store.TargetReturns && p.Kind != store.TargetLoops
		})
	if leadsBack {
		text := fmt.Sprintf("That would lead back to %s itself. Give another address; to have a copy here as well, choose that beside it.", account.Address)
		return nil, &Error{Invalid, text, store.ErrLoop}
	}
	return problemsOf(found, true), nil
}

// Forward returns where the mail of an account goes on to.
func (a *Admin) Forward(ctx context.Context, address string) (Forward, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return Forward{}, err
	}
	return a.forwardOf(ctx, account)
}

func (a *Admin) forwardOf(ctx context.Context, account store.Account) (Forward, error) {
	f, err := a.Store.Forward(ctx, account.ID)
	if err != nil {
		return Forward{}, err
	}
	shown := Forward{Targets: addressTexts(f.Targets), Keep: f.Keep}
	if len(f.Targets) > 0 {
		found, err := a.Store.InspectForward(ctx, account.Address, f)
		if err != nil {
			return Forward{}, err
		}
		shown.Problems = problemsOf(onlyLasting(found), true)
	}
	return shown, nil
}
