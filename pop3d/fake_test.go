package pop3d_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing/iotest"
	"time"

	"postroom/store"
	"postroom/store/auth"
	"postroom/store/mail"
)

// A fakeStore keeps maildrops in a map.
type fakeStore struct {
	mu        sync.Mutex
	drops     map[store.AccountID][]store.Entry
	bodies    map[store.MessageID][]byte
	collected []store.Collection
	removals  []store.Removal

	entriesErr, openErr, removeErr error
	beforeRemove, beforeEntries    func() // run first in those two
	broken                         bool   // bodies can't be read to their end
	oneByte                        bool   // bodies come octet by octet
}

func newFakeStore(alice ...string) *fakeStore {
	f := &fakeStore{drops: map[store.AccountID][]store.Entry{}, bodies: map[store.MessageID][]byte{}}
	for _, m := range alice {
		f.add(1, m)
	}
	return f
}

func (f *fakeStore) add(account store.AccountID, message string) {
	id := store.MessageID(len(f.bodies) + 1)
	f.bodies[id] = []byte(message)
	f.drops[account] = append(f.drops[account], store.Entry{
		Message: id, UID: store.UID{11: byte(id)}, Size: int64(len(message)),
	})
}

func (f *fakeStore) Entries(_ context.Context, account store.AccountID) ([]store.Entry, error) {
	if f.beforeEntries != nil {
		f.beforeEntries()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.drops[account]), f.entriesErr
}

func (f *fakeStore) OpenEntry(_ context.Context, _ store.AccountID, id store.MessageID) (*store.Body, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, ok := f.bodies[id]
	switch {
	case f.openErr != nil:
		return nil, f.openErr
	case !ok:
		return nil, store.ErrNotFound
	}
	var r io.Reader = bytes.NewReader(body)
	if f.oneByte {
		r = iotest.OneByteReader(r)
	}
	if f.broken {
		r = io.MultiReader(strings.NewReader(strings.Repeat("a line\r\n", 1<<14)), iotest.ErrReader(errors.New("chunk is missing")))
	}
	return &store.Body{ReadCloser: io.NopCloser(r), Size: int64(len(body))}, nil
}

func (f *fakeStore) RemoveEntries(_ context.Context, r store.Removal) error {
	if f.beforeRemove != nil {
		f.beforeRemove()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.removeErr != nil {
		return f.removeErr
	}
	f.removals = append(f.removals, r)
	f.drops[r.Account] = slices.DeleteFunc(f.drops[r.Account], func(e store.Entry) bool {
		return slices.Contains(r.Messages, e.Message)
	})
	return nil
}

func (f *fakeStore) Collected(c store.Collection) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.collected = append(f.collected, c)
}

// state describes what has happened to the maildrop of account 1.
func (f *fakeStore) state() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var left, collected []string
	for _, e := range f.drops[1] {
		left = append(left, fmt.Sprint(int64(e.Message)))
	}
	for _, c := range f.collected {
		collected = append(collected, fmt.Sprint(int64(c.Message)))
	}
	return fmt.Sprintf("left %s collected %s", strings.Join(left, ","), strings.Join(collected, ","))
}

// A fakeAuth knows alice and bob, and what else a login can end with.
type fakeAuth struct {
	mu   sync.Mutex
	ends map[store.AccountID]func()

	disabled bool // every account is, from right after its login on
}

var accounts = map[string]store.Account{
	"alice\x00secret":             {ID: 1, Address: mail.Address{Local: "alice", Domain: "example.org"}},
	"alice\x00 two  words ":       {ID: 1, Address: mail.Address{Local: "alice", Domain: "example.org"}},
	"alice\x00pässwört":           {ID: 1, Address: mail.Address{Local: "alice", Domain: "example.org"}},
	"alice@example.org\x00secret": {ID: 1, Address: mail.Address{Local: "alice", Domain: "example.org"}},
	"bob\x00secret":               {ID: 2, Address: mail.Address{Local: "bob", Domain: "example.org"}},
}

func (f *fakeAuth) Login(_ context.Context, a auth.Attempt) (store.Account, error) {
	switch a.Login {
	case "busy":
		return store.Account{}, fmt.Errorf("login: %w", auth.ErrBusy)
	case "blocked":
		return store.Account{}, fmt.Errorf("login: %w", &auth.BlockedError{Until: time.Date(2026, 5, 6, 15, 3, 30, 0, time.UTC)})
	case "trouble":
		return store.Account{}, errors.New("no such table: account")
	case "panic":
		panic("a bug")
	}
	account, ok := accounts[a.Login+"\x00"+a.Password]
	if !ok || len(a.Password) > 8000 {
		return store.Account{}, fmt.Errorf("login: %w", auth.ErrDenied)
	}
	return account, nil
}

func (f *fakeAuth) StartSCRAM(context.Context, netip.Addr, string) *auth.SCRAM {
	panic("not in this test")
}

func (f *fakeAuth) Track(id store.AccountID, end func()) (untrack func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ends == nil {
		f.ends = map[store.AccountID]func(){}
	}
	f.ends[id] = end
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.ends, id)
	}
}

func (f *fakeAuth) Confirm(_ context.Context, account store.Account) error {
	if f.disabled {
		return auth.ErrDenied
	}
	return nil
}

func (f *fakeAuth) end(id store.AccountID) {
	f.mu.Lock()
	end := f.ends[id]
	f.mu.Unlock()
	end()
}
