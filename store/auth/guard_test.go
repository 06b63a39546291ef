package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"postroom/store"
)

// keptBlocks is a fake store of blocks.
type keptBlocks struct {
	by  map[netip.Prefix]store.LoginBlock
	err error
}

func (k *keptBlocks) LoginBlocks(context.Context) ([]store.LoginBlock, error) {
	var list []store.LoginBlock
	for _, b := range k.by {
		list = append(list, b)
	}
	return list, k.err
}

func (k *keptBlocks) KeepLoginBlock(_ context.Context, b store.LoginBlock) error {
	if k.err == nil {
		k.by[b.Network] = b
	}
	return k.err
}

func (k *keptBlocks) RemoveLoginBlock(_ context.Context, network netip.Prefix) error {
	delete(k.by, network)
	return k.err
}

// A guarded is an Authenticator with a Guard, in a bubble's time, whose passwords
// cost nothing. Its hashes are counted.
type guarded struct {
	*fixture
	t       *testing.T
	kept    *keptBlocks
	access  *store.AccessList
	off     bool
	failed  []string
	guarded GuardOptions
}

func newGuarded(t *testing.T) *guarded {
	g := &guarded{t: t, kept: &keptBlocks{by: make(map[netip.Prefix]store.LoginBlock)}}
	g.guarded = GuardOptions{
		Blocks:  g.kept,
		Access:  func() *store.AccessList { return g.access },
		Enabled: func() bool { return !g.off },
		Failed:  func(protocol string) { g.failed = append(g.failed, protocol) },
	}
	g.fixture = newFixture(t, Options{SCRAM: true, Guard: NewGuard(g.guarded)})
	stored, _ := parseHash(g.dir.accounts["alice@example.org"].Secret.Hash)
	g.derive = func(password string, _ []byte, _ params) []byte {
		g.hashes++
		if password == alicesPassword {
			return stored.key
		}
		return make([]byte, keySize)
	}
	return g
}

// restart puts a new Guard over what was kept.
func (g *guarded) restart() {
	g.t.Helper()
	g.guard = NewGuard(g.guarded)
	if err := g.guard.Load(g.t.Context()); err != nil {
		g.t.Error(err)
	}
}

// from tries once, and returns what it cost.
func (g *guarded) from(client, login, password string) (took time.Duration, hashes int, err error) {
	g.t.Helper()
	begun, before := time.Now(), g.hashes
	_, err = g.Login(g.t.Context(), Attempt{Login: login, Password: password, Client: netip.MustParseAddr(client), Protocol: "pop3"})
	return time.Since(begun), g.hashes - before, err
}

func (g *guarded) wants(want error, client, login, password string) {
	g.t.Helper()
	if _, _, err := g.from(client, login, password); !errors.Is(err, want) {
		g.t.Errorf("%s as %s: got %v, want %v", client, login, err, want)
	}
}

// guess fails n times with different passwords.
func (g *guarded) guess(n int, client, login string) {
	g.t.Helper()
	for i := range n {
		g.wants(ErrDenied, client, login, fmt.Sprintf("guess %d of %d", i, n))
	}
}

// inBubble runs a test with time of its own.
func inBubble(t *testing.T, test func(g *guarded)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newGuarded(t)) })
}

const (
	attacker = "192.0.2.66"
	office   = "198.51.100.7"
	alice    = "alice@example.org"
	nobody   = "nobody@example.org"
)

