package auth

import (
	"context"
	"maps"
	"slices"
	"sync"

	"postroom/store"
)

// sessions knows who is logged in.
type sessions struct {
	mu sync.Mutex
	of map[store.AccountID]map[*session]struct{}
}

type session struct{ end func() }

// Track registers a live session of an account. When the account is disabled or
// removed or its password changes, end is called, once; it must not block. The
// session takes itself out with untrack when it is over.
func (a *Authenticator) Track(id store.AccountID, end func()) (untrack func()) {
	return a.sessions.track(id, &session{end})
}

// Confirm fails with ErrDenied if account, as a login returned it, has been
// disabled, removed or given another password since. A session that asks after
// Track misses no such change: either Confirm sees it, or end is called.
func (a *Authenticator) Confirm(ctx context.Context, account store.Account) error {
	now, err := a.find(ctx, account.Address.String())
	if err != nil {
		return err
	}
	if now.ID != account.ID || now.Secret != account.Secret {
		return ErrDenied
	}
	return nil
}

// Forget drops what is remembered of an account's logins and ends its sessions.
// It is called after a change to its password or standing has been committed.
func (a *Authenticator) Forget(id store.AccountID) {
	a.remembered.forget(id)
	for _, s := range a.sessions.take(id) {
		s.end()
	}
}

func (t *sessions) track(id store.AccountID, s *session) (untrack func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = make(map[store.AccountID]map[*session]struct{})
	}
	if t.of[id] == nil {
		t.of[id] = make(map[*session]struct{})
	}
	t.of[id][s] = struct{}{}
	return func() { t.untrack(id, s) }
}

func (t *sessions) untrack(id store.AccountID, s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of[id], s)
	if len(t.of[id]) == 0 {
		delete(t.of, id)
	}
}

// take removes and returns the sessions of an account.
func (t *sessions) take(id store.AccountID) []*session {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Collect(maps.Keys(t.of[id]))
	delete(t.of, id)
	return all
}
