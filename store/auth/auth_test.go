package auth

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// A directory is a fake store: accounts by login name, app passwords by hash.
type directory struct {
	mu       sync.Mutex
	accounts map[string]store.Account
	apps     map[[32]byte]store.AppPassword
	touched  []time.Time
	err      error
}

func (d *directory) AccountByLogin(_ context.Context, login string) (store.Account, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return store.Account{}, d.err
	}
	a, ok := d.accounts[strings.ToLower(login)]
	if !ok {
		return store.Account{}, store.ErrNotFound
	}
	return a, nil
}

func (d *directory) AppPasswordByHash(_ context.Context, hash [32]byte) (store.AppPassword, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.apps[hash]
	if !ok {
		return store.AppPassword{}, store.ErrNotFound
	}
	return p, nil
}

func (d *directory) TouchAppPassword(_ context.Context, id int64, at time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.touched = append(d.touched, at)
	for hash, p := range d.apps {
		if p.ID == id {
			p.LastUsed = at.Truncate(time.Hour)
			d.apps[hash] = p
		}
	}
	return nil
}

func (d *directory) set(change func(*store.Account)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.accounts["alice@example.org"]
	change(&a)
	d.accounts["alice@example.org"] = a
}

// A fixture is an Authenticator over one account, alice, that counts hashes.
type fixture struct {
	*Authenticator
	dir    *directory
	now    time.Time
	hashes int
}

const alicesPassword = "correct horse"

func newFixture(t testing.TB, opts Options) *fixture {
	t.Helper()
	f := &fixture{
		dir: &directory{accounts: make(map[string]store.Account), apps: make(map[[32]byte]store.AppPassword)},
		now: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC),
	}
	opts.Now = func() time.Time { return f.now }
	f.Authenticator = New(f.dir, opts)
	f.derive = func(password string, salt []byte, p params) []byte {
		f.hashes++
		return derive(password, salt, p)
	}
	secret, err := f.NewSecret(t.Context(), alicesPassword)
	if err != nil {
		t.Fatal(err)
	}
	f.dir.accounts["alice@example.org"] = store.Account{
		ID: 7, Address: mail.Address{Local: "alice", Domain: "example.org"}, Secret: secret,
	}
	f.hashes = 0
	return f
}

// login reports what an attempt gives, and how many hashes it cost.
func (f *fixture) login(t testing.TB, login, password string) (hashes int, err error) {
	t.Helper()
	return f.try(t, Attempt{Login: login, Password: password, Client: netip.MustParseAddr("192.0.2.1"), Protocol: "pop3"})
}

func (f *fixture) try(t testing.TB, attempt Attempt) (hashes int, err error) {
	t.Helper()
	before := f.hashes
	account, err := f.Login(t.Context(), attempt)
	if (err == nil) != (account.ID == 7) {
		t.Errorf("account is %v with error %v", account.ID, err)
	}
	return f.hashes - before, err
}

func (f *fixture) expect(t testing.TB, what, login, password string, want error, hashes int) {
	t.Helper()
	n, err := f.login(t, login, password)
	if !errors.Is(err, want) || n != hashes {
		t.Errorf("%s: got %v for %d hashes, want %v for %d", what, err, n, want, hashes)
	}
}

func TestLogin(t *testing.T) {
	f := newFixture(t, Options{})
	f.expect(t, "first login", "alice@example.org", alicesPassword, nil, 1)
	f.expect(t, "polling", "alice@example.org", alicesPassword, nil, 0)
	f.expect(t, "another way to write the name", "ALICE@example.org", alicesPassword, nil, 0)
	f.expect(t, "wrong password", "alice@example.org", "correct hors", ErrDenied, 1)
	f.expect(t, "wrong password again", "alice@example.org", "correct hors", ErrDenied, 1)
	f.expect(t, "unknown name", "bob@example.org", alicesPassword, ErrDenied, 1)
	f.expect(t, "unknown name again", "bob@example.org", alicesPassword, ErrDenied, 1)
	f.expect(t, "empty password", "alice@example.org", "", ErrDenied, 1)
	f.expect(t, "huge password", "alice@example.org", strings.Repeat("x", 1<<20), ErrDenied, 1)
	f.expect(t, "right password after wrong ones", "alice@example.org", alicesPassword, nil, 0)
}

