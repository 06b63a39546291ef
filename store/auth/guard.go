package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"postroom/store"
)

// ErrBlocked says that logins from the client's address aren't looked at. The
// error is a *BlockedError.
var ErrBlocked = errors.New("login blocked")

// A BlockedError says until when an address may not log in. It is the same for
// right and wrong passwords, and for names that exist and those that don't.
type BlockedError struct {
	Until time.Time // zero: until the admin takes the network off the list
}

// Error is for the log.
func (e *BlockedError) Error() string { return ErrBlocked.Error() + ": " + e.Advice() }

// Is reports whether target is ErrBlocked.
func (e *BlockedError) Is(target error) bool { return target == ErrBlocked }

// Advice is what the client may be told: a sentence in ASCII without its full stop.
func (e *BlockedError) Advice() string {
	if e.Until.IsZero() {
		return "Your address may not log in here"
	}
	return "Too many failed logins from your address; try again after " + e.Clock() + " UTC"
}

// Clock is the first whole minute after Until, in UTC: "15:04".
func (e *BlockedError) Clock() string {
	return e.Until.Add(time.Minute - time.Nanosecond).Truncate(time.Minute).UTC().Format("15:04")
}

// Blocks keeps the blocks over a restart.
type Blocks interface {
	LoginBlocks(ctx context.Context) ([]store.LoginBlock, error)
	// KeepLoginBlock keeps a block in the place of an older one of its network, and
	// forgets those that have ended.
	KeepLoginBlock(ctx context.Context, b store.LoginBlock) error
	// RemoveLoginBlock forgets a block, if it is there.
	RemoveLoginBlock(ctx context.Context, network netip.Prefix) error
}

// GuardOptions say how a Guard works. The zero GuardOptions are good: then the Guard
// forgets everything at the end of the process.
type GuardOptions struct {
	Blocks  Blocks                   // nil: nowhere
	Access  func() *store.AccessList // the admin's own lists; nil: there are none
	Enabled func() bool              // whether guessing has consequences; nil: it has
	Failed  func(protocol string)    // told of each failed login; nil: nobody is
	Blocked func(protocol string)    // told of each that wasn't looked at; nil: nobody is
	Passed  func(protocol string)    // told of each that went well; nil: nobody is
	Now     func() time.Time         // nil: time.Now
	Log     *slog.Logger             // nil: nothing is logged
}

// A Guard makes guessing passwords slow, and then impossible for a while: for an
// address that has guessed too much, and for a network that has tried too many
// names. It never blocks an account. Who has logged in well from an address before
// isn't hit by what others do from there.
//
// What it counts is in memory, and bounded. It may be used by many goroutines at
// once.
type Guard struct {
	opts GuardOptions
	key  []byte // of the MACs; random

	mu       sync.Mutex
	sources  *recent[netip.Prefix, tally] // single clients: see sourceOf
	networks *recent[netip.Prefix, tally]
	known    *recent[pair, acquaintance]
	codes    *recent[store.AccountID, tally] // wrong codes of second factors
	blocks   map[netip.Prefix]store.LoginBlock
}

// Bounds on what is remembered: some 40 MB if strangers do their worst.
const (
	maxSources  = 16384
	maxNetworks = 2048
	maxKnown    = 32768
	maxBlocks   = 4096
	knownFor    = 30 * 24 * time.Hour // since the last login
)

// A pair is an account and where its owner logs in from.
type pair struct {
	account store.AccountID
	source  netip.Prefix
}

// An acquaintance is a pair that has logged in well.
type acquaintance struct {
	seen   time.Time
	failed tally // since it is known
}