func TestGuessersAreBlockedByAddress(t *testing.T) {
	inBubble(t, func(g *guarded) {
		g.guess(9, attacker, alice)
		g.wants(ErrDenied, attacker, nobody, "the tenth")
		for _, who := range []string{alice, nobody} {
			for _, password := range []string{alicesPassword, "wrong"} {
				took, hashes, err := g.from(attacker, who, password)
				blocked, ok := errors.AsType[*BlockedError](err)
				if !ok || !errors.Is(err, ErrBlocked) || took != 0 || hashes != 0 {
					t.Fatalf("%s, %s: got %v after %v and %d hashes", who, password, err, took, hashes)
				}
				if left := time.Until(blocked.Until); left > 10*time.Minute || left < 9*time.Minute {
					t.Errorf("blocked for %v more", left)
				}
			}
		}
		g.wants(nil, "192.0.2.67", alice, alicesPassword)
		g.wants(ErrDenied, "192.0.2.67", alice, "wrong")

		blocks := g.guard.Blocks()
		if len(blocks) != 1 || blocks[0].Network != netip.MustParsePrefix(attacker+"/32") || blocks[0].Failures != 10 ||
			blocks[0].Names != 2 || blocks[0].Protocol != "pop3" {
			t.Errorf("blocks are %+v", blocks)
		}
		if len(g.failed) != 11 {
			t.Errorf("%d failures were told of, want 11", len(g.failed))
		}
		time.Sleep(10 * time.Minute)
		g.wants(nil, attacker, alice, alicesPassword)
		if blocks := g.guard.Blocks(); len(blocks) != 0 {
			t.Errorf("blocks are %+v", blocks)
		}
	})
}

func TestRepeatersAreBlockedForLonger(t *testing.T) {
	inBubble(t, func(g *guarded) {
		for _, want := range []time.Duration{10 * time.Minute, 40 * time.Minute, 160 * time.Minute, 640 * time.Minute, 24 * time.Hour, 24 * time.Hour} {
			g.guess(10, attacker, nobody)
			_, _, err := g.from(attacker, nobody, "x")
			blocked, ok := errors.AsType[*BlockedError](err)
			if !ok {
				t.Fatalf("got %v, want a block of %v", err, want)
			}
			b := g.guard.Blocks()[0]
			if got := b.Until.Sub(b.Since); got != want {
				t.Errorf("a block lasts %v, want %v", got, want)
			}
			time.Sleep(time.Until(blocked.Until))
		}
		time.Sleep(24 * time.Hour)
		g.guess(10, attacker, nobody)
		if b := g.guard.Blocks()[0]; b.Until.Sub(b.Since) != firstBlock {
			t.Errorf("a day later a block lasts %v", b.Until.Sub(b.Since))
		}
	})
}

func TestSlowGuessersAreNotBlocked(t *testing.T) {
	inBubble(t, func(g *guarded) {
		for i := range 40 {
			g.wants(ErrDenied, attacker, nobody, fmt.Sprint(i))
			time.Sleep(7 * time.Minute)
		}
	})
}

func TestOldPasswordIsOneGuess(t *testing.T) {
	inBubble(t, func(g *guarded) {
		for range 500 {
			g.wants(ErrDenied, office, alice, "the old one")
			time.Sleep(time.Minute)
		}
		g.wants(nil, office, alice, alicesPassword)
	})
}

func TestManyNamesBlockTheNetwork(t *testing.T) {
	for _, test := range []struct{ it, format, neighbour, elsewhere, network string }{
		{"a /24", "192.0.2.%d", "192.0.2.200", "192.0.3.1", "192.0.2.0/24"},
		{"a /48", "2001:db8:0:%d::1", "2001:db8:0:ffff::1", "2001:db8:1::1", "2001:db8::/48"},
	} {
		t.Run(test.it, func(t *testing.T) {
			inBubble(t, func(g *guarded) {
				for i := range maxNetNames {
					g.wants(ErrDenied, fmt.Sprintf(test.format, 1+i/5), fmt.Sprintf("user%d", i), "Summer2026")
				}
				g.wants(ErrBlocked, test.neighbour, alice, alicesPassword)
				g.wants(nil, test.elsewhere, alice, alicesPassword)
				if b := g.guard.Blocks(); len(b) != 1 || b[0].Network.String() != test.network || b[0].Names != maxNetNames {
					t.Errorf("blocks are %+v", b)
				}
			})
		})
	}
}

