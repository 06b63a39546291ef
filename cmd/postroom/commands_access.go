package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"postroom/store/admin"
)

type blockCmd struct {
	Add    blockAdd    `cmd:"" group:"commands" help:"Refuse mail from somebody, at once."`
	Change blockChange `cmd:"" group:"commands" help:"Change an entry's note, or when it ends."`
	List   blockList   `cmd:"" group:"commands" help:"List who is blocked."`
	Remove blockRemove `cmd:"" group:"commands" help:"Take somebody off the list."`
}

type allowCmd struct {
	Add    allowAdd    `cmd:"" group:"commands" help:"Take mail from somebody whatever the checks say, at once."`
	Change allowChange `cmd:"" group:"commands" help:"Change an entry's note, or when it ends."`
	List   allowList   `cmd:"" group:"commands" help:"List who is allowed."`
	Remove allowRemove `cmd:"" group:"commands" help:"Take somebody off the list."`
}

// An accessAdd is what both lists are told of a new entry.
type accessAdd struct {
	What    string `arg:"" help:"An address or a network (192.0.2.1, 192.0.2.0/24, 2001:db8::/32), a domain with all below it (example.org), or a mail address (eve@example.org)."`
	Note    string `placeholder:"TEXT" help:"Why; for you, senders don't see it."`
	Expires string `placeholder:"DURATION" help:"When it ends by itself: 12h, 30d, 2w. Otherwise never."`
	listing
}

func (c *accessAdd) run(ctx context.Context, s *shell, action, done string) error {
	e, err := ask[admin.AccessEntry](ctx, s, "access/add", admin.AddAccess{Action: action, What: c.What, Note: c.Note, Expires: c.Expires})
	if err != nil {
		return err
	}
	return show(s, c.listing, e, func(w io.Writer, e admin.AccessEntry) {
		text := done + " " + e.What
		if !e.Expires.IsZero() {
			text += " until " + moment(e.Expires)
		}
		if e.Replaced != "" && e.Replaced != action {
			text += "; it was in the " + e.Replaced + " list before"
		}
		fmt.Fprintln(w, printable(text)+".")
	})
}

type blockAdd struct{ accessAdd }

// Help is shown by block add --help.
func (*blockAdd) Help() string {
	return "Mail from there is refused (550 5.7.1), to postmaster too; a blocked network can't log in either. Domains and mail addresses are compared " +
		"with what the client says at EHLO and in MAIL FROM, and with the header's From. Of several entries the most specific counts, and of a network and a name " +
		"that disagree the one that allows.\n\n" +
		"  postroom block add 192.0.2.0/24 --note 'guesses passwords' --expires 30d"
}

// Run blocks somebody.
func (c *blockAdd) Run(ctx context.Context, s *shell) error {
	return c.run(ctx, s, "block", "Blocked")
}

type allowAdd struct{ accessAdd }

// Help is shown by allow add --help.
func (*allowAdd) Help() string {
	return "Mail from there passes all checks: blocklists, SPF, DMARC, limits by the minute. A network is the safe choice: what a client says of its name and of " +
		"its sender, anybody can say.\n\n" +
		"  postroom allow add 192.0.2.25 --note 'the printer of the office'"
}

// Run allows somebody.
func (c *allowAdd) Run(ctx context.Context, s *shell) error {
	return c.run(ctx, s, "allow", "Allowed")
}

// An accessChange is what both lists are told of an entry that is to be different.
type accessChange struct {
	What    string  `arg:"" help:"What is listed."`
	Note    *string `placeholder:"TEXT" help:"Why; '' for nothing."`
	Expires *string `placeholder:"DURATION" help:"When it ends by itself, from now on: 12h, 30d, 2w; 0 for never."`
	listing
}

func (c *accessChange) run(ctx context.Context, s *shell, action, done string) error {
	if c.Note == nil && c.Expires == nil {
		return usagef("say what is to be different: --note or --expires")
	}
	e, err := ask[admin.AccessEntry](ctx, s, "access/change", admin.ChangeAccess{Action: action, What: c.What, Note: c.Note, Expires: c.Expires})
	if err != nil {
		return err
	}
	return show(s, c.listing, e, func(w io.Writer, e admin.AccessEntry) {
		until := "until it is removed"
		if !e.Expires.IsZero() {
			until = "until " + moment(e.Expires)
		}
		fmt.Fprintf(w, "%s is %s %s; note: %s.\n", printable(e.What), done, until, orNothing(printable(e.Note)))
	})
}

type blockChange struct{ accessChange }

// Run changes an entry.
func (c *blockChange) Run(ctx context.Context, s *shell) error {
	return c.run(ctx, s, "block", "blocked")
}

type allowChange struct{ accessChange }

// Run changes an entry.
func (c *allowChange) Run(ctx context.Context, s *shell) error {
	return c.run(ctx, s, "allow", "allowed")
}

type blockList struct{ listing }

// Run lists who is blocked.
func (c *blockList) Run(ctx context.Context, s *shell) error {
	return listAccess(ctx, s, c.listing, "block", "Nobody is blocked.")
}

type allowList struct{ listing }

// Run lists who is allowed.
func (c *allowList) Run(ctx context.Context, s *shell) error {
	return listAccess(ctx, s, c.listing, "allow", "Nobody is allowed past the checks.")
}

func listAccess(ctx context.Context, s *shell, l listing, action, empty string) error {
	list, err := ask[[]admin.AccessEntry](ctx, s, "access/list", nameRequest{action})
	if err != nil {
		return err
	}
	return showList(s, l, list, empty, func(w io.Writer, list []admin.AccessEntry) {
		t := newTable(w, "WHAT", "SINCE", "UNTIL", "NOTE")
		for _, e := range list {
			until := "-"
			if !e.Expires.IsZero() {
				until = moment(e.Expires)
			}
			t.row(e.What, date(e.Created), until, orNothing(e.Note))
		}
		t.flush()
	})
}

type accessRemove struct {
	What string `arg:"" help:"What is listed."`
}

func (c *accessRemove) run(ctx context.Context, s *shell, action, done string) error {
	_, err := ask[nothing](ctx, s, "access/remove", admin.RemoveAccess{Action: action, What: c.What})
	if err == nil {
		fmt.Fprintf(s.out, "%s is %s no more.\n", printable(c.What), done)
	}
	return err
}

type blockRemove struct{ accessRemove }

// Run takes somebody off the list.
func (c *blockRemove) Run(ctx context.Context, s *shell) error {
	return c.run(ctx, s, "block", "blocked")
}

type allowRemove struct{ accessRemove }

// Run takes somebody off the list.
func (c *allowRemove) Run(ctx context.Context, s *shell) error {
	return c.run(ctx, s, "allow", "allowed")
}

// moment is a time for people.
func moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }
