package auth

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"postroom/store"
)

// exchange logs in over SCRAM the way a client does.
func (f *fixture) exchange(t *testing.T, user, password, authzID string) (store.Account, error) {
	t.Helper()
	client, err := scram.SHA256.NewClient(user, password, authzID)
	if err != nil {
		t.Fatal(err)
	}
	conv := client.NewConversation()
	x := f.StartSCRAM(t.Context(), netip.MustParseAddr("192.0.2.1"), "submission")
	if challenge, done, err := x.Next(nil); done || err != nil || len(challenge) != 0 {
		t.Errorf("without an initial response: %q, %v, %v", challenge, done, err)
	}
	challenge := ""
	for range 5 {
		response, err := conv.Step(challenge)
		if err != nil {
			t.Fatalf("client: %v", err)
		}
		next, done, err := x.Next([]byte(response))
		if err != nil || done {
			return x.Account(), err
		}
		challenge = string(next)
	}
	t.Fatal("the exchange doesn't end")
	return store.Account{}, nil
}

func TestSCRAM(t *testing.T) {
	f := newFixture(t, Options{SCRAM: true})
	for _, test := range []struct {
		it, user, password, authzID string
		want                        error
	}{
		{"lets in", "alice@example.org", alicesPassword, "", nil},
		{"folds case of the name", "Alice@Example.org", alicesPassword, "", nil},
		{"lets in as oneself", "alice@example.org", alicesPassword, "alice@example.org", nil},
		{"lets nobody in as another", "alice@example.org", alicesPassword, "bob@example.org", ErrDenied},
		{"denies a wrong password", "alice@example.org", "wrong password", "", ErrDenied},
		{"denies strangers", "bob@example.org", alicesPassword, "", ErrDenied},
	} {
		t.Run(test.it, func(t *testing.T) {
			account, err := f.exchange(t, test.user, test.password, test.authzID)
			if !errors.Is(err, test.want) || (err == nil) != (account.ID == 7) {
				t.Errorf("got account %v, %v, want %v", account.ID, err, test.want)
			}
		})
	}
	f.dir.set(func(a *store.Account) { a.Disabled = true })
	if _, err := f.exchange(t, "alice@example.org", alicesPassword, ""); !errors.Is(err, ErrDenied) {
		t.Errorf("disabled: %v", err)
	}
}

func TestSCRAMWithoutKeys(t *testing.T) {
	f := newFixture(t, Options{})
	if _, err := f.exchange(t, "alice@example.org", alicesPassword, ""); !errors.Is(err, ErrDenied) {
		t.Errorf("got %v", err)
	}
}

// saltOf returns the salt and the iterations that a name is told.
func (f *fixture) saltOf(t *testing.T, user string) string {
	t.Helper()
	x := f.StartSCRAM(t.Context(), netip.Addr{}, "pop3")
	challenge, _, err := x.Next([]byte("n,,n=" + user + ",r=abcdefgh"))
	if err != nil {
		t.Fatal(err)
	}
	_, salt, _ := strings.Cut(string(challenge), ",")
	return salt
}

func TestSCRAMDoesNotTellWhoIsKnown(t *testing.T) {
	f := newFixture(t, Options{SCRAM: true})
	first, again, other := f.saltOf(t, "bob"), f.saltOf(t, "BOB"), f.saltOf(t, "carol")
	if first != again || first == other {
		t.Errorf("salts of strangers are %s, %s and %s, want the same for the same", first, again, other)
	}
	known := f.saltOf(t, "alice@example.org")
	if len(known) != len(first) || !strings.HasSuffix(known, ",i=32768") || !strings.HasSuffix(first, ",i=32768") {
		t.Errorf("a known name is told %s, a stranger %s", known, first)
	}
}

func TestSCRAMSurvivesNonsense(t *testing.T) {
	f := newFixture(t, Options{SCRAM: true})
	for _, messages := range [][]string{
		{""},
		{"nonsense"},
		{"y,,n=alice@example.org"},
		{"p=tls-unique,,n=alice@example.org,r=abcdefgh"},
		{"n,,n=alice@example.org,r=abcdefgh", "nonsense"},
		{"n,,n=alice@example.org,r=abcdefgh", "c=biws,r=abcdefgh,p=AAAA"},
	} {
		x := f.StartSCRAM(t.Context(), netip.Addr{}, "pop3")
		var err error
		for _, m := range messages {
			_, _, err = x.Next([]byte(m))
		}
		if !errors.Is(err, ErrDenied) || x.Account().ID != 0 {
			t.Errorf("%q: got account %v, %v", messages, x.Account().ID, err)
		}
		if _, done, err := x.Next(nil); err == nil || done {
			t.Errorf("%q: going on is possible", messages)
		}
	}
	f.dir.err = errors.New("disk on fire")
	x := f.StartSCRAM(t.Context(), netip.Addr{}, "pop3")
	if _, _, err := x.Next([]byte("n,,n=alice@example.org,r=abcdefgh")); !errors.Is(err, f.dir.err) {
		t.Errorf("got %v, want the store's own error", err)
	}
}
