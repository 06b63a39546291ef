package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"postroom/store"
)

// How long a sign-in lasts: without a request, and at most.
const (
	sessionIdle     = 4 * time.Hour
	sessionLifetime = 7 * 24 * time.Hour
	// sessionTouch is how stale the time of the last request may become, so that
	// reading pages doesn't write to the database each time.
	sessionTouch = 5 * time.Minute
	// confirmFor is how long a password that was given counts for what is dangerous.
	confirmFor = 10 * time.Minute
)

// Keys of a session's values.
const (
	keyID      = "id"      // int64, random
	keyAccount = "account" // int64
	keyHalf    = "half"    // int64, the account whose password was right, but no code was given yet
	keyBegan   = "began"   // int64, seconds since 1970
	keyProof   = "proof"   // []byte, see proofOf
	keySeen    = "seen"    // int64, seconds since 1970
	keyGiven   = "given"   // int64, when the password was given last
	keyFlash   = "flash"   // string, a notice for the next page
	keyTone    = "tone"    // string, that of the notice
)

// errSignedOut says that nobody is signed in, or somebody who may not be here.
var errSignedOut = errors.New("not signed in")

func newSessions(sessions Sessions) *scs.SessionManager {
	m := scs.New()
	m.Store = keeper{sessions}
	m.Lifetime = sessionLifetime
	m.HashTokenInStore = true
	return m
}

// proofOf ties a session to the password that opened it: a new password ends
// the sessions of the old one. The salted hash itself is not copied.
func proofOf(a store.Account) []byte {
	sum := sha256.Sum256([]byte("session\x00" + a.Secret.Hash))
	return sum[:]
}

// proves reports whether the session was opened with the password that a has now.
func (v *visit) proves(a store.Account) bool {
	return subtle.ConstantTimeCompare(v.sessions.GetBytes(v.r.Context(), keyProof), proofOf(a)) == 1
}

// load finds the session of the request's cookie, or begins an empty one, which
// is kept only if something is put into it.
func (v *visit) load() error {
	var token string
	if c, err := v.r.Cookie(v.cookieName()); err == nil {
		token = c.Value
	}
	ctx, err := v.sessions.Load(v.r.Context(), token)
	if err != nil {
		return fmt.Errorf("load session: %w", err)
	}
	v.r = v.r.WithContext(ctx)
	v.fresh = v.sessions.Token(ctx) == ""
	return nil
}

// identify finds out who is signed in, anew for each request: an account that
// was disabled, removed or has a new password is signed out (errSignedOut).
func (v *visit) identify() error {
	ctx := v.r.Context()
	id := store.AccountID(v.sessions.GetInt64(ctx, keyAccount))
	if id == 0 {
		return errSignedOut
	}
	a, err := v.Accounts.Account(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return v.forget()
	case err != nil:
		return fmt.Errorf("look up who is signed in: %w", err)
	}
	now := v.Now()
	seen := time.Unix(v.sessions.GetInt64(ctx, keySeen), 0)
	if a.Disabled || !v.proves(a) || now.Sub(seen) > sessionIdle {
		return v.forget()
	}
	if now.Sub(seen) > sessionTouch {
		v.sessions.Put(ctx, keySeen, now.Unix())
	}
	v.user = &a
	return nil
}

// forget ends a session that is worth nothing any more.
func (v *visit) forget() error {
	if err := v.sessions.Destroy(v.r.Context()); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return errSignedOut
}

// begin signs a in.
func (v *visit) begin(a store.Account) error {
	if err := v.renew(); err != nil {
		return err
	}
	ctx := v.r.Context()

	v.sessions.Remove(ctx, keyHalf)
	v.sessions.Put(ctx, keyAccount, int64(a.ID))
	v.sessions.Put(ctx, keyProof, proofOf(a))
	v.sessions.Put(ctx, keySeen, v.Now().Unix())
	v.sessions.Put(ctx, keyGiven, v.Now().Unix())
	return nil
}

// renew gives the session a new token, so that one planted beforehand is worth
// nothing.
func (v *visit) renew() error {
	ctx := v.r.Context()
	if err := v.sessions.RenewToken(ctx); err != nil {
		return fmt.Errorf("renew session: %w", err)
	}
	v.sessions.Put(ctx, keyID, newSessionID())
	v.sessions.Put(ctx, keyBegan, v.Now().Unix())
	v.fresh = true
	return nil
}

// newSessionID returns what names a session on pages. It is no secret.
func newSessionID() int64 { return rand.Int64N(math.MaxInt64-1) + 1 }

// save commits what the handler changed in the session and sets the cookie. It
// comes before the first byte of the answer.
func (v *visit) save() error {
	ctx := v.r.Context()
	switch v.sessions.Status(ctx) {
	case scs.Modified:
		token, expiry, err := v.commit()
		switch {
		case errors.Is(err, store.ErrNotFound): // ended from elsewhere while this request ran
			v.setCookie("", time.Unix(1, 0))
		case err != nil:
			return fmt.Errorf("save session: %w", err)
		default:
			v.setCookie(token, expiry)
		}
	case scs.Destroyed:
		v.setCookie("", time.Unix(1, 0))
	}
	return nil
}

func (v *visit) setCookie(token string, expires time.Time) {
	c := &http.Cookie{
		Name:     v.cookieName(),
		Value:    token,
		Path:     "/",
		Expires:  expires,
		HttpOnly: true,
		Secure:   v.secure(),
		SameSite: http.SameSiteLaxMode,
	}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(v.w, c)
}

// cookieName returns the name of the session's cookie. Over TLS its prefix
// makes browsers refuse one that another host or a plain connection planted.
func (v *visit) cookieName() string {
	if v.secure() {
		return "__Host-postroom"
	}
	return "postroom"
}