// NewGuard returns a Guard that knows nobody.
func NewGuard(opts GuardOptions) *Guard {
	if opts.Access == nil {
		opts.Access = func() *store.AccessList { return nil }
	}
	if opts.Enabled == nil {
		opts.Enabled = func() bool { return true }
	}
	if opts.Failed == nil {
		opts.Failed = func(string) {}
	}
	if opts.Blocked == nil {
		opts.Blocked = func(string) {}
	}
	if opts.Passed == nil {
		opts.Passed = func(string) {}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Guard{
		opts:     opts,
		key:      randomBytes(sha256.Size),
		sources:  newRecent[netip.Prefix, tally](maxSources),
		networks: newRecent[netip.Prefix, tally](maxNetworks),
		known:    newRecent[pair, acquaintance](maxKnown),
		codes:    newRecent[store.AccountID, tally](maxSources),
		blocks:   make(map[netip.Prefix]store.LoginBlock),
	}
}

// A try is what the Guard needs to know of an attempt.
type try struct {
	client   netip.Addr
	account  store.AccountID // zero: the name is nobody's
	name     string
	password string
	protocol string
}

func (t try) pair() pair { return pair{t.account, sourceOf(t.client)} }

// sourceOf returns what is one client: an IPv4 address, or an IPv6 /64, since who
// has one address of it has them all.
func sourceOf(client netip.Addr) netip.Prefix { return prefixOf(client, 32, 64) }

// networkOf returns what belongs together although it has several clients.
func networkOf(client netip.Addr) netip.Prefix { return prefixOf(client, 24, 48) }

func prefixOf(client netip.Addr, bits4, bits6 int) netip.Prefix {
	client = client.Unmap().WithZone("")
	bits := bits6
	if client.Is4() {
		bits = bits4
	}
	p, _ := client.Prefix(bits) // the zero Prefix for the zero Addr
	return p
}

// admit fails with a *BlockedError if the client may not try now. What names no
// protocol isn't a try, but a question.
func (g *Guard) admit(t try) error {
	err := g.judge(t)
	if err != nil && t.protocol != "" {
		g.opts.Blocked(t.protocol)
	}
	return err
}

func (g *Guard) judge(t try) error {
	now := g.opts.Now()
	switch e, listed := g.opts.Access().Network(t.client, now); {
	case listed && e.Action == store.Block:
		return &BlockedError{}
	case listed, !g.opts.Enabled(), !t.client.IsValid():
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.knows(t.pair(), now) != nil {
		return nil
	}
	if until := g.blockedUntil(t.client, now); !until.IsZero() {
		return &BlockedError{until}
	}
	return nil
}

// knows returns what is known of a pair, nil if it is a stranger.
func (g *Guard) knows(p pair, now time.Time) *acquaintance {
	if p.account == 0 {
		return nil
	}
	a := g.known.get(p)
	if a != nil && now.Sub(a.seen) > knownFor {
		g.known.remove(p)
		return nil
	}
	return a
}

// blockedUntil returns when the client may try again; zero: now.
func (g *Guard) blockedUntil(client netip.Addr, now time.Time) (until time.Time) {
	for _, network := range []netip.Prefix{sourceOf(client), networkOf(client)} {
		if b, ok := g.blocks[network]; ok && b.Until.After(now) && b.Until.After(until) {
			until = b.Until
		}
	}
	return until
}

// succeeded remembers where an account's owner logs in from.
func (g *Guard) succeeded(t try) {
	g.opts.Passed(t.protocol)
	if !t.client.IsValid() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known.make(t.pair()).seen = g.opts.Now()
}

// failed counts a failed login, and returns how long to wait with the answer.
func (g *Guard) failed(ctx context.Context, t try) time.Duration {
	g.opts.Failed(t.protocol)
	if !g.opts.Enabled() || !t.client.IsValid() {
		return 0
	}
	now := g.opts.Now()
	_, listed := g.opts.Access().Network(t.client, now)
	delay, begun := g.count(t, now, listed)
	for _, b := range begun {
		g.keep(ctx, b)
	}
	return delay
}

// count counts a failed login. It returns the blocks that begin with it; none for
// whom the admin lets in whatever happens.
func (g *Guard) count(t try, now time.Time, allowed bool) (time.Duration, []store.LoginBlock) {
	guess, name := g.mac(t.name, t.password), g.mac(t.name)
	g.mu.Lock()
	defer g.mu.Unlock()
	if a := g.knows(t.pair(), now); a != nil {
		return g.countKnown(a, t, guess, name, now, allowed)
	}
	source := g.sources.make(sourceOf(t.client))
	source.add(guess, name, now)
	network := g.networks.make(networkOf(t.client))
	network.add(guess, name, now)
	delay := source.delay()
	if allowed || !g.blockedUntil(t.client, now).IsZero() {
		return delay, nil
	}
	var begun []store.LoginBlock
	if len(source.guesses) >= maxGuesses {
		begun = append(begun, g.block(sourceOf(t.client), source, source, t.protocol, now))
	}
	if len(network.names) >= maxNetNames || len(network.guesses) >= maxNetGuesses {
		begun = append(begun, g.block(networkOf(t.client), network, network, t.protocol, now))
	}
	return delay, begun
}

// countKnown counts a failed login of a pair that has logged in well. It has a
// counter of its own; when that is full, the pair is a stranger again, and its
// address is blocked as a stranger's would be.
func (g *Guard) countKnown(a *acquaintance, t try, guess, name uint64, now time.Time, allowed bool) (time.Duration, []store.LoginBlock) {
	a.failed.add(guess, name, now)
	delay := a.failed.delay()
	if len(a.failed.guesses) < maxGuesses || allowed {
		return delay, nil
	}
	failed := a.failed
	g.known.remove(t.pair())
	return delay, []store.LoginBlock{g.block(sourceOf(t.client), g.sources.make(sourceOf(t.client)), &failed, t.protocol, now)}
}

// mac stands for some words. It says nothing to who doesn't know the process's
// key, which is nowhere but in memory. Names compare without case.
func (g *Guard) mac(name string, password ...string) uint64 {
	mac := hmac.New(sha256.New, g.key)
	mac.Write([]byte(strings.ToLower(name)))
	for _, p := range password {
		mac.Write([]byte{0})
		mac.Write([]byte(p))
	}
	return binary.BigEndian.Uint64(mac.Sum(nil))
}