func TestLoginWithoutPasswordSet(t *testing.T) {
	f := newFixture(t, Options{})
	f.dir.set(func(a *store.Account) { a.Secret = store.Secret{} })
	f.expect(t, "no secret", "alice@example.org", "", ErrDenied, 1)
}

func TestDisabledAccountIsDeniedTheSameWay(t *testing.T) {
	f := newFixture(t, Options{})
	f.expect(t, "enabled", "alice@example.org", alicesPassword, nil, 1)
	f.dir.set(func(a *store.Account) { a.Disabled = true })
	f.expect(t, "disabled, remembered", "alice@example.org", alicesPassword, ErrDenied, 1)
	shown, hash := NewAppPassword()
	f.dir.apps[hash] = store.AppPassword{ID: 1, Account: 7, Hash: hash}
	f.expect(t, "disabled, app password", "alice@example.org", shown, ErrDenied, 1)
}

func TestRememberedLoginsEnd(t *testing.T) {
	f := newFixture(t, Options{})
	f.expect(t, "first", "alice@example.org", alicesPassword, nil, 1)
	f.now = f.now.Add(50 * time.Minute)
	f.expect(t, "after 50 minutes", "alice@example.org", alicesPassword, nil, 0)
	f.now = f.now.Add(50 * time.Minute)
	f.expect(t, "50 minutes after that", "alice@example.org", alicesPassword, nil, 0)
	f.now = f.now.Add(61 * time.Minute)
	f.expect(t, "after an hour of disuse", "alice@example.org", alicesPassword, nil, 1)
	f.Forget(7)
	f.expect(t, "after Forget", "alice@example.org", alicesPassword, nil, 1)

	changed, err := f.NewSecret(t.Context(), "another one")
	if err != nil {
		t.Fatal(err)
	}
	f.dir.set(func(a *store.Account) { a.Secret = changed })
	f.expect(t, "old password", "alice@example.org", alicesPassword, ErrDenied, 1)
	f.expect(t, "new password", "alice@example.org", "another one", nil, 1)
}

