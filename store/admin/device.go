package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postroom/store"
)

// AddDevice asks for a network whose machines may submit mail without logging in.
type AddDevice struct {
	Network string `json:"network"` // 192.0.2.7, 192.0.2.0/28, 2001:db8::/64
	Account string `json:"account"` // the address of the account that it then counts as
}

// A Device is one as it is shown.
type Device struct {
	Network string    `json:"network"` // 192.0.2.7 where it is a single address
	Account string    `json:"account"`
	Status  string    `json:"status"` // of the account: enabled, disabled, refusing
	Created time.Time `json:"created"`
}

// AddDevice lets machines submit as an account. It takes effect at once.
func (a *Admin) AddDevice(ctx context.Context, request AddDevice) (Device, error) {
	network, err := parseDeviceNetwork(request.Network)
	if err != nil {
		return Device{}, err
	}
	account, err := a.account(ctx, request.Account)
	if err != nil {
		return Device{}, err
	}
	d := store.Device{Network: network, Account: account.ID, Created: a.Now()}
	noted := a.noting(ctx, "device.add", networkText(network), nil, deviceState{account.Address.String()})
	err = a.Store.AddDevice(noted, d)
	switch {
	case errors.Is(err, store.ErrConflict):
		return Device{}, a.deviceTaken(ctx, network)
	case errors.Is(err, store.ErrNotFound):
		return Device{}, notFound("There is no account %s.", account.Address)
	case err != nil:
		return Device{}, fmt.Errorf("add device: %w", err)
	}
	return deviceOf(d, account), nil
}

func (a *Admin) deviceTaken(ctx context.Context, network netip.Prefix) error {
	devices, err := a.Devices(ctx)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if d.Network == networkText(network) {
			return conflict("%s sends as %s already. Change it there if it should be somebody else.", d.Network, d.Account)
		}
	}
	return conflict("%s is a device already.", networkText(network))
}

// deviceState returns which account a device counts as, nil if it is none.
func (a *Admin) deviceState(ctx context.Context, network netip.Prefix) (*deviceState, error) {
	devices, err := a.Devices(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		if d.Network == networkText(network) {
			return &deviceState{d.Account}, nil
		}
	}
	return nil, nil
}

// Devices returns all devices by network.
func (a *Admin) Devices(ctx context.Context) ([]Device, error) {
	devices, err := a.Store.Devices(ctx)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	of := make(map[store.AccountID]store.Account)
	list := make([]Device, 0, len(devices))
	for _, d := range devices {
		account, known := of[d.Account]
		if !known {
			if account, err = a.Store.Account(ctx, d.Account); errors.Is(err, store.ErrNotFound) {
				continue // removed in between
			} else if err != nil {
				return nil, err
			}
			of[d.Account] = account
		}
		list = append(list, deviceOf(d, account))
	}
	return list, nil
}

// MoveDevice asks for a device to submit as another account.
type MoveDevice struct {
	Network string `json:"network"`
	Account string `json:"account"` // its address
}

// MoveDevice has the machines of a network, named as RemoveDevice takes it, submit
// as another account from now on. Open sessions in the name of the one before can't
// send any more.
func (a *Admin) MoveDevice(ctx context.Context, request MoveDevice) (Device, error) {
	network, err := readDeviceNetwork(request.Network)
	if err != nil {
		return Device{}, err
	}
	account, err := a.account(ctx, request.Account)
	if err != nil {
		return Device{}, err
	}
	was, err := a.deviceState(ctx, network)
	if err != nil {
		return Device{}, err
	}
	noted := a.noting(ctx, "device.change", networkText(network), was, deviceState{account.Address.String()})
	d, err := a.Store.MoveDevice(noted, network, account.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Device{}, noDevice(network)
	case err != nil:
		return Device{}, fmt.Errorf("move device: %w", err)
	}
	return deviceOf(d, account), nil
}

func noDevice(network netip.Prefix) error {
	return notFound("%s is not a device. See the list of devices for how it is written there.", networkText(network))
}

// RemoveDevice takes the right from a network, named as it is listed or as it was
// added. Sessions that are open can't send any more.
func (a *Admin) RemoveDevice(ctx context.Context, network string) error {
	prefix, err := readDeviceNetwork(network)
	if err != nil {
		return err
	}
	was, err := a.deviceState(ctx, prefix)
	if err != nil {
		return err
	}
	noted := a.noting(ctx, "device.remove", networkText(prefix), was, nil)
	err = a.Store.RemoveDevice(noted, prefix)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return noDevice(prefix)
	case err != nil:
		return fmt.Errorf("remove device: %w", err)
	}
	return nil
}

// The widest networks of devices, in bits: whoever is in one can send without a
// password.
const (
	widestIPv4 = 8
	widestIPv6 = 32
)

func parseDeviceNetwork(text string) (netip.Prefix, error) {
	network, err := readDeviceNetwork(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	widest := widestIPv4
	if network.Addr().Is6() {
		widest = widestIPv6
	}
	switch {
	case network.Bits() < widest:
		return netip.Prefix{}, invalid("%s is too wide, at most /%d is taken: everybody in it could send mail without a password, "+
			"which makes an open relay. Name the device's own address.", network, widest)
	case network.Addr().IsUnspecified() || network.Addr().IsMulticast():
		return netip.Prefix{}, invalid("%s is not an address that a device can have.", networkText(network))
	}
	return network, nil
}

// readDeviceNetwork reads an IP address, or a network by its first address and the
// number of bits that all its addresses share.
func readDeviceNetwork(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	network, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, invalid("%q is not an IP address or network. It should look like 192.0.2.7, 192.0.2.0/28 or 2001:db8::/64.", text)
		}
		network = netip.PrefixFrom(addr, addr.BitLen())
	}
	if network.Addr().Is4In6() { // connections show the IPv4 address
		if network.Bits() < 96 {
			return netip.Prefix{}, invalid("%s holds all of IPv4. Name the network itself, such as 192.0.2.0/28.", text)
		}
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
	}
	if masked := network.Masked(); masked != network {
		return netip.Prefix{}, invalid("%s is an address with the size of a network. Did you mean the network %s, or the address %s alone?",
			network, masked, network.Addr())
	}
	return network, nil
}

// networkText writes a network of one address as that address.
func networkText(network netip.Prefix) string {
	if network.IsSingleIP() {
		return network.Addr().String()
	}
	return network.String()
}

func deviceOf(d store.Device, account store.Account) Device {
	return Device{
		Network: networkText(d.Network),
		Account: account.Address.String(),
		Status:  statusWords[account.Standing()],
		Created: d.Created,
	}
}