func TestOneNameFromManyAddresses(t *testing.T) {
	inBubble(t, func(g *guarded) {
		for i := range maxNetGuesses {
			g.wants(ErrDenied, fmt.Sprintf("2001:db8:0:%d::1", i/8), alice, fmt.Sprint(i))
		}
		g.wants(ErrBlocked, "2001:db8:0:ffff::1", alice, alicesPassword)
	})
}

func TestIPv6AddressesOfOneClient(t *testing.T) {
	inBubble(t, func(g *guarded) {
		for i := range maxGuesses {
			g.wants(ErrDenied, fmt.Sprintf("2001:db8::%d", i), alice, fmt.Sprint(i))
		}
		g.wants(ErrBlocked, "2001:db8::ffff", alice, alicesPassword)
		g.wants(nil, "2001:db8:0:1::1", alice, alicesPassword)
	})
}

func TestOwnerIsNotHitByNeighbours(t *testing.T) {
	inBubble(t, func(g *guarded) {
		g.wants(nil, office, alice, alicesPassword)
		g.guess(10, office, nobody)
		g.wants(ErrBlocked, office, nobody, "x")
		g.wants(nil, office, alice, alicesPassword)

		took, _, _ := g.from(office, alice, "mistyped")
		if took != 0 {
			t.Errorf("her first mistake costs %v", took)
		}
		time.Sleep(31 * 24 * time.Hour)
		g.guess(10, office, nobody)
		g.wants(ErrBlocked, office, alice, alicesPassword)
	})
}

func TestOwnerIsNoOracle(t *testing.T) {
	inBubble(t, func(g *guarded) {
		g.wants(nil, office, alice, alicesPassword)
		g.guess(10, office, alice)
		g.wants(ErrBlocked, office, alice, alicesPassword)
		g.wants(nil, "203.0.113.1", alice, alicesPassword)
		if b := g.guard.Blocks(); len(b) != 1 || b[0].Failures != 10 || b[0].Names != 1 {
			t.Errorf("blocks are %+v", b)
		}
		time.Sleep(firstBlock)
		g.wants(nil, office, alice, alicesPassword)
	})
}