// The connections of a mail program open together, each with the same password.
func TestManyAtOnceShareOneHash(t *testing.T) {
	f := newFixture(t, Options{Slots: 1})
	begun, finish := make(chan struct{}), make(chan struct{})
	f.derive = func(password string, salt []byte, p params) []byte {
		f.hashes++
		close(begun) // a second time panics
		<-finish
		return derive(password, salt, p)
	}
	var logins sync.WaitGroup
	try := func(password string, want error) {
		logins.Go(func() {
			attempt := Attempt{Login: "alice@example.org", Password: password, Client: netip.MustParseAddr("192.0.2.1")}
			if _, err := f.Login(context.Background(), attempt); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
	try(alicesPassword, nil)
	<-begun
	for range 9 {
		try(alicesPassword, nil)
	}
	close(finish)
	logins.Wait()
	if f.hashes != 1 {
		t.Errorf("%d hashes, want 1", f.hashes)
	}
}

func TestRememberedLoginsAreBounded(t *testing.T) {
	r := newRemembered()
	now := time.Now()
	marks := make([]mark, maxRemembered+1)
	for i := range marks {
		marks[i] = r.mark(store.Account{ID: store.AccountID(i)}, "x")
		r.add(store.AccountID(i), marks[i], now)
		if i == 10 && !r.has(marks[0], now) {
			t.Error("the first is forgotten at once")
		}
	}
	if len(r.by) != maxRemembered || r.used.Len() != maxRemembered {
		t.Errorf("%d are kept, %d in order of use, want %d", len(r.by), r.used.Len(), maxRemembered)
	}
	if !r.has(marks[0], now) || r.has(marks[1], now) {
		t.Error("the one that wasn't used for longest should be forgotten")
	}
}

func TestPasswordChangedDuringLogin(t *testing.T) {
	f := newFixture(t, Options{})
	f.derive = func(password string, salt []byte, p params) []byte {
		f.dir.set(func(a *store.Account) { a.Secret.Hash += "x" })
		f.Forget(7)
		return derive(password, salt, p)
	}
	if _, err := f.login(t, "alice@example.org", alicesPassword); !errors.Is(err, ErrDenied) {
		t.Errorf("got %v, want it denied", err)
	}
}

func TestAppPassword(t *testing.T) {
	f := newFixture(t, Options{})
	shown, hash := NewAppPassword()
	f.dir.apps[hash] = store.AppPassword{ID: 1, Account: 7, Hash: hash}
	other, otherHash := NewAppPassword()
	f.dir.apps[otherHash] = store.AppPassword{ID: 2, Account: 8, Hash: otherHash}

	f.expect(t, "as shown", "alice@example.org", shown, nil, 0)
	f.expect(t, "without dashes", "alice@example.org", strings.ReplaceAll(shown, "-", ""), nil, 0)
	f.expect(t, "with blanks, in capitals", "alice@example.org", " "+strings.ToUpper(strings.ReplaceAll(shown, "-", " ")), nil, 0)
	f.expect(t, "another account's", "alice@example.org", other, ErrDenied, 1)
	f.expect(t, "with a letter missing", "alice@example.org", shown[1:], ErrDenied, 1)
	if want := []time.Time{f.now}; !slices.Equal(f.dir.touched, want) {
		t.Errorf("use was noted at %v, want once in an hour", f.dir.touched)
	}
	web := Attempt{Login: "alice@example.org", Password: shown, Protocol: "web", Web: true}
	if n, err := f.try(t, web); !errors.Is(err, ErrDenied) || n != 1 {
		t.Errorf("on the web page: %v for %d hashes", err, n)
	}
}

func TestAppPasswordNeedsNoSlot(t *testing.T) {
	f := newFixture(t, Options{Slots: 1})
	f.expect(t, "to be remembered", "alice@example.org", alicesPassword, nil, 1)
	shown, hash := NewAppPassword()
	f.dir.apps[hash] = store.AppPassword{ID: 1, Account: 7, Hash: hash}
	if err := f.slots.acquire(t.Context(), netip.Prefix{}); err != nil {
		t.Fatal(err)
	}
	f.expect(t, "app password", "alice@example.org", shown, nil, 0)
	f.expect(t, "remembered password", "alice@example.org", alicesPassword, nil, 0)
}

func TestOwnTroubleIsNotADenial(t *testing.T) {
	f := newFixture(t, Options{})
	f.dir.err = errors.New("disk on fire")
	if _, err := f.login(t, "alice@example.org", alicesPassword); err == nil || errors.Is(err, ErrDenied) || errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want the store's own error", err)
	}
}

func TestCheckLength(t *testing.T) {
	for password, short := range map[string]bool{"1234567": true, "äöüäöü": true, "12345678": false, "äöüäöüäö": false} {
		if err := CheckLength(password); (err != nil) != short {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestNewSecretJudgesPasswords(t *testing.T) {
	f := newFixture(t, Options{})
	for _, test := range []struct{ it, password, says string }{
		{"refuses none", "", "empty"},
		{"takes a short one", "secret", ""},
		{"refuses a huge one", strings.Repeat("x", 1025), "too long"},
		{"refuses line ends", "good enough\n", "line ends"},
		{"refuses NUL", "good\x00enough", "NUL"},
		{"refuses what is no text", "good\xffenough", "UTF-8"},
		{"takes spaces", "a b c d e", ""},
		{"takes the longest", strings.Repeat("x", 1024), ""},
	} {
		t.Run(test.it, func(t *testing.T) {
			secret, err := f.NewSecret(t.Context(), test.password)
			var bad PasswordError
			switch {
			case test.says == "" && (err != nil || !strings.HasPrefix(secret.Hash, "$argon2id$v=19$m=19456,t=2,p=1$") || secret.SCRAM != ""):
				t.Errorf("got %+v, %v", secret, err)
			case test.says != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), test.says)):
				t.Errorf("got %v, want it to say %q", err, test.says)
			}
		})
	}
}

func TestParseHash(t *testing.T) {
	h := hash{current, randomBytes(saltSize), randomBytes(keySize)}
	got, ok := parseHash(h.String())
	if !ok || got.params != h.params || !slices.Equal(got.salt, h.salt) || !got.equal(h.key) {
		t.Errorf("got %+v, %v, want %+v", got, ok, h)
	}
	text := h.String()
	for it, s := range map[string]string{
		"refuses nothing":        "",
		"refuses another kind":   strings.Replace(text, "argon2id", "argon2i", 1),
		"refuses other versions": strings.Replace(text, "v=19", "v=16", 1),
		"refuses no time":        strings.Replace(text, "t=2", "t=0", 1),
		"refuses no threads":     strings.Replace(text, "p=1", "p=0", 1),
		"refuses huge memory":    strings.Replace(text, "m=19456", "m=99999999", 1),
		"refuses a cut key":      text[:len(text)-8],
	} {
		t.Run(it, func(t *testing.T) {
			if got, ok := parseHash(s); ok {
				t.Errorf("%q gives %+v", s, got)
			}
		})
	}
}

func TestGeneratedPasswords(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		p := GeneratePassword()
		if seen[p] || checkPassword(p) != nil || len(p) != 20 || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz234567-") != "" {
			t.Errorf("generated %q", p)
		}
		seen[p] = true
	}
	if len(slices.Collect(maps.Keys(seen))) != 100 {
		t.Error("some are the same")
	}
}

