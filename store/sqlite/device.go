package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"postroom/store"
)

// AddDevice lets the machines of a network submit as an account. It fails with
// store.ErrConflict if the network is a device already, and with
// store.ErrNotFound if the account isn't here. It goes with the account.
func (s *Store) AddDevice(ctx context.Context, d store.Device) error {
	if d.Created.IsZero() {
		d.Created = s.now()
	}
	err := s.changeDevices(ctx, func(tx *tx) error {
		if err := tx.mustBeHere(d.Account); err != nil {
			return err
		}
		taken, err := tx.exists(`SELECT 1 FROM device WHERE network = ?`, d.Network.String())
		if err != nil || taken {
			return errors.Join(err, conflictIf(taken))
		}
		_, err = tx.exec(`INSERT INTO device (network, account, created) VALUES (?, ?, ?)`,
			d.Network.String(), d.Account, micros(d.Created))
		return err
	})
	if err != nil {
		return fmt.Errorf("add device %s: %w", d.Network, err)
	}
	return nil
}

// MoveDevice has the machines of a device submit as another account, and returns
// it as it was. It fails with store.ErrNotFound if the network is no device or the
// account isn't here.
func (s *Store) MoveDevice(ctx context.Context, network netip.Prefix, account store.AccountID) (before store.Device, err error) {
	err = s.changeDevices(ctx, func(tx *tx) error {
		before = store.Device{Network: network}
		var created int64
		err := tx.scan(`SELECT account, created FROM device WHERE network = ?`, []any{network.String()}, &before.Account, &created)
		if err != nil {
			return noRows(err, store.ErrNotFound)
		}
		before.Created = fromMicros(created)
		if err := tx.mustBeHere(account); err != nil {
			return err
		}
		_, err = tx.exec(`UPDATE device SET account = ? WHERE network = ?`, account, network.String())
		return err
	})
	if err != nil {
		return store.Device{}, fmt.Errorf("move device %s: %w", network, err)
	}
	return before, nil
}

// RemoveDevice takes the right from a network, or fails with store.ErrNotFound.
// What its machines are about to submit isn't accepted any more.
func (s *Store) RemoveDevice(ctx context.Context, network netip.Prefix) error {
	err := s.changeDevices(ctx, func(tx *tx) error {
		return affected(tx.exec(`DELETE FROM device WHERE network = ?`, network.String()))
	})
	if err != nil {
		return fmt.Errorf("remove device %s: %w", network, err)
	}
	return nil
}

// Devices returns all devices by network.
func (s *Store) Devices(context.Context) ([]store.Device, error) {
	list := slices.Clone(s.devices.all())
	slices.SortFunc(list, func(a, b store.Device) int {
		return cmp.Or(a.Network.Addr().Compare(b.Network.Addr()), cmp.Compare(a.Network.Bits(), b.Network.Bits()))
	})
	return list, nil
}

// DeviceOf returns the device that a client is: the one with the smallest network
// that holds its address. It fails with store.ErrNotFound if there is none.
func (s *Store) DeviceOf(_ context.Context, client netip.Addr) (store.Device, error) {
	d := s.devices.of(client)
	if d.Account == 0 {
		return d, store.ErrNotFound
	}
	return d, nil
}

// devices are all devices as of the last commit, those with the smallest networks
// first. They may be asked by many goroutines at once.
type devices struct {
	list atomic.Pointer[[]store.Device]
}

func (d *devices) all() []store.Device {
	if list := d.list.Load(); list != nil {
		return *list
	}
	return nil
}

// of returns the device that a client is, the zero Device if it is none.
func (d *devices) of(client netip.Addr) store.Device {
	for _, device := range d.all() {
		if device.Network.Contains(client) {
			return device
		}
	}
	return store.Device{}
}

// changeDevices runs a change, and has it count once it is durable.
func (s *Store) changeDevices(ctx context.Context, apply func(*tx) error) error {
	return s.write(ctx, 0, func(tx *tx) error {
		if err := apply(tx); err != nil {
			return err
		}
		return s.followDevices(tx)
	})
}

// followDevices has what a change leaves of the devices count once it is durable.
func (s *Store) followDevices(tx *tx) error {
	list, err := readDevices(tx)
	tx.afterCommit(func() { s.devices.list.Store(&list) })
	return err
}

func (s *Store) loadDevices() error {
	list, err := readDevices(s)
	if err != nil {
		return fmt.Errorf("load devices: %w", err)
	}
	s.devices.list.Store(&list)
	return nil
}

func readDevices(q querier) ([]store.Device, error) {
	rows, err := q.query(`SELECT network, account, created FROM device`)
	if err != nil {
		return nil, err
	}
	list, err := collect(rows, func(d *store.Device) error {
		var network string
		var created int64
		if err := rows.Scan(&network, &d.Account, &created); err != nil {
			return err
		}
		d.Created = fromMicros(created)
		d.Network, err = netip.ParsePrefix(network)
		return err
	})
	slices.SortFunc(list, func(a, b store.Device) int { return cmp.Compare(b.Network.Bits(), a.Network.Bits()) })
	return list, err
}
