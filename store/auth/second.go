package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"postroom/store"
)

// Factors keeps second factors.
type Factors interface {
	// TOTPKey returns the key of an account, or fails with store.ErrNotFound.
	TOTPKey(ctx context.Context, account store.AccountID) (store.TOTPKey, error)
	// TakeTOTPStep fails with store.ErrConflict if the code of a step, or of a later
	// one, has been taken before.
	TakeTOTPStep(ctx context.Context, account store.AccountID, step int64) error
	// TakeRecoveryCode uses a recovery code up, or fails with store.ErrNotFound.
	TakeRecoveryCode(ctx context.Context, account store.AccountID, code [32]byte) error
}

// ErrCodes says that too many wrong codes were given for the account, from wherever:
// for a while none is looked at but recovery codes, which can't be guessed.
var ErrCodes = errors.New("too many wrong codes")

// What apps that show codes do unless they are told otherwise (RFC 6238), and the
// only thing that all of them do.
const (
	totpPeriod = 30 // seconds
	totpSkew   = 1  // steps that a clock may be wrong by
	totpSecret = 20 // octets
	totpDigits = 6
)

// maxWrongCodes bounds what all addresses together may guess of one account's codes
// within an hour. The password is known to who gets as far as that, so nobody else
// can lock the owner out.
const maxWrongCodes = 30

// A SecondAttempt is one try at the code of an account's second factor.
type SecondAttempt struct {
	Account  store.Account // as Login returned it
	Code     string        // six digits, or a recovery code
	Client   netip.Addr
	Protocol string
}

// SecondStep reports by nil that a code is the account's: of the time now, give or
// take half a minute, and not taken before; or one of its recovery codes, which is
// used up. It fails as Login does, counts wrong codes with wrong passwords, and
// fails with ErrCodes if there were too many for the account.
func (a *Authenticator) SecondStep(ctx context.Context, attempt SecondAttempt) error {
	if err := a.Confirm(ctx, attempt.Account); err != nil {
		return err
	}
	code := strings.Join(strings.Fields(attempt.Code), "")
	t := try{attempt.Client, attempt.Account.ID, attempt.Account.Address.String(), code, attempt.Protocol}
	if err := a.guard.admit(t); err != nil {
		return err
	}
	ok, err := a.takesRecoveryCode(ctx, attempt.Account.ID, code)
	if err != nil {
		return err
	}
	if !ok {
		if err := a.guard.admitCode(attempt.Account.ID); err != nil {
			return err
		}
		if ok, err = a.takesCode(ctx, attempt.Account.ID, code); err != nil {
			return err
		}
	}
	if !ok {
		a.guard.wrongCode(t)
		return a.deny(ctx, t, attempt.Account)
	}
	a.succeed(t, "")
	return nil
}

// takesCode reports whether a code is that of an account's key now, and that it
// wasn't before.
func (a *Authenticator) takesCode(ctx context.Context, id store.AccountID, code string) (bool, error) {
	if a.factors == nil {
		return false, nil
	}
	key, err := a.factors.TOTPKey(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	step, ok := TOTPStep(key.Secret, code, a.now())
	if !ok {
		return false, nil
	}
	err = a.factors.TakeTOTPStep(ctx, id, step)
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

func (a *Authenticator) takesRecoveryCode(ctx context.Context, id store.AccountID, code string) (bool, error) {
	hash, ok := hashRecoveryCode(code)
	if !ok || a.factors == nil {
		return false, nil
	}
	err := a.factors.TakeRecoveryCode(ctx, id, hash)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// admitCode fails with ErrCodes if too many wrong codes were given for an account.
func (g *Guard) admitCode(id store.AccountID) error {
	if !g.opts.Enabled() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.codes.get(id)
	if t == nil || g.opts.Now().Sub(t.last) >= countsFor {
		return nil
	}
	if t.failures >= maxWrongCodes {
		return ErrCodes
	}
	return nil
}

// wrongCode counts a wrong code for its account.
func (g *Guard) wrongCode(t try) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.codes.make(t.account).add(g.mac(t.name, t.password), g.mac(t.name), g.opts.Now())
}

// TOTPStep returns the step of time whose code is the one given, of now or next to
// it, and reports whether there is one (RFC 6238).
func TOTPStep(secret []byte, code string, now time.Time) (step int64, ok bool) {
	key := TOTPText(secret)
	current := now.Unix() / totpPeriod
	for at := current - totpSkew; at <= current+totpSkew; at++ {
		want, err := hotp.GenerateCodeCustom(key, uint64(at), hotp.ValidateOpts{Digits: totpDigits, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = at, true
		}
	}
	return step, ok
}

// NewTOTPSecret returns a new key for TOTP.
func NewTOTPSecret() []byte { return randomBytes(totpSecret) }

var base32Secret = base32.StdEncoding.WithPadding(base32.NoPadding)

// TOTPText writes a key as it is typed into an app.
func TOTPText(secret []byte) string { return base32Secret.EncodeToString(secret) }

// TOTPURL writes a key as apps read it from a QR code: the server's name and the
// account's are what the app calls it.
func TOTPURL(secret []byte, server, account string) string {
	label := url.PathEscape(server) + ":" + url.PathEscape(account)
	return fmt.Sprintf("otpauth://totp/%s?secret=%s&issuer=%s", label, TOTPText(secret), url.QueryEscape(server))
}

// RecoveryCodeCount is how many recovery codes an account gets.
const RecoveryCodeCount = 10

// recoveryCodeLength is in letters of base32: 80 bits, which need only a fast hash.
const recoveryCodeLength = 16

// NewRecoveryCodes returns new recovery codes as they are shown to their user, and
// the hashes that are kept of them.
func NewRecoveryCodes() (shown []string, hashes [][32]byte) {
	for range RecoveryCodeCount {
		text := randomText()[:recoveryCodeLength]
		shown = append(shown, group(text, 4))
		hashes = append(hashes, sha256.Sum256([]byte(text)))
	}
	return shown, hashes
}

// hashRecoveryCode returns the hash of what a user typed, whatever its case, blanks
// and dashes. It reports false for what has not the form of a recovery code.
func hashRecoveryCode(typed string) ([32]byte, bool) {
	if len(typed) > 2*recoveryCodeLength {
		return [32]byte{}, false
	}
	text := strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(typed))
	if len(text) != recoveryCodeLength || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return [32]byte{}, false
	}
	return sha256.Sum256([]byte(text)), true
}
