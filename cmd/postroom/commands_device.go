package main

import (
	"context"
	"fmt"
	"io"

	"postroom/store/admin"
)

type deviceCmd struct {
	Add    deviceAdd    `cmd:"" group:"commands" help:"Let a device send without logging in, as an account."`
	List   deviceList   `cmd:"" group:"commands" help:"List the devices."`
	Change deviceChange `cmd:"" group:"commands" help:"Have a device send as another account."`
	Remove deviceRemove `cmd:"" group:"commands" help:"Take the right from a device."`
}

type deviceAdd struct {
	Network string `arg:"" name:"cidr" help:"The device's address, such as 192.0.2.7, or a network, such as 192.0.2.0/28."`
	Address string `arg:"" help:"The account that it sends as, such as scanner@example.org."`
}

// Help is shown by device add --help.
func (*deviceAdd) Help() string {
	return "Scanners, alarms and other machines that know neither passwords nor TLS may send from this address on every SMTP port, from now on. " +
		"They send as the account: only in its name, within its limits, and each message's trace shows it. " +
		"Whoever has the address has the right, so name no more addresses than needed; the smallest network that holds an address counts. " +
		"Programs there that log in send as whom they log in as.\n\n" +
		"  postroom account add scanner@example.org --generate\n" +
		"  postroom device add 192.0.2.7 scanner@example.org"
}

// Run adds a device.
func (c *deviceAdd) Run(ctx context.Context, s *shell) error {
	d, err := ask[admin.Device](ctx, s, "device/add", admin.AddDevice{Network: c.Network, Account: c.Address})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s sends as %s, without logging in.\n", d.Network, d.Account)
	if d.Status != "enabled" {
		fmt.Fprintf(s.out, "That account is disabled: nothing is taken until postroom account enable %s.\n", d.Account)
	}
	return nil
}

type deviceList struct{ listing }

// Run lists the devices.
func (c *deviceList) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.Device](ctx, s, "device/list", nothing{})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, "No devices: everybody logs in. postroom device add 192.0.2.7 scanner@example.org", func(w io.Writer, list []admin.Device) {
		t := newTable(w, "NETWORK", "SENDS AS", "ACCOUNT IS", "SINCE")
		for _, d := range list {
			t.row(d.Network, d.Account, d.Status, date(d.Created))
		}
		t.flush()
	})
}

type deviceChange struct {
	Network string `arg:"" name:"cidr" help:"The device, as it is listed."`
	Address string `arg:"" help:"The account that it sends as from now on."`
}

// Run moves a device to another account.
func (c *deviceChange) Run(ctx context.Context, s *shell) error {
	d, err := ask[admin.Device](ctx, s, "device/move", admin.MoveDevice{Network: c.Network, Account: c.Address})
	if err == nil {
		fmt.Fprintf(s.out, "%s sends as %s from now on.\n", d.Network, d.Account)
	}
	return err
}

type deviceRemove struct {
	Network string `arg:"" name:"cidr" help:"The device's address or network, as it is listed."`
}

// Run removes a device.
func (c *deviceRemove) Run(ctx context.Context, s *shell) error {
	_, err := ask[nothing](ctx, s, "device/remove", nameRequest{c.Network})
	if err == nil {
		fmt.Fprintf(s.out, "%s has to log in to send.\n", c.Network)
	}
	return err
}
