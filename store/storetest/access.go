package storetest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"postroom/store"
)

// An AccessStore keeps the admin's own lists, and what the admin should know.
type AccessStore interface {
	Access() *store.AccessList
	SetAccess(ctx context.Context, e store.AccessEntry) (before store.AccessEntry, err error)
	AccessEntries(ctx context.Context) ([]store.AccessEntry, error)
	RemoveAccess(ctx context.Context, what string, action store.AccessAction) error
	Raise(ctx context.Context, c store.Concern) error
	Clear(ctx context.Context, key string) error
	Concerns(ctx context.Context) ([]store.Concern, error)
}

// listed returns what the lists make of an address just now.
func (f *fixture) listed(addr string) store.AccessAction {
	e, _ := f.Access().Network(netip.MustParseAddr(addr), f.now)
	return e.Action
}

func keepsAccess(t *testing.T, f *fixture) {
	ctx := t.Context()
	block := store.AccessEntry{What: "192.0.2.0/24", Action: store.Block, Note: "guesses", Created: f.now, Expires: f.now.Add(time.Hour)}
	before, err := f.SetAccess(ctx, block)
	f.must(err)
	if before != (store.AccessEntry{}) || f.listed("192.0.2.1") != store.Block {
		t.Errorf("before: %+v, now %v", before, f.listed("192.0.2.1"))
	}
	_, err = f.SetAccess(ctx, store.AccessEntry{What: "example.net", Action: store.Allow, Created: f.now})
	f.must(err)

	f.reopen()
	list, err := f.AccessEntries(ctx)
	f.must(err)
	if len(list) != 2 || !sameAccess(list[0], block) || list[1].What != "example.net" || !list[1].Expires.IsZero() {
		t.Errorf("after a restart: %+v", list)
	}
	if f.listed("192.0.2.1") != store.Block {
		t.Error("after a restart it isn't heeded")
	}

	before, err = f.SetAccess(ctx, store.AccessEntry{What: "192.0.2.0/24", Action: store.Allow, Created: f.now})
	f.must(err)
	if !sameAccess(before, block) || f.listed("192.0.2.1") != store.Allow {
		t.Errorf("replaced: %+v, now %v", before, f.listed("192.0.2.1"))
	}
	f.is(f.RemoveAccess(ctx, "192.0.2.0/24", store.Block), store.ErrNotFound)
	f.must(f.RemoveAccess(ctx, "192.0.2.0/24", store.Allow))
	if f.listed("192.0.2.1") != 0 {
		t.Error("what was removed is heeded")
	}
}

func sameAccess(a, b store.AccessEntry) bool {
	same := a.Created.Equal(b.Created) && a.Expires.Equal(b.Expires)
	a.Created, a.Expires, b.Created, b.Expires = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return same && a == b
}

func sweepsAccess(t *testing.T, f *fixture) {
	ctx := t.Context()
	_, err := f.SetAccess(ctx, store.AccessEntry{What: "192.0.2.1/32", Action: store.Block, Expires: f.now.Add(time.Hour)})
	f.must(err)
	_, err = f.SetAccess(ctx, store.AccessEntry{What: "192.0.2.2/32", Action: store.Block})
	f.must(err)
	f.now = f.now.Add(time.Hour)
	if f.listed("192.0.2.1") != 0 || f.listed("192.0.2.2") != store.Block {
		t.Error("what has ended is heeded, or what hasn't isn't")
	}
	f.reopen() // it sweeps at the start
	f.eventually("what has ended is swept", func() bool {
		list, err := f.AccessEntries(ctx)
		f.must(err)
		return len(list) == 1 && list[0].What == "192.0.2.2/32"
	})
}

func keepsConcerns(t *testing.T, f *fixture) {
	ctx := t.Context()
	first := f.now
	f.must(f.Raise(ctx, store.Concern{Key: "blocklist bl.test", Text: "It refuses us.", Cure: "/lists"}))
	f.now = f.now.Add(time.Hour)
	f.must(f.Raise(ctx, store.Concern{Key: "listed 192.0.2.1", Text: "It is listed."}))
	f.must(f.Raise(ctx, store.Concern{Key: "blocklist bl.test", Text: "It still refuses us."}))
	f.reopen()
	list, err := f.Concerns(ctx)
	f.must(err)
	if len(list) != 2 || list[0].Key != "listed 192.0.2.1" || list[1].Key != "blocklist bl.test" {
		t.Fatalf("concerns: %+v", list)
	}
	if c := list[1]; c.Text != "It still refuses us." || c.Cure != "" || !c.Since.Equal(first) || !c.Seen.Equal(f.now) {
		t.Errorf("raised again: %+v", c)
	}
	f.must(f.Clear(ctx, "blocklist bl.test"))
	f.must(f.Clear(ctx, "never raised"))
	if list, err = f.Concerns(ctx); err != nil || len(list) != 1 {
		t.Errorf("after one is over: %+v, %v", list, err)
	}
}
