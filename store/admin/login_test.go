package admin_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"postroom/store/admin"
	"postroom/store/auth"
)

// guess fails to log in so often that the client is blocked.
func (f *fixture) guess(client string) {
	f.t.Helper()
	try := func(password string, want error) {
		_, err := f.Auth.Login(f.t.Context(), auth.Attempt{
			Login: "alice@example.org", Password: password, Client: netip.MustParseAddr(client), Protocol: "pop3s",
		})
		if !errors.Is(err, want) {
			f.t.Errorf("%s: got %v, want %v", password, err, want)
		}
	}
	var together sync.WaitGroup // so that their delays are over together
	for i := range 10 {
		together.Go(func() { try(fmt.Sprint("guess ", i), auth.ErrDenied) })
	}
	together.Wait()
	try("one more", auth.ErrBlocked)
}

func TestLoginBlocks(t *testing.T) {
	f := newFixture(t)
	f.fill()
	if list, err := f.LoginBlocks(t.Context()); err != nil || list == nil || len(list) != 0 {
		t.Errorf("at first: %#v, %v", list, err)
	}
	f.guess("192.0.2.7")
	f.now = f.now.Add(time.Minute)
	f.guess("2001:db8::1")
	list, err := f.LoginBlocks(t.Context())
	f.must(err)
	if len(list) != 2 || list[0].Network != "2001:db8::/64" {
		t.Fatalf("blocks are %+v", list)
	}
	want := admin.LoginBlock{
		Network: "192.0.2.7", Since: f.now.Add(-time.Minute), Until: f.now.Add(9 * time.Minute), Failures: 10, Names: 1, Protocol: "pop3s",
	}
	if list[1] != want {
		t.Errorf("got %+v, want %+v", list[1], want)
	}
}

func TestForgiveLogins(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.guess("192.0.2.7")
	for _, test := range []struct {
		network string
		ended   int
	}{{"192.0.3.0/24", 0}, {" 192.0.2.1/24 ", 1}, {"192.0.2.7", 0}} {
		ended, err := f.ForgiveLogins(t.Context(), test.network)
		if err != nil || len(ended) != test.ended {
			t.Errorf("%q ends %+v, %v", test.network, ended, err)
		}
	}
	f.guess("192.0.2.7") // all of it was forgotten
	for _, bad := range []string{"", "example.org", "192.0.2", "192.0.2.0/33"} {
		_, err := f.ForgiveLogins(t.Context(), bad)
		f.fails(err, admin.Invalid, nil, "is neither an IP address nor a network")
	}
}
