package auth

import (
	"context"
	"encoding/base32"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"postroom/store"
)

// factors is a map of second factors.
type factors struct {
	key   store.TOTPKey
	codes map[[32]byte]bool
}

func (f *factors) TOTPKey(_ context.Context, account store.AccountID) (store.TOTPKey, error) {
	if account != f.key.Account {
		return store.TOTPKey{}, store.ErrNotFound
	}
	return f.key, nil
}

func (f *factors) TakeTOTPStep(_ context.Context, _ store.AccountID, step int64) error {
	if step <= f.key.Step {
		return store.ErrConflict
	}
	f.key.Step = step
	return nil
}

func (f *factors) TakeRecoveryCode(_ context.Context, _ store.AccountID, code [32]byte) error {
	if !f.codes[code] {
		return store.ErrNotFound
	}
	delete(f.codes, code)
	return nil
}

// RFC 6238, appendix B, cut to six digits.
func TestTOTPStepIsThatOfTheRFC(t *testing.T) {
	secret := []byte("12345678901234567890")
	if got := TOTPText(secret); got != base32.StdEncoding.EncodeToString(secret) {
		t.Errorf("the key is written %s", got)
	}
	for at, code := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		for skew, want := range map[int64]bool{-60: false, -30: true, 0: true, 30: true, 60: false} {
			if at+skew < 0 {
				continue
			}
			step, ok := TOTPStep(secret, code, time.Unix(at+skew, 0))
			if ok != want || ok && step != at/30 {
				t.Errorf("%s at %d%+d: step %d, %t", code, at, skew, step, ok)
			}
		}
	}
	for _, wrong := range []string{"", "28708", "2870820", "287082 ", "２８７０８２"} {
		if _, ok := TOTPStep(secret, wrong, time.Unix(59, 0)); ok {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestSecondStepTakesEachCodeOnce(t *testing.T) {
	shown, hashes := NewRecoveryCodes()
	f := &factors{key: store.TOTPKey{Account: 7, Secret: []byte("12345678901234567890")}, codes: make(map[[32]byte]bool)}
	for _, h := range hashes {
		f.codes[h] = true
	}
	var logins []store.Login
	a := newFixture(t, Options{Factors: f, Noted: func(l store.Login) { logins = append(logins, l) }})
	now := a.now
	account, err := a.find(t.Context(), "alice@example.org")
	if err != nil || account.ID != 7 {
		t.Fatalf("alice is %+v, %v", account, err)
	}
	client := netip.MustParseAddr("192.0.2.1")
	code := func(at time.Time) string {
		c, err := totp.GenerateCode(TOTPText(f.key.Secret), at)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := code(now)
	steps := []struct {
		name, code string
		want       error
	}{
		{"takes the code of now", first[:3] + " " + first[3:], nil},
		{"doesn't take it again", first, ErrDenied},
		{"doesn't take the one before", code(now.Add(-30 * time.Second)), ErrDenied},
		{"takes the next one", code(now.Add(30 * time.Second)), nil},
		{"takes a recovery code in any form", "  " + shown[2][:4] + shown[2][5:], nil},
		{"doesn't take it again either", shown[2], ErrDenied},
		{"takes no nonsense", "abcd-efgh-ijkl-mnop", ErrDenied},
		{"takes nothing", "", ErrDenied},
	}
	for _, s := range steps {
		if err := a.SecondStep(t.Context(), SecondAttempt{Account: account, Code: s.code, Client: client, Protocol: "web"}); !errors.Is(err, s.want) {
			t.Errorf("it %s: %v, want %v", s.name, err, s.want)
		}
	}
	if len(logins) != 3 || logins[0] != (store.Login{Account: 7, Protocol: "web", At: now, Client: client}) {
		t.Errorf("logins are %+v", logins)
	}
	account.Secret.Hash = "another"
	if err := a.SecondStep(t.Context(), SecondAttempt{Account: account, Code: shown[3], Client: client}); !errors.Is(err, ErrDenied) {
		t.Errorf("after a new password: %v", err)
	}
}

func TestLoginsAreNoted(t *testing.T) {
	var logins []store.Login
	f := newFixture(t, Options{Noted: func(l store.Login) { logins = append(logins, l) }})
	shown, hash := NewAppPassword()
	f.dir.apps[hash] = store.AppPassword{ID: 3, Account: 7, Name: "Phone", Hash: hash}
	client := netip.MustParseAddr("192.0.2.1")
	login := func(protocol, password string) {
		t.Helper()
		attempt := Attempt{Login: "alice@example.org", Password: password, Client: client, Protocol: protocol, Web: protocol == "web"}
		if _, err := f.Login(t.Context(), attempt); err != nil && !errors.Is(err, ErrDenied) {
			t.Fatal(err)
		}
	}
	login("smtp", alicesPassword)
	login("submissions", shown)
	login("pop3s", shown)
	login("web", alicesPassword)
	login("pop3", "wrong")
	f.dir.set(func(a *store.Account) { a.TwoFactor = f.now })
	login("web", alicesPassword) // half the way
	login("submission", alicesPassword)
	want := []store.Login{
		{Account: 7, Protocol: "submission", At: f.now, Client: client},
		{Account: 7, Protocol: "submission", At: f.now, Client: client, AppPassword: "Phone"},
		{Account: 7, Protocol: "pop3", At: f.now, Client: client, AppPassword: "Phone"},
		{Account: 7, Protocol: "web", At: f.now, Client: client},
		{Account: 7, Protocol: "submission", At: f.now, Client: client},
	}
	if !slices.Equal(logins, want) {
		t.Errorf("logins are\n%+v, want\n%+v", logins, want)
	}
}
