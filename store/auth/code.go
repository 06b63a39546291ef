package auth

import (
	"context"
	"crypto/subtle"
	"net/netip"
	"time"
)

// A CodeAttempt is one try to give a code that was made by NewAppPassword and is
// nobody's password.
type CodeAttempt struct {
	Code   string
	Want   [32]byte // the hash of the right one
	Client netip.Addr
	For    string // what it opens, for the log and for counting guesses
}

// CheckCode fails with ErrDenied if the code is wrong, which counts as a failed login
// from the client's address, and with ErrBlocked as Login does.
func (a *Authenticator) CheckCode(ctx context.Context, attempt CodeAttempt) error {
	t := try{client: attempt.Client, name: attempt.For, password: attempt.Code, protocol: "web"}
	if err := a.guard.admit(t); err != nil {
		return err
	}
	hash, ok := hashAppPassword(attempt.Code)
	if ok && subtle.ConstantTimeCompare(hash[:], attempt.Want[:]) == 1 {
		return nil
	}
	a.log.Info("code denied", "remote", t.client, "for", attempt.For)
	timer := time.NewTimer(a.guard.failed(ctx, t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ErrDenied
}
