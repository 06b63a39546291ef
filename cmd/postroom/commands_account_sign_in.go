package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"postroom/store/admin"
)

// loginText says when and from where somebody logged in last.
func loginText(l admin.LastLogin) string {
	if l.At.IsZero() {
		return "not yet"
	}
	text := l.At.Local().Format("2006-01-02 15:04")
	if l.Client.IsValid() {
		text += " from " + l.Client.String()
	}
	if l.AppPassword != "" {
		text += ", app password " + l.AppPassword
	}
	return text
}

// twoFactorText says since when a code is asked for.
func twoFactorText(since time.Time) string {
	if since.IsZero() {
		return "none"
	}
	return "since " + since.Local().Format(time.DateTime)
}

type accountSessions struct {
	accountArg
	End bool `help:"Sign the account out in all of them."`
	listing
}

// Run lists the sessions of an account, or ends them.
func (c *accountSessions) Run(ctx context.Context, s *shell) error {
	if c.End {
		n, err := ask[int64](ctx, s, "account/end-sessions", accountRequest{Address: c.Address})
		if err == nil {
			fmt.Fprintf(s.out, "Ended %s of %s.\n", plural(n, "session"), c.Address)
		}
		return err
	}
	list, err := ask[[]admin.Session](ctx, s, "account/sessions", accountRequest{Address: c.Address})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, c.Address+" is signed in to the web page in no browser.", func(w io.Writer, list []admin.Session) {
		t := newTable(w, "SINCE", "LAST SEEN", "FROM", "BROWSER")
		for _, one := range list {
			t.row(one.Began.Local().Format(time.DateTime), ago(time.Now(), one.Seen), one.Client, orNothing(printable(one.Agent)))
		}
		t.flush()
	})
}

type accountTwoFactor struct {
	accountArg
	Off bool `help:"Take it from somebody who has lost the telephone and the recovery codes: the password alone opens the web page again."`
	listing
}

// Run shows how an account's second factor stands, or takes it off.
func (c *accountTwoFactor) Run(ctx context.Context, s *shell) error {
	if c.Off {
		if _, err := ask[nothing](ctx, s, "account/two-factor-off", accountRequest{Address: c.Address}); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s signs in to the web page with the password alone from now on.\n", c.Address)
		return nil
	}
	state, err := ask[admin.TwoFactor](ctx, s, "account/two-factor", accountRequest{Address: c.Address})
	if err != nil {
		return err
	}
	return show(s, c.listing, state, func(w io.Writer, state admin.TwoFactor) {
		t := newTable(w)
		t.row("Address", state.Address)
		t.row("Second factor", twoFactorText(state.Since))
		t.row("Recovery codes", fmt.Sprintf("%d left", state.RecoveryCodes))
		t.flush()
	})
}