func TestAnswersAreDelayed(t *testing.T) {
	inBubble(t, func(g *guarded) {
		var all time.Duration
		for i := range 20 {
			took, _, err := g.from(attacker, alice, "always the same")
			if !errors.Is(err, ErrDenied) || took > 5*time.Second || i < 3 && took > 0 || i >= 3 && took == 0 {
				t.Errorf("failure %d: %v after %v", i+1, err, took)
			}
			if all += took; i == 9 && all > 3*time.Second {
				t.Errorf("ten take %v", all)
			}
		}
		if took, _, _ := g.from(attacker, nobody, "x"); took != 5*time.Second {
			t.Errorf("the 21st takes %v", took)
		}
		if g.slots.free == 0 {
			t.Error("a slot is held")
		}
		ctx, cancel := context.WithTimeout(g.t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err := g.Login(ctx, Attempt{Login: alice, Password: "x", Client: netip.MustParseAddr(attacker)})
		if !errors.Is(err, ErrDenied) || time.Since(begun) != time.Second {
			t.Errorf("who leaves is told %v after %v", err, time.Since(begun))
		}
		time.Sleep(time.Hour)
		if took, _, _ := g.from(attacker, nobody, "y"); took != 0 {
			t.Errorf("an hour later it takes %v", took)
		}
	})
}

// Known and unknown names, wrong passwords of all kinds: the same work, the same
// wait.
func TestNamesCostTheSame(t *testing.T) {
	inBubble(t, func(g *guarded) {
		for n := range 8 {
			var cost []string
			for i, name := range []string{alice, nobody, "alice", "not even an address", ""} {
				took, hashes, err := g.from(fmt.Sprintf("192.0.%d.1", i), name, fmt.Sprint("wrong", n))
				cost = append(cost, fmt.Sprint(took, hashes, err))
			}
			if cost = slices.Compact(cost); len(cost) != 1 {
				t.Errorf("failure %d costs %q", n+1, cost)
			}
		}
	})
}

func TestManyAtOnceGuessNoMore(t *testing.T) {
	inBubble(t, func(g *guarded) {
		g.slots = newSlots(2)
		release := make(chan struct{})
		g.derive = func(string, []byte, params) []byte {
			<-release
			return make([]byte, keySize)
		}
		results := make(chan error, 100)
		for i := range 100 {
			go func() {
				_, _, err := g.from(attacker, alice, fmt.Sprint(i))
				results <- err
			}()
		}
		synctest.Wait()
		guesses := 0
		for range 100 {
			select {
			case release <- struct{}{}:
				guesses++
			case <-time.After(time.Minute):
			}
			synctest.Wait()
		}
		if guesses > maxGuesses+2 {
			t.Errorf("%d passwords were looked at", guesses)
		}
		for range 100 {
			if err := <-results; !errors.Is(err, ErrDenied) && !errors.Is(err, ErrBlocked) {
				t.Error(err)
			}
		}
	})
}

func TestBlocksOutliveTheProcess(t *testing.T) {
	inBubble(t, func(g *guarded) {
		g.guess(10, attacker, alice)
		time.Sleep(time.Minute)
		g.restart()
		g.wants(ErrBlocked, attacker, alice, alicesPassword)
		time.Sleep(firstBlock)
		g.guess(10, attacker, alice)
		if b := g.guard.Blocks(); len(b) != 1 || b[0].Until.Sub(b[0].Since) != 4*firstBlock {
			t.Errorf("the second block after a restart is %+v", b)
		}
		g.kept.err = errors.New("disk on fire")
		g.guess(10, "192.0.2.67", alice)
		g.wants(ErrBlocked, "192.0.2.67", alice, alicesPassword)
	})
}

func TestForgive(t *testing.T) {
	for _, test := range []struct {
		it, forgive string
		want        int
	}{
		{"forgives an address", attacker + "/32", 1},
		{"forgives all of a network", "192.0.2.0/24", 1},
		{"leaves others alone", "192.0.3.0/24", 0},
	} {
		t.Run(test.it, func(t *testing.T) {
			inBubble(t, func(g *guarded) {
				g.guess(10, attacker, alice)
				g.guess(9, "192.0.2.67", alice)
				ended, err := g.guard.Forgive(g.t.Context(), netip.MustParsePrefix(test.forgive))
				if err != nil || len(ended) != test.want || len(g.kept.by) != 1-test.want {
					t.Errorf("ended %+v, %v; kept are %d", ended, err, len(g.kept.by))
				}
				if test.want == 1 {
					g.wants(nil, attacker, alice, alicesPassword)
				} else {
					g.wants(ErrBlocked, attacker, alice, alicesPassword)
				}
			})
		})
	}
	t.Run("forgives the network of an address", func(t *testing.T) {
		inBubble(t, func(g *guarded) {
			for i := range maxNetNames {
				g.wants(ErrDenied, fmt.Sprintf("192.0.2.%d", i), fmt.Sprintf("user%d", i), "x")
			}
			if ended, _ := g.guard.Forgive(g.t.Context(), netip.MustParsePrefix("192.0.2.200/32")); len(ended) != 1 {
				t.Errorf("ended %+v", ended)
			}
			g.wants(nil, "192.0.2.200", alice, alicesPassword)
		})
	})
}

func TestAdminsListsCountFirst(t *testing.T) {
	inBubble(t, func(g *guarded) {
		g.access = store.NewAccessList([]store.AccessEntry{
			{What: office + "/32", Action: store.Allow},
			{What: "203.0.113.0/24", Action: store.Block},
			{What: "spam.example", Action: store.Block},
		})
		_, hashes, err := g.from("203.0.113.5", alice, alicesPassword)
		blocked, ok := errors.AsType[*BlockedError](err)
		if !ok || !blocked.Until.IsZero() || hashes != 0 {
			t.Errorf("a blocked network: %v for %d hashes", err, hashes)
		}
		g.guess(300, office, alice)
		g.wants(nil, office, alice, alicesPassword)
		if b := g.guard.Blocks(); len(b) != 0 {
			t.Errorf("blocks are %+v", b)
		}
	})
}

func TestSwitchedOff(t *testing.T) {
	inBubble(t, func(g *guarded) {
		g.guess(10, attacker, alice)
		g.off = true
		g.wants(nil, attacker, alice, alicesPassword)
		for range 20 {
			if took, _, err := g.from("192.0.2.67", nobody, "x"); took != 0 || !errors.Is(err, ErrDenied) {
				t.Errorf("got %v after %v", err, took)
			}
		}
		g.off = false
		g.wants(ErrBlocked, attacker, nobody, "x")
	})
}

func TestSCRAMIsGuarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{SCRAM: true})
		for i := range maxGuesses {
			if _, err := f.exchange(t, alice, fmt.Sprintf("wrong password %d", i), ""); !errors.Is(err, ErrDenied) {
				t.Fatalf("guess %d: %v", i, err)
			}
		}
		for _, who := range []string{alice, nobody} {
			if _, err := f.exchange(t, who, alicesPassword, ""); !errors.Is(err, ErrBlocked) {
				t.Errorf("%s: %v, want it blocked", who, err)
			}
		}
		if _, err := f.Login(t.Context(), Attempt{Login: alice, Password: alicesPassword, Client: netip.MustParseAddr("192.0.2.1")}); !errors.Is(err, ErrBlocked) {
			t.Errorf("with a password: %v", err)
		}
	})
}

