package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"postroom/store/admin"
)

type loginCmd struct {
	Blocks  loginBlocks  `cmd:"" group:"commands" help:"List the networks that guessed passwords and may not log in for a while."`
	Forgive loginForgive `cmd:"" group:"commands" help:"Let an address or a network log in again at once."`
}

type loginBlocks struct{ listing }

// Run lists the blocks.
func (c *loginBlocks) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.LoginBlock](ctx, s, "login/blocks", nothing{})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, "Nobody is kept from logging in.", func(w io.Writer, list []admin.LoginBlock) {
		t := newTable(w, "NETWORK", "UNTIL", "SINCE", "FAILED", "NAMES", "LAST TRY")
		for _, b := range list {
			t.row(b.Network, b.Until.Local().Format(time.DateTime), b.Since.Local().Format(time.DateTime),
				fmt.Sprint(b.Failures), fmt.Sprint(b.Names), b.Protocol)
		}
		t.flush()
	})
}

type loginForgive struct {
	Network string `arg:"" name:"ip|cidr" help:"An address or a network."`
}

// Run ends blocks, and forgets failed logins.
func (c *loginForgive) Run(ctx context.Context, s *shell) error {
	ended, err := ask[[]admin.LoginBlock](ctx, s, "login/forgive", nameRequest{c.Network})
	if err != nil {
		return err
	}
	if len(ended) == 0 {
		fmt.Fprintf(s.out, "Nothing kept %s from logging in. Its failed logins are forgotten.\n", printable(c.Network))
		return nil
	}
	for _, b := range ended {
		fmt.Fprintf(s.out, "%s may log in again.\n", b.Network)
	}
	return nil
}
