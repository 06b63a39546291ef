package web

import (
	"fmt"
	"net/url"

	"postroom/store/admin"
	"postroom/web/phrase"
)

type devicesPage struct {
	Devices []deviceRow
	List    listing
	Form    admin.AddDevice
	Domain  string // to suggest an address in
	Mistake string
}

type deviceRow struct {
	admin.Device
	AccountURL, ChangeURL, RemoveURL string
}

func (p *pages) showDevices(v *visit) error { return p.devicesPage(v, admin.AddDevice{}, nil) }

func (p *pages) devicesPage(v *visit, form admin.AddDevice, mistake error) error {
	devices, err := p.Admin.Devices(v.r.Context())
	if err != nil {
		return err
	}
	shown, list := partAt(v, "/devices", devices, func(d admin.Device) string { return d.Network + " " + d.Account + " " + d.Status })
	page := devicesPage{List: list, Form: form, Domain: "example.org"}
	for _, d := range shown {
		names := url.Values{"network": {d.Network}}
		page.Devices = append(page.Devices, deviceRow{d, accountURL(d.Account), changeURL("/devices", names), "/devices/remove?" + names.Encode()})
	}
	own, err := p.ownDomains(v)
	if err != nil {
		return err
	}
	if len(own) > 0 {
		page.Domain = own[0]
	}
	return v.showForm("devices", "Devices", &page, &page.Mistake, mistake)
}

func (p *pages) addDevice(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	form := admin.AddDevice{Network: v.field("network"), Account: v.field("account")}
	added, err := p.Admin.AddDevice(v.r.Context(), form)
	switch {
	case hasMistake(err):
		return p.devicesPage(v, form, err)
	case err != nil:
		return err
	}
	return v.done("/devices", fmt.Sprintf(phrase.DeviceAdded, added.Network, added.Account))
}

func (p *pages) confirmDevice(v *visit) error {
	d, err := p.device(v, v.r.URL.Query().Get("network"))
	if err != nil {
		return err
	}
	return v.confirm(confirmPage{
		Title: fmt.Sprintf(phrase.RemoveDeviceTitle, d.Network), Back: "/devices", BackText: "Devices",
		Action: "/devices/remove", Button: "Remove the device", Hidden: []hiddenField{{"network", d.Network}},
		Lost: []string{
			fmt.Sprintf(phrase.DeviceLost, d.Account),
			phrase.DeviceMailStays,
		},
	})
}

func (p *pages) removeDevice(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	network := v.field("network")
	if err := p.Admin.RemoveDevice(v.r.Context(), network); err != nil {
		return err
	}
	return v.done("/devices", fmt.Sprintf(phrase.DeviceRemoved, network))
}
