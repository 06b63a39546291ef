package storetest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"postroom/store"
)

// SignInStore is what the tests need on how people sign in.
type SignInStore interface {
	SetTOTPKey(ctx context.Context, key store.TOTPKey) error
	TOTPKey(ctx context.Context, account store.AccountID) (store.TOTPKey, error)
	TakeTOTPStep(ctx context.Context, account store.AccountID, step int64) error
	TurnTwoFactorOn(ctx context.Context, account store.AccountID, step int64, at time.Time, codes [][32]byte, but int64) error
	TurnTwoFactorOff(ctx context.Context, account store.AccountID) error
	SetRecoveryCodes(ctx context.Context, account store.AccountID, codes [][32]byte) error
	RecoveryCodes(ctx context.Context, account store.AccountID) (int, error)
	TakeRecoveryCode(ctx context.Context, account store.AccountID, code [32]byte) error
	NoteLogin(login store.Login)
	NoteFailedLogin(login store.Login)
	LastLogins(ctx context.Context, account store.AccountID) ([]store.Login, error)
	LoginSources(ctx context.Context, account store.AccountID) ([]store.LoginSource, error)
}

func keepsSecondFactors(t *testing.T, f *fixture) {
	ctx := t.Context()
	fails := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	_, err := f.TOTPKey(ctx, f.alice)
	fails("there is no key", err, store.ErrNotFound)
	fails("turn on without a key", f.TurnTwoFactorOn(ctx, f.alice, 1, f.now, nil, 0), store.ErrConflict)
	fails("turn off what is off", f.TurnTwoFactorOff(ctx, f.alice), store.ErrNotFound)
	f.must(f.SetTOTPKey(ctx, store.TOTPKey{Account: f.alice, Secret: []byte("first"), Created: f.now}))
	f.must(f.SetTOTPKey(ctx, store.TOTPKey{Account: f.alice, Secret: []byte("second"), Created: f.now}))
	if a, err := f.Account(ctx, f.alice); err != nil || !a.TwoFactor.IsZero() {
		t.Errorf("it is on before a code was seen: %v, %v", a.TwoFactor, err)
	}
	codes := [][32]byte{{1}, {2}, {3}}
	f.must(f.TurnTwoFactorOn(ctx, f.alice, 100, f.now, codes, 0))
	fails("turn on again", f.TurnTwoFactorOn(ctx, f.alice, 101, f.now, nil, 0), store.ErrConflict)
	fails("another key", f.SetTOTPKey(ctx, store.TOTPKey{Account: f.alice, Secret: []byte("third")}), store.ErrConflict)
	fails("the same code again", f.TakeTOTPStep(ctx, f.alice, 100), store.ErrConflict)
	fails("an earlier code", f.TakeTOTPStep(ctx, f.alice, 99), store.ErrConflict)
	f.must(f.TakeTOTPStep(ctx, f.alice, 102))
	fails("one in between", f.TakeTOTPStep(ctx, f.alice, 101), store.ErrConflict)
	f.must(f.TakeRecoveryCode(ctx, f.alice, codes[1]))
	fails("a recovery code again", f.TakeRecoveryCode(ctx, f.alice, codes[1]), store.ErrNotFound)
	fails("another's recovery code", f.TakeRecoveryCode(ctx, f.bob, codes[0]), store.ErrNotFound)
	f.reopen()
	key, err := f.TOTPKey(ctx, f.alice)
	if a, errAccount := f.Account(ctx, f.alice); err != nil || errAccount != nil || !a.TwoFactor.Equal(f.now) || string(key.Secret) != "second" || key.Step != 102 {
		t.Errorf("the key is %+v since %v, %v, %v", key, a.TwoFactor, err, errAccount)
	}
	left := func(want int) {
		t.Helper()
		if n, err := f.RecoveryCodes(ctx, f.alice); n != want || err != nil {
			t.Errorf("%d recovery codes are left, %v, want %d", n, err, want)
		}
	}
	left(2)
	f.must(f.SetRecoveryCodes(ctx, f.alice, [][32]byte{{4}, {5}, {6}}))
	left(3)
	fails("a code of before", f.TakeRecoveryCode(ctx, f.alice, codes[0]), store.ErrNotFound)
	f.must(f.TurnTwoFactorOff(ctx, f.alice))
	left(0)
	_, err = f.TOTPKey(ctx, f.alice)
	fails("the key is gone", err, store.ErrNotFound)
	if a, err := f.Account(ctx, f.alice); err != nil || !a.TwoFactor.IsZero() {
		t.Errorf("it is still on: %v, %v", a.TwoFactor, err)
	}
}

