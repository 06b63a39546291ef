package admin_test

import (
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/auth"
	"postroom/store/mail"
)

// id returns the ID of an account.
func (f *fixture) id(address string) store.AccountID {
	f.t.Helper()
	parsed, err := mail.ParseAddress(address)
	f.must(err)
	a, err := f.store.AccountByAddress(f.t.Context(), parsed)
	f.must(err)
	return a.ID
}

// signIn adds a session of the web page, and returns its ID.
func (f *fixture) signIn(address string) int64 {
	f.t.Helper()
	sessions, err := f.Sessions(f.t.Context(), address)
	f.must(err)
	id := int64(100 + len(sessions))
	f.must(f.store.WebSessions().Add(f.t.Context(), string(rune(id)), store.WebSession{
		ID: id, Account: f.id(address), Data: []byte("x"), Began: f.now, Seen: f.now, Expires: f.now.Add(24 * 365 * time.Hour), Client: "192.0.2.1", Agent: "Lynx",
	}))
	return id
}

// code returns what an app shows now for an account's key.
func (f *fixture) code(address string) string {
	f.t.Helper()
	key, err := f.store.TOTPKey(f.t.Context(), f.id(address))
	f.must(err)
	code, err := totp.GenerateCode(auth.TOTPText(key.Secret), f.now)
	f.must(err)
	return code
}

func TestTwoFactor(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	const bob = "bob@example.org"
	_, err := f.NewTOTPKey(ctx, bob, "mail.example.org")
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no key that waits for a code. Begin anew.")
	f.must(f.BeginTwoFactor(ctx, bob))
	key, err := f.NewTOTPKey(ctx, bob, "mail.example.org")
	f.must(err)
	if want := "otpauth://totp/mail.example.org:bob@example.org?secret=" + key.Text + "&issuer=mail.example.org"; key.URL != want || len(key.Text) != 32 {
		t.Errorf("the key is %+v, want %s", key, want)
	}
	_, err = f.ConfirmTwoFactor(ctx, bob, "000000", 0)
	if state, _ := f.TwoFactor(ctx, bob); err == nil || state.On {
		t.Errorf("any code turns it on: %v, %+v", err, state)
	}
	f.now = f.now.Add(time.Hour + time.Second)
	_, err = f.ConfirmTwoFactor(ctx, bob, f.code(bob), 0)
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no key that waits for a code. Begin anew.")
	f.must(f.BeginTwoFactor(ctx, bob))
	code := f.code(bob)
	codes, err := f.ConfirmTwoFactor(ctx, bob, code[:3]+" "+code[3:], 0)
	f.must(err)
	if state, err := f.TwoFactor(ctx, bob); err != nil || len(codes) != 10 || !state.On || state.RecoveryCodes != 10 || !state.Since.Equal(f.now) {
		t.Errorf("%d codes, %+v, %v", len(codes), state, err)
	}
	_, err = f.NewTOTPKey(ctx, bob, "mail.example.org")
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no key that waits for a code. Begin anew.")
	f.fails(f.BeginTwoFactor(ctx, bob), admin.Conflict, store.ErrConflict, "The second factor of bob@example.org is on already. Turn it off first to use another app.")
	if a, err := f.Account(ctx, bob); err != nil || !a.TwoFactor.Equal(f.now) {
		t.Errorf("the account has it since %v, %v", a.TwoFactor, err)
	}
	f.must(f.TurnTwoFactorOff(ctx, bob))
	f.fails(f.TurnTwoFactorOff(ctx, bob), admin.NotFound, store.ErrNotFound, "bob@example.org has no second factor: signing in takes the password alone.")
}
