package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"postroom/store"
	"postroom/store/auth"
)

// setupFor is how long the code of a new server works.
const setupFor = 24 * time.Hour

// A setup is the right to become the first administrator of a server that has none.
// It is in memory alone, as a hash: it ends with the process at the latest.
type setup struct {
	mu    sync.Mutex
	begun bool // there is a code, or there was one that has run out
	hash  [32]byte
	until time.Time
}

// A SetupDoor says whether somebody may become the first administrator.
type SetupDoor string

// What a SetupDoor can be.
const (
	SetupOpen    SetupDoor = "open"    // with the code
	SetupExpired SetupDoor = "expired" // the code is too old; the next start makes another
	SetupClosed  SetupDoor = "closed"  // there is an administrator
)

// BeginSetup makes the code with which somebody becomes the first administrator, in
// the place of an earlier one. It is shown this once. It is empty if there is an
// administrator who can sign in.
func (a *Admin) BeginSetup(ctx context.Context) (code string, err error) {
	has, err := a.Store.HasAdmin(ctx)
	if err != nil || has {
		return "", err
	}
	a.setup.mu.Lock()
	defer a.setup.mu.Unlock()
	code, a.setup.hash = auth.NewAppPassword()
	a.setup.begun, a.setup.until = true, a.Now().Add(setupFor)
	return code, nil
}

// SetupDoor says whether somebody may become the first administrator now. It costs
// nothing once there is one.
func (a *Admin) SetupDoor(ctx context.Context) (SetupDoor, error) {
	door, _ := a.setup.door(a.Now())
	if door == SetupClosed {
		return door, nil
	}
	has, err := a.Store.HasAdmin(ctx)
	if err != nil {
		return "", err
	}
	if has {
		a.setup.end()
		return SetupClosed, nil
	}
	return door, nil
}

// A FirstAdmin asks to become the first administrator.
type FirstAdmin struct {
	Code     string
	Address  string // its domain is served from then on
	Password string
	Client   netip.Addr
}

// CheckSetupCode fails with auth.ErrDenied or auth.ErrBlocked unless the code is the
// right one, and with an Error if the time for it is over.
func (a *Admin) CheckSetupCode(ctx context.Context, code string, client netip.Addr) error {
	door, err := a.SetupDoor(ctx)
	switch {
	case err != nil:
		return err
	case door == SetupClosed:
		return errHasAdmin
	case door == SetupExpired:
		return &Error{Kind: Invalid, Text: "The code has run out after 24 hours. Start the server again: it prints a new one."}
	}
	_, want := a.setup.door(a.Now())
	return a.Auth.CheckCode(ctx, auth.CodeAttempt{Code: code, Want: want, Client: client, For: "setup"})
}

var errHasAdmin = &Error{
	Conflict, "Somebody else has become the administrator. Sign in with that account, or give it a new password on the server: postroom account passwd ADDRESS", store.ErrHasAdmin,
}

// BecomeAdmin makes the first administrator, and serves the domain of the address from
// then on. It fails as CheckSetupCode does; of several who try at once one succeeds.
func (a *Admin) BecomeAdmin(ctx context.Context, request FirstAdmin) (Account, error) {
	if err := a.CheckSetupCode(ctx, request.Code, request.Client); err != nil {
		return Account{}, err
	}
	address, err := parseAddress(request.Address)
	if err != nil {
		return Account{}, err
	}
	if _, err := parseDomain(address.Domain); err != nil {
		return Account{}, err
	}
	if err := auth.CheckLength(request.Password); err != nil {
		return Account{}, passwordError(err)
	}
	secret, err := a.Auth.NewSecret(ctx, request.Password)
	if err != nil {
		return Account{}, passwordError(err)
	}
	account := store.Account{Address: address, Secret: secret, Admin: true, Created: a.Now()}
	ctx = a.noting(byNewcomer(ctx, address.String()), "setup.admin", address.String(), nil, accountStateOf(account))
	added, newDomain, err := a.Store.AddFirstAdmin(ctx, account)
	switch {
	case errors.Is(err, store.ErrHasAdmin):
		a.setup.end()
		return Account{}, errHasAdmin
	case errors.Is(err, store.ErrConflict):
		return Account{}, a.addressTaken(ctx, address)
	case errors.Is(err, store.ErrNotFound):
		return Account{}, a.mustBeLocal(ctx, address.Domain)
	case err != nil:
		return Account{}, fmt.Errorf("add the first administrator: %w", err)
	}
	a.setup.end()
	if newDomain && a.DomainAdded != nil {
		a.DomainAdded()
	}
	return accountOf(added), nil
}

// byNewcomer returns a context for what somebody asks for who can sign in only
// afterwards.
func byNewcomer(ctx context.Context, address string) context.Context {
	actor := ActorOf(ctx)
	if actor.Name == "" {
		actor.Name = address
	}
	return WithActor(ctx, actor)
}

// noteAdmin ends the time of the setup code with an administrator who came otherwise.
func (a *Admin) noteAdmin(account store.Account) {
	if account.Admin && !account.Disabled && account.Secret.Hash != "" {
		a.setup.end()
	}
}

// door returns what is known without asking the store, and the hash of the code.
func (s *setup) door(now time.Time) (SetupDoor, [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.begun:
		return SetupClosed, [32]byte{}
	case !now.Before(s.until):
		return SetupExpired, [32]byte{}
	}
	return SetupOpen, s.hash
}

func (s *setup) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun, s.hash = false, [32]byte{}
}

// setupSteps are the steps of the guide, in order.
var setupSteps = []store.SetupStep{store.SetupDomain, store.SetupDNS, store.SetupAccount, store.SetupTest}

// A SetupProgress is how far an administrator has come with the guide.
type SetupProgress map[store.SetupStep]store.SetupMark

// Next returns the first step that is still to be done; empty if none is.
func (p SetupProgress) Next() store.SetupStep {
	for _, step := range setupSteps {
		if p[step] == "" {
			return step
		}
	}
	return ""
}

// Setup tells how far the guide is. A server that had accounts before there was a
// guide is through with it. A test mail that went its whole way leaves nothing to be
// done of its step, whether or not somebody has gone on from there.
func (a *Admin) Setup(ctx context.Context) (SetupProgress, error) {
	marks, err := a.Store.SetupMarks(ctx)
	if err != nil {
		return nil, err
	}
	if last, ok := a.Trial(); ok && last.OK() && marks[store.SetupTest] == "" {
		marks[store.SetupTest] = store.SetupDone
	}
	return marks, nil
}

// MarkSetup says how a step of the guide was left.
func (a *Admin) MarkSetup(ctx context.Context, step store.SetupStep, mark store.SetupMark) error {
	known := slices.Contains(setupSteps, step)
	if !known || mark != store.SetupDone && mark != store.SetupSkipped {
		return notFound("There is no such step.")
	}
	marks, err := a.Store.SetupMarks(ctx)
	if err != nil || marks[step] == mark {
		return err
	}
	noted := a.noting(ctx, "setup.step", string(step), markStateOf(marks[step]), markStateOf(mark))
	return a.Store.MarkSetup(noted, step, mark)
}

// markStateOf is nothing for a step that was still to be done.
func markStateOf(mark store.SetupMark) any {
	if mark == "" {
		return nil
	}
	return markState{mark}
}
