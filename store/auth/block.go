package auth

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"postroom/store"
)

// keepTimeout bounds how long a login waits for its block to be kept.
const keepTimeout = 5 * time.Second

// block begins a block of a network for what failed holds. Whoever was blocked for
// a shorter time before is blocked for longer, as its tally has it.
func (g *Guard) block(network netip.Prefix, t, failed *tally, protocol string, now time.Time) store.LoginBlock {
	b := store.LoginBlock{
		Network: network, Since: now, Failures: failed.failures, Names: len(failed.names), Protocol: protocol,
	}
	b.Until = now.Add(t.strike(now))
	g.makeRoom(now)
	g.blocks[network] = b
	return b
}

// makeRoom forgets the blocks that have ended if there are too many, and if that
// isn't enough the one that ends first.
func (g *Guard) makeRoom(now time.Time) {
	if len(g.blocks) < maxBlocks {
		return
	}
	var first store.LoginBlock
	for network, b := range g.blocks {
		if !b.Until.After(now) {
			delete(g.blocks, network)
		} else if first.Until.IsZero() || b.Until.Before(first.Until) {
			first = b
		}
	}
	if len(g.blocks) >= maxBlocks {
		delete(g.blocks, first.Network)
	}
}

// keep writes a block down. It counts also if that fails, until the process ends.
func (g *Guard) keep(ctx context.Context, b store.LoginBlock) {
	g.opts.Log.Warn("logins blocked", "network", shortPrefix(b.Network), "until", b.Until.UTC(),
		"failures", b.Failures, "names", b.Names, "protocol", b.Protocol)
	if g.opts.Blocks == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	if err := g.opts.Blocks.KeepLoginBlock(ctx, b); err != nil {
		g.opts.Log.Warn("a block of logins won't be kept over a restart", "network", shortPrefix(b.Network), "err", err)
	}
}

// shortPrefix writes a single address without its length.
func shortPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// Load brings back the blocks that were kept. It is called before the first login.
func (g *Guard) Load(ctx context.Context) error {
	if g.opts.Blocks == nil {
		return nil
	}
	kept, err := g.opts.Blocks.LoginBlocks(ctx)
	if err != nil {
		return fmt.Errorf("load blocks of logins: %w", err)
	}
	now := g.opts.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range kept {
		if !b.Until.After(now) || len(g.blocks) >= maxBlocks {
			continue
		}
		g.blocks[b.Network] = b
		t := g.tallyOf(b.Network)
		t.strikes, t.freed = strikesFor(b.Until.Sub(b.Since)), b.Until
	}
	return nil
}

// tallyOf returns the tally of a source or a network.
func (g *Guard) tallyOf(network netip.Prefix) *tally {
	if network == sourceOf(network.Addr()) {
		return g.sources.make(network)
	}
	return g.networks.make(network)
}

// Blocks returns the blocks that last, the latest first.
func (g *Guard) Blocks() []store.LoginBlock {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.list(g.opts.Now())
}

func (g *Guard) list(now time.Time) []store.LoginBlock {
	var list []store.LoginBlock
	for _, b := range g.blocks {
		if b.Until.After(now) {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b store.LoginBlock) int {
		return cmp.Or(b.Since.Compare(a.Since), a.Network.Addr().Compare(b.Network.Addr()))
	})
	return list
}

// Forgive forgets the failed logins of a network, and ends every block that has
// something to do with it: of what is in it, and of what it is in. It returns the
// blocks that it has ended.
func (g *Guard) Forgive(ctx context.Context, network netip.Prefix) ([]store.LoginBlock, error) {
	ended := g.forgive(network)
	if g.opts.Blocks == nil {
		return ended, nil
	}
	for _, b := range ended {
		if err := g.opts.Blocks.RemoveLoginBlock(ctx, b.Network); err != nil {
			return ended, fmt.Errorf("forgive %s: %w", network, err)
		}
	}
	return ended, nil
}

func (g *Guard) forgive(network netip.Prefix) (ended []store.LoginBlock) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.list(g.opts.Now()) {
		if b.Network.Overlaps(network) {
			delete(g.blocks, b.Network)
			ended = append(ended, b)
		}
	}
	g.sources.removeIf(network.Overlaps)
	g.networks.removeIf(network.Overlaps)
	g.known.each(func(p pair, a *acquaintance) {
		if p.source.Overlaps(network) {
			a.failed = tally{}
		}
	})
	return ended
}
