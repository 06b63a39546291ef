package admin

import (
	"context"
	"errors"
	"time"
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
	return Device{}, errors.ErrUnsupported
}

// Devices returns all devices by network.
func (a *Admin) Devices(ctx context.Context) ([]Device, error) {
	return nil, errors.ErrUnsupported
}

// RemoveDevice takes the right from a network, named as it is listed or as it was
// added. Sessions that are open can't send any more.
func (a *Admin) RemoveDevice(ctx context.Context, network string) error {
	return errors.ErrUnsupported
}
