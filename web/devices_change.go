package web

import (
	"fmt"
	"slices"

	"postroom/store/admin"
	"postroom/web/phrase"
)

// device finds a device by its network.
func (p *pages) device(v *visit, network string) (admin.Device, error) {
	devices, err := p.Admin.Devices(v.r.Context())
	if err != nil {
		return admin.Device{}, err
	}
	i := slices.IndexFunc(devices, func(d admin.Device) bool { return d.Network == network })
	if i < 0 {
		return admin.Device{}, errGone("device")
	}
	return devices[i], nil
}

func (p *pages) showDeviceChange(v *visit) error {
	d, err := p.device(v, v.r.URL.Query().Get("network"))
	if err != nil {
		return err
	}
	return v.change(deviceChange(d, d.Account), nil)
}

func deviceChange(d admin.Device, account string) changePage {
	return changePage{
		Title: "Whose mail " + d.Network + " sends", Back: "/devices", BackText: "Devices", Action: "/devices/change",
		About:  fmt.Sprintf(phrase.DeviceSendsAs, d.Account),
		Hidden: []hiddenField{{"network", d.Network}},
		Fields: []formField{{Name: "account", Label: "Submits as", Value: account, Longest: 320, CannotBeNone: true, Help: phrase.DeviceAccountHelp}},
	}
}

func (p *pages) changeDevice(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	d, err := p.device(v, v.field("network"))
	if err != nil {
		return err
	}
	moved, err := p.Admin.MoveDevice(v.r.Context(), admin.MoveDevice{Network: d.Network, Account: v.field("account")})
	switch {
	case hasMistake(err):
		return v.change(deviceChange(d, v.field("account")), err)
	case err != nil:
		return err
	}
	return v.done("/devices", fmt.Sprintf(phrase.DeviceMoved, moved.Network, moved.Account))
}
