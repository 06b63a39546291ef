package auth

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
)

func TestLend(t *testing.T) {
	f := newFixture(t, Options{})
	password, giveBack := f.Lend(7)
	f.expect(t, "while it is lent", "alice@example.org", password, nil, 0)
	other, giveOtherBack := f.Lend(8)
	defer giveOtherBack()
	f.expect(t, "lent for another account", "alice@example.org", other, ErrDenied, 1)
	if _, err := f.try(t, Attempt{Login: "alice@example.org", Password: password, Web: true}); !errors.Is(err, ErrDenied) {
		t.Errorf("on the web page: %v", err)
	}
	giveBack()
	f.expect(t, "given back", "alice@example.org", password, ErrDenied, 1)
}

func TestCheckCode(t *testing.T) { synctest.Test(t, checksCodes) }

func checksCodes(t *testing.T) {
	f := newFixture(t, Options{})
	code, hash := NewAppPassword()
	check := func(client, code string) error {
		return f.CheckCode(t.Context(), CodeAttempt{Code: code, Want: hash, Client: netip.MustParseAddr(client), For: "setup"})
	}
	for it, typed := range map[string]string{"as shown": code, "in capitals with blanks": strings.ToUpper(strings.ReplaceAll(code, "-", " "))} {
		if err := check("192.0.2.1", typed); err != nil {
			t.Errorf("%s: %v", it, err)
		}
	}
	for range maxGuesses {
		wrong, _ := NewAppPassword()
		if err := check("192.0.2.2", wrong); !errors.Is(err, ErrDenied) && !errors.Is(err, ErrBlocked) {
			t.Fatalf("a wrong one: %v", err)
		}
	}
	if err := check("192.0.2.2", code); !errors.Is(err, ErrBlocked) {
		t.Errorf("after many guesses: %v", err)
	}
	if err := check("192.0.2.1", ""); !errors.Is(err, ErrDenied) {
		t.Errorf("none: %v", err)
	}
	if err := check("192.0.2.1", code); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
}
