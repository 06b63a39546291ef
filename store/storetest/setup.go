package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"postroom/store"
)

// SetupStore is what is kept of a new server's first steps.
type SetupStore interface {
	HasAdmin(ctx context.Context) (bool, error)
	AddFirstAdmin(ctx context.Context, a store.Account) (added store.Account, newDomain bool, err error)
	MarkSetup(ctx context.Context, step store.SetupStep, mark store.SetupMark) error
	SetupMarks(ctx context.Context) (map[store.SetupStep]store.SetupMark, error)
}

func hasOneFirstAdmin(t *testing.T, f *fixture) {
	ctx := t.Context()
	has := func(want bool) {
		t.Helper()
		if got, err := f.HasAdmin(ctx); err != nil || got != want {
			t.Errorf("has an administrator: %v, %v, want %v", got, err, want)
		}
	}
	has(false)
	_, err := f.AddAccount(ctx, store.Account{Address: address("nobody@example.org"), Admin: true})
	f.must(err)
	has(false) // without a password
	gone, err := f.AddAccount(ctx, store.Account{Address: address("gone@example.org"), Admin: true, Secret: store.Secret{Hash: "x"}})
	f.must(err)
	has(true)
	if _, _, err := f.AddFirstAdmin(ctx, store.Account{Address: address("me@new.example"), Secret: store.Secret{Hash: "x"}}); !errors.Is(err, store.ErrHasAdmin) {
		t.Errorf("beside another: %v", err)
	}
	f.must(f.SetStanding(ctx, gone.ID, store.Disabled))
	has(false)
	if _, _, err := f.AddFirstAdmin(ctx, store.Account{Address: address("gone@example.org"), Secret: store.Secret{Hash: "x"}}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("with an address that is taken: %v", err)
	}
	_, err = f.AddDomain(ctx, store.Domain{Name: "backup.example", Backup: true})
	f.must(err)
	if _, _, err := f.AddFirstAdmin(ctx, store.Account{Address: address("me@backup.example"), Secret: store.Secret{Hash: "x"}}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in a backup domain: %v", err)
	}
	var (
		tries sync.WaitGroup
		mu    sync.Mutex
		first []store.Account
	)
	for i := range 8 {
		tries.Go(func() {
			added, newDomain, err := f.AddFirstAdmin(ctx, store.Account{Address: address(fmt.Sprintf("me%d@new%d.example", i, i)), Secret: store.Secret{Hash: "x"}, Created: f.now})
			mu.Lock()
			defer mu.Unlock()
			if err == nil && newDomain {
				first = append(first, added)
			} else if !errors.Is(err, store.ErrHasAdmin) {
				t.Errorf("one of several at once: %v", err)
			}
		})
	}
	tries.Wait()
	if len(first) != 1 {
		t.Fatalf("%d became the first administrator", len(first))
	}
	f.reopen()
	has(true)
	kept, err := f.Account(ctx, first[0].ID)
	f.must(err)
	if !kept.Admin || kept.Address != first[0].Address {
		t.Errorf("kept %+v", kept)
	}
}

func keepsSetupMarks(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.must(f.MarkSetup(ctx, store.SetupDNS, store.SetupSkipped))
	f.must(f.MarkSetup(ctx, store.SetupDomain, store.SetupDone))
	f.must(f.MarkSetup(ctx, store.SetupDNS, store.SetupDone))
	f.reopen()
	marks, err := f.SetupMarks(ctx)
	f.must(err)
	if len(marks) != 2 || marks[store.SetupDNS] != store.SetupDone || marks[store.SetupDomain] != store.SetupDone {
		t.Errorf("marks are %v", marks)
	}
}
