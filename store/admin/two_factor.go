package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/auth"
)

// A TwoFactor says whether the web page asks an account for a code besides the
// password.
type TwoFactor struct {
	Address       string    `json:"address"`
	On            bool      `json:"on"`
	Since         time.Time `json:"since,omitzero"`
	RecoveryCodes int       `json:"recovery_codes"` // that are left
}

// A TOTPKey is what is typed or scanned into an app that shows codes.
type TOTPKey struct {
	Text string // in base32
	URL  string // otpauth:
}

// keyLasts is how long a key waits for its first code.
const keyLasts = time.Hour

const textTwoFactorOff = "%s has no second factor: signing in takes the password alone."

// TwoFactor returns how an account's second factor stands.
func (a *Admin) TwoFactor(ctx context.Context, address string) (TwoFactor, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return TwoFactor{}, err
	}
	left, err := a.Store.RecoveryCodes(ctx, account.ID)
	if err != nil {
		return TwoFactor{}, err
	}
	return TwoFactor{account.Address.String(), !account.TwoFactor.IsZero(), account.TwoFactor, left}, nil
}

// BeginTwoFactor makes a key for an account's second factor. Nothing is asked for
// before ConfirmTwoFactor has seen a code of it.
func (a *Admin) BeginTwoFactor(ctx context.Context, address string) error {
	account, err := a.account(ctx, address)
	if err != nil {
		return err
	}
	err = a.Store.SetTOTPKey(ctx, store.TOTPKey{Account: account.ID, Secret: auth.NewTOTPSecret(), Created: a.Now()})
	if errors.Is(err, store.ErrConflict) {
		return conflict("The second factor of %s is on already. Turn it off first to use another app.", account.Address)
	}
	return err
}

// NewTOTPKey shows the key that waits for its first code; server is what an app
// calls this server. After that code it is never shown again.
func (a *Admin) NewTOTPKey(ctx context.Context, address, server string) (TOTPKey, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return TOTPKey{}, err
	}
	key, err := a.waitingKey(ctx, account)
	if err != nil {
		return TOTPKey{}, err
	}
	return TOTPKey{auth.TOTPText(key.Secret), auth.TOTPURL(key.Secret, server, account.Address.String())}, nil
}

func (a *Admin) waitingKey(ctx context.Context, account store.Account) (store.TOTPKey, error) {
	key, err := a.Store.TOTPKey(ctx, account.ID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && (!account.TwoFactor.IsZero() || a.Now().Sub(key.Created) > keyLasts):
		return store.TOTPKey{}, notFound("There is no key that waits for a code. Begin anew.")
	case err != nil:
		return store.TOTPKey{}, err
	}
	return key, nil
}

// ConfirmTwoFactor turns an account's second factor on if the code is that of the
// key which waits for it. It ends the account's sessions but one, and returns the
// recovery codes, which are shown this once.
func (a *Admin) ConfirmTwoFactor(ctx context.Context, address, code string, but int64) (recovery []string, err error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return nil, err
	}
	key, err := a.waitingKey(ctx, account)
	if err != nil {
		return nil, err
	}
	step, ok := auth.TOTPStep(key.Secret, strings.Join(strings.Fields(code), ""), a.Now())
	if !ok {
		return nil, invalid("That is not the code of this key at this time. Type the six digits that the app shows now; if they are never right, the clock of one of the two is wrong: it is %s UTC here.", a.Now().UTC().Format("15:04:05"))
	}
	recovery, hashes := auth.NewRecoveryCodes()
	noted := a.noting(ctx, "two-factor.on", account.Address.String(), twoFactorState{false}, twoFactorState{true})
	err = a.Store.TurnTwoFactorOn(noted, account.ID, step, a.Now(), hashes, but)
	if errors.Is(err, store.ErrConflict) {
		return nil, conflict("The second factor of %s is on already.", account.Address)
	}
	if err != nil {
		return nil, err
	}
	return recovery, nil
}

// TurnTwoFactorOff has the password alone open the web page again: for who has lost
// the telephone.
func (a *Admin) TurnTwoFactorOff(ctx context.Context, address string) error {
	account, err := a.account(ctx, address)
	if err != nil {
		return err
	}
	noted := a.noting(ctx, "two-factor.off", account.Address.String(), twoFactorState{true}, twoFactorState{false})
	err = a.Store.TurnTwoFactorOff(noted, account.ID)
	if errors.Is(err, store.ErrNotFound) {
		return notFound(textTwoFactorOff, account.Address)
	}
	return err
}

// RenewRecoveryCodes returns new recovery codes, which are shown this once. The old
// ones don't count any more.
func (a *Admin) RenewRecoveryCodes(ctx context.Context, address string) ([]string, error) {
	account, err := a.account(ctx, address)
	if err != nil {
		return nil, err
	}
	if account.TwoFactor.IsZero() {
		return nil, notFound(textTwoFactorOff, account.Address)
	}
	left, err := a.Store.RecoveryCodes(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	codes, hashes := auth.NewRecoveryCodes()
	was, is := recoveryState{fmt.Sprintf("%d left", left)}, recoveryState{fmt.Sprintf("%d new", len(codes))}
	noted := a.noting(ctx, "two-factor.codes", account.Address.String(), was, is)
	if err := a.Store.SetRecoveryCodes(noted, account.ID, hashes); err != nil {
		return nil, fmt.Errorf("renew recovery codes: %w", err)
	}
	return codes, nil
}