func keepsLastLogins(t *testing.T, f *fixture) {
	first, second := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::2")
	note := func(protocol string, after time.Duration, client netip.Addr, app string) {
		f.NoteLogin(store.Login{Account: f.alice, Protocol: protocol, At: f.now.Add(after), Client: client, AppPassword: app})
	}
	note("pop3", 0, first, "Phone")
	note("pop3", time.Minute, first, "Phone")
	note("pop3", time.Minute+time.Second, second, "")
	note("web", 0, first, "")
	f.NoteLogin(store.Login{Account: 12345, Protocol: "web", At: f.now})
	f.reopen()
	got, err := f.LastLogins(t.Context(), f.alice)
	f.must(err)
	minute := f.now.Truncate(time.Minute)
	want := []store.Login{
		{Account: f.alice, Protocol: "pop3", At: minute.Add(time.Minute), Client: second},
		{Account: f.alice, Protocol: "web", At: minute, Client: first},
	}
	if len(got) != len(want) {
		t.Fatalf("last logins are %+v, want %+v", got, want)
	}
	for i := range want {
		if !got[i].At.Equal(want[i].At) {
			t.Errorf("login %d was at %v, want %v", i, got[i].At, want[i].At)
		}
		if got[i].At = want[i].At; got[i] != want[i] {
			t.Errorf("login %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

func keepsLoginSources(t *testing.T, f *fixture) {
	login := func(client string, after time.Duration) store.Login {
		return store.Login{Account: f.alice, Protocol: "pop3", At: f.now.Add(after), Client: netip.MustParseAddr(client)}
	}
	f.NoteLogin(login("192.0.2.1", 0))
	f.NoteLogin(login("2001:db8::1", time.Minute))
	f.NoteLogin(login("2001:db8::2", 2*time.Minute))
	f.NoteFailedLogin(login("192.0.2.1", 3*time.Minute))
	f.NoteFailedLogin(login("192.0.2.1", 3*time.Minute))
	for i := range 25 {
		f.NoteFailedLogin(login(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).String(), time.Duration(10+i)*time.Minute))
	}
	f.NoteFailedLogin(store.Login{Account: 12345, Protocol: "web", At: f.now, Client: netip.MustParseAddr("192.0.2.9")})
	f.reopen()
	var well, failed []store.LoginSource
	all, err := f.LoginSources(t.Context(), f.alice)
	f.must(err)
	for _, s := range all {
		if s.Failed {
			failed = append(failed, s)
		} else {
			well = append(well, s)
		}
	}
	minute := f.now.Truncate(time.Minute)
	if len(well) != 2 || well[0].Network.String() != "2001:db8::/64" || !well[0].First.Equal(minute.Add(time.Minute)) || !well[0].Last.Equal(minute.Add(2*time.Minute)) ||
		well[1].Network.String() != "192.0.2.1/32" || well[1].Protocol != "pop3" || well[1].Times != 0 {
		t.Errorf("logins came from %+v", well)
	}
	if len(failed) != 20 || failed[0].Network.String() != "203.0.113.24/32" || failed[19].Network.String() != "203.0.113.5/32" || failed[0].Times != 1 {
		t.Errorf("%d failed ones came from %+v", len(failed), failed)
	}
	f.NoteFailedLogin(login("203.0.113.24", time.Hour))
	f.reopen()
	all, err = f.LoginSources(t.Context(), f.alice)
	f.must(err)
	if all[0].Times != 2 || !all[0].Last.Equal(f.now.Add(time.Hour)) {
		t.Errorf("after one more: %+v", all[0])
	}
	f.must(f.RemoveAccount(t.Context(), f.alice))
	if all, err = f.LoginSources(t.Context(), f.alice); err != nil || len(all) != 0 {
		t.Errorf("they outlive the account: %+v, %v", all, err)
	}
}