func TestSCRAMNonsenseIsNoGuess(t *testing.T) {
	f := newFixture(t, Options{SCRAM: true})
	for range 2 * maxGuesses {
		x := f.StartSCRAM(t.Context(), netip.MustParseAddr("192.0.2.1"), "pop3")
		if _, _, err := x.Next([]byte("nonsense")); !errors.Is(err, ErrDenied) {
			t.Fatal(err)
		}
	}
	if _, err := f.exchange(t, alice, alicesPassword, ""); err != nil {
		t.Error(err)
	}
}

func TestGuardIsBounded(t *testing.T) {
	g := NewGuard(GuardOptions{})
	client := func(i int) netip.Addr { // each in a network of its own
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, byte(i >> 16), byte(i >> 8), byte(i)})
	}
	for i := range maxSources + 100 {
		g.failed(t.Context(), try{client: client(i), name: "x"})
	}
	for i := range maxBlocks + 100 {
		for n := range maxGuesses {
			g.failed(t.Context(), try{client: client(i), name: "x", password: fmt.Sprint(n)})
		}
	}
	for i := range maxKnown + 100 {
		g.succeeded(try{client: client(i), account: 1})
	}
	if len(g.sources.by) != maxSources || len(g.networks.by) != maxNetworks || len(g.known.by) != maxKnown || len(g.blocks) != maxBlocks {
		t.Errorf("%d sources, %d networks, %d known, %d blocks", len(g.sources.by), len(g.networks.by), len(g.known.by), len(g.blocks))
	}
}

func TestAdvice(t *testing.T) {
	at := func(s string) *BlockedError {
		until, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return &BlockedError{until}
	}
	for _, test := range []struct {
		it   string
		e    *BlockedError
		want string
	}{
		{"rounds up", at("2026-05-06T09:04:05+02:00"), "Too many failed logins from your address; try again after 07:05 UTC"},
		{"keeps a whole minute", at("2026-05-06T07:04:00Z"), "Too many failed logins from your address; try again after 07:04 UTC"},
		{"names no time for the admin's own block", &BlockedError{}, "Your address may not log in here"},
	} {
		if got := test.e.Advice(); got != test.want {
			t.Errorf("it %s: %q", test.it, got)
		}
	}
}
