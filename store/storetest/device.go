package storetest

import (
	"errors"
	"net/netip"
	"testing"

	"postroom/store"
)

func knowsDevices(t *testing.T, f *fixture) {
	ctx := t.Context()
	add := func(network string, account store.AccountID) error {
		return f.AddDevice(ctx, store.Device{Network: netip.MustParsePrefix(network), Account: account, Created: f.now})
	}
	f.must(add("192.0.2.0/24", f.alice))
	f.must(add("192.0.2.7/32", f.bob))
	f.must(add("192.0.2.0/28", f.carol))
	f.must(add("2001:db8::/64", f.bob))
	if err := add("192.0.2.0/24", f.bob); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the same network again: %v", err)
	}
	if err := add("192.0.3.0/24", 12345); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an account that isn't here: %v", err)
	}
	check := func(want map[string]store.AccountID) {
		t.Helper()
		for client, account := range want {
			got, err := f.DeviceOf(ctx, netip.MustParseAddr(client))
			if got.Account != account || (account == 0) != errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s is a device of %d, %v, want %d", client, got.Account, err, account)
			}
		}
	}
	all := map[string]store.AccountID{
		"192.0.2.7": f.bob, "192.0.2.8": f.carol, "192.0.2.16": f.alice, "192.0.3.1": 0, "2001:db8::1": f.bob, "2001:db8:1::1": 0,
	}
	check(all)
	f.reopen()
	check(all)
	f.must(f.RemoveDevice(ctx, netip.MustParsePrefix("192.0.2.7/32")))
	if err := f.RemoveDevice(ctx, netip.MustParsePrefix("192.0.2.7/32")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	f.must(f.RemoveAccount(ctx, f.alice))
	check(map[string]store.AccountID{"192.0.2.7": f.carol, "192.0.2.16": 0})
	list, err := f.Devices(ctx)
	f.must(err)
	if len(list) != 2 || list[0].Network.String() != "192.0.2.0/28" || list[1].Account != f.bob || !list[0].Created.Equal(f.now) {
		t.Errorf("devices are %+v", list)
	}
}

func refusesFormerDevices(t *testing.T, f *fixture) {
	ctx, network := t.Context(), netip.MustParsePrefix("192.0.2.0/24")
	f.must(f.AddDevice(ctx, store.Device{Network: network, Account: f.alice}))
	send := func(account store.AccountID) error {
		a := f.submitted(account, "a@far.test")
		a.Device = netip.MustParseAddr("192.0.2.7")
		return f.Accept(ctx, a)
	}
	f.must(send(f.alice))
	if err := send(f.bob); !errors.Is(err, store.ErrNoDevice) {
		t.Errorf("as another account: %v", err)
	}
	f.must(f.RemoveDevice(ctx, network))
	if err := send(f.alice); !errors.Is(err, store.ErrNoDevice) {
		t.Errorf("once it is removed: %v", err)
	}
	if got := f.used(f.owner(f.alice)); got != [2]int64{1, 1} {
		t.Errorf("counted %v", got)
	}
}