func TestForgetEndsSessions(t *testing.T) {
	f := newFixture(t, Options{})
	ended := make(map[string]int)
	track := func(id store.AccountID, name string) func() {
		return f.Track(id, func() { ended[name]++ })
	}
	one, two, other := track(7, "one"), track(7, "two"), track(8, "other")
	two()
	f.Forget(7)
	f.Forget(7)
	one()
	if want := map[string]int{"one": 1}; !maps.Equal(ended, want) {
		t.Errorf("ended are %v, want %v", ended, want)
	}
	other()
	if len(f.sessions.of) != 0 {
		t.Errorf("%d accounts are still tracked", len(f.sessions.of))
	}
}

func TestConfirm(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*store.Account)
		want   error
	}{
		{"confirms an account that is as it was", func(*store.Account) {}, nil},
		{"confirms whatever has been collected", func(a *store.Account) { a.Usage.Bytes++ }, nil},
		{"denies a disabled account", func(a *store.Account) { a.Disabled = true }, ErrDenied},
		{"denies after a change of the password", func(a *store.Account) { a.Secret.Hash += "x" }, ErrDenied},
		{"denies another account of the same name", func(a *store.Account) { a.ID++ }, ErrDenied},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, Options{})
			account := f.dir.accounts["alice@example.org"]
			f.dir.set(test.change)
			if err := f.Confirm(t.Context(), account); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func BenchmarkLogin(b *testing.B) {
	f := newFixture(b, Options{})
	for _, c := range []struct{ name, password string }{{"remembered", alicesPassword}, {"wrong", "wrong password"}} {
		b.Run(c.name, func(b *testing.B) {
			attempt := Attempt{Login: "alice@example.org", Password: c.password, Client: netip.MustParseAddr("192.0.2.1"), Protocol: "pop3"}
			for b.Loop() {
				if _, err := f.Login(b.Context(), attempt); err != nil && !errors.Is(err, ErrDenied) {
					b.Fatal(err)
				}
			}
		})
	}
}
