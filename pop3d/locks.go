package pop3d

import (
	"context"
	"errors"
	"sync"
	"time"

	"postroom/store"
)

const (
	// patience is how long a login waits for a maildrop that another session
	// holds: the other may be about to end.
	patience = 3 * time.Second
	// silence is how long the client of a session may neither send a command
	// nor read before another login may end the session: it is probably gone,
	// and its user would be shut out until the session times out.
	silence = 60 * time.Second
)

// errInUse means that another session holds the maildrop.
var errInUse = errors.New("maildrop is in use")

// Locks says which maildrops are open: one session holds a maildrop at a time
// (RFC 1939 section 4). The zero Locks is ready.
type Locks struct {
	mu   sync.Mutex
	held map[store.AccountID]*lease
}

// A lease is one session's hold on a maildrop.
type lease struct {
	locks   *Locks
	account store.AccountID
	end     func()        // ends the session that holds it; must not block
	gone    chan struct{} // closed when the maildrop is free or somebody else's

	mu      sync.Mutex
	waiting time.Time // since when the session has been waiting for its client; zero while it works
}

// take waits until account's maildrop is free, or its holder can be ended, and
// gives it to the caller, whose session end ends. It fails with errInUse when
// the holder is still there after 3 seconds, or with ctx's error.
func (l *Locks) take(ctx context.Context, account store.AccountID, end func()) (*lease, error) {
	deadline := time.Now().Add(patience)
	for {
		mine, holder, retry := l.try(account, end)
		if mine != nil {
			return mine, nil
		}
		pause := min(retry, time.Until(deadline))
		if pause <= 0 {
			return nil, errInUse
		}
		if err := holder.await(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// try takes the maildrop if it can. If not, it returns who has it, and how long
// it is until that session will have been silent for too long.
func (l *Locks) try(account store.AccountID, end func()) (mine, holder *lease, retry time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	holder = l.held[account]
	if holder != nil {
		if retry = holder.evict(); retry > 0 {
			return nil, holder, retry
		}
		close(holder.gone)
	}
	mine = &lease{locks: l, account: account, end: end, gone: make(chan struct{})}
	if l.held == nil {
		l.held = make(map[store.AccountID]*lease)
	}
	l.held[account] = mine
	return mine, nil, 0
}

// release frees the maildrop, if it is still the lease's. A nil lease holds
// nothing.
func (l *lease) release() {
	if l == nil {
		return
	}
	l.locks.mu.Lock()
	defer l.locks.mu.Unlock()
	if l.locks.held[l.account] == l {
		delete(l.locks.held, l.account)
		close(l.gone)
	}
}

// evict ends the session if its client has been silent for too long, and
// returns 0; else it returns how much longer the client may be silent. A
// session that works (commits its deletions, above all) is never ended.
func (l *lease) evict() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting.IsZero() {
		return silence
	}
	if left := silence - time.Since(l.waiting); left > 0 {
		return left
	}
	l.end()
	return 0
}

// await waits for the lease to be gone, for at most d.
func (l *lease) await(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.gone:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// waits says that the session waits for its client from now on.
func (l *lease) waits() { l.wait(time.Now()) }

// works says that the session has heard from its client.
func (l *lease) works() { l.wait(time.Time{}) }

func (l *lease) wait(since time.Time) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = since
}
