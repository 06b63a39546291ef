package storetest

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"postroom/store"
)

// LoginBlockStore is what the tests need to keep blocks of logins.
type LoginBlockStore interface {
	LoginBlocks(ctx context.Context) ([]store.LoginBlock, error)
	KeepLoginBlock(ctx context.Context, b store.LoginBlock) error
	RemoveLoginBlock(ctx context.Context, network netip.Prefix) error
}

func keepsLoginBlocks(t *testing.T, f *fixture) {
	block := func(network string, since, until time.Duration) store.LoginBlock {
		return store.LoginBlock{
			Network: netip.MustParsePrefix(network), Since: f.now.Add(since), Until: f.now.Add(until),
			Failures: 10, Names: 3, Protocol: "pop3s",
		}
	}
	ended := block("192.0.2.1/32", 0, time.Minute)
	first := block("192.0.2.2/32", time.Second, time.Hour)
	network := block("2001:db8::/48", 2*time.Minute, time.Hour)
	again := block("192.0.2.2/32", 3*time.Minute, 4*time.Hour)
	for _, b := range []store.LoginBlock{ended, first, network, again} {
		f.must(f.KeepLoginBlock(t.Context(), b))
	}
	f.reopen()
	f.expectLoginBlocks(again, network)

	f.must(f.RemoveLoginBlock(t.Context(), again.Network))
	f.must(f.RemoveLoginBlock(t.Context(), again.Network))
	f.expectLoginBlocks(network)
}

func (f *fixture) expectLoginBlocks(want ...store.LoginBlock) {
	f.t.Helper()
	got, err := f.LoginBlocks(f.t.Context())
	f.must(err)
	same := func(a, b store.LoginBlock) bool {
		times := a.Since.Equal(b.Since) && a.Until.Equal(b.Until)
		a.Since, a.Until = b.Since, b.Until
		return times && a == b
	}
	if !slices.EqualFunc(got, want, same) {
		f.t.Errorf("blocks are %+v, want %+v", got, want)
	}
}
