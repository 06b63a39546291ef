package main

import (
	"context"
	"fmt"
	"io"

	"postroom/store/admin"
)

type sourceCmd struct {
	Add    sourceAdd    `cmd:"" group:"commands" help:"Send mail from an address of this machine."`
	List   sourceList   `cmd:"" group:"commands" help:"List the addresses to send from."`
	Change sourceChange `cmd:"" group:"commands" help:"Give an address another name."`
	Remove sourceRemove `cmd:"" group:"commands" help:"Send no more from an address."`
}

type sourceAdd struct {
	IP   string `arg:"" name:"ip" help:"An address of this machine."`
	Name string `placeholder:"NAME" help:"Its name, for EHLO; it should be what the address's PTR record says. Otherwise the server's own."`
	For  string `placeholder:"WHOSE" help:"Only for mail of this account (alice@example.org), or of senders in this domain (example.org)."`
}

// Help is shown by source add --help.
func (*sourceAdd) Help() string {
	return "Several addresses for the same senders take turns. An account's own addresses go before those of its domain, and these before " +
		"everybody's. Without any, the system chooses the address."
}

// Run adds a source address.
func (c *sourceAdd) Run(ctx context.Context, s *shell) error {
	a, err := ask[admin.Source](ctx, s, "source/add", admin.AddSource{IP: c.IP, Name: c.Name, For: c.For})
	if err != nil {
		return err
	}
	named := ""
	if a.Name != "" {
		named = " as " + a.Name
	}
	fmt.Fprintf(s.out, "Mail from %s leaves from %s%s.\n", orAll(a.For), a.IP, named)
	return nil
}

type sourceList struct{ listing }

// Run lists the source addresses.
func (c *sourceList) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.Source](ctx, s, "source/list", nothing{})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, "No addresses are set: the system chooses where mail leaves from.", func(w io.Writer, list []admin.Source) {
		t := newTable(w, "ADDRESS", "NAME", "MAIL FROM", "SINCE")
		for _, a := range list {
			t.row(a.IP, orNothing(a.Name), orAll(a.For), date(a.Created))
		}
		t.flush()
	})
}

type sourceChange struct {
	IP   string `arg:"" name:"ip" help:"The address."`
	Name string `required:"" placeholder:"NAME" help:"Its name, for EHLO; '' for the server's own."`
	For  string `placeholder:"WHOSE" help:"The account or the senders' domain that it is for."`
}

// Run gives a source address another name.
func (c *sourceChange) Run(ctx context.Context, s *shell) error {
	a, err := ask[admin.Source](ctx, s, "source/change", admin.ChangeSource{IP: c.IP, For: c.For, Name: c.Name})
	if err != nil {
		return err
	}
	name := "under the server's own name"
	if a.Name != "" {
		name = "as " + a.Name
	}
	fmt.Fprintf(s.out, "Mail from %s leaves from %s %s.\n", orAll(a.For), a.IP, name)
	return nil
}

type sourceRemove struct {
	IP  string `arg:"" name:"ip" help:"The address."`
	For string `placeholder:"WHOSE" help:"The account or the senders' domain that it is for."`
}

// Run removes a source address.
func (c *sourceRemove) Run(ctx context.Context, s *shell) error {
	_, err := ask[nothing](ctx, s, "source/remove", admin.RemoveSource{IP: c.IP, For: c.For})
	if err == nil {
		fmt.Fprintf(s.out, "Mail from %s no longer leaves from %s.\n", orAll(c.For), c.IP)
	}
	return err
}
