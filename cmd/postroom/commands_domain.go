package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"postroom/store/admin"
)

type domainCmd struct {
	Add        domainAdd        `cmd:"" group:"commands" help:"Begin to take mail for a domain."`
	List       domainList       `cmd:"" group:"commands" help:"List the domains."`
	Remove     domainRemove     `cmd:"" group:"commands" help:"Stop taking mail for a domain; it must have no accounts and no aliases."`
	Recipients domainRecipients `cmd:"" group:"commands" help:"Show or set whom a backup domain has, so that mail for others is refused."`
}

type domainAdd struct {
	Name   string `arg:"" help:"Such as example.org."`
	Backup bool   `help:"Only hold its mail until its own server is up again: be its backup MX."`
}

// Run adds a domain.
func (c *domainAdd) Run(ctx context.Context, s *shell) error {
	d, err := ask[admin.Domain](ctx, s, "domain/add", admin.AddDomain{Name: c.Name, Backup: c.Backup})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Added the domain %s.\n", d.Name)
	if d.Backup {
		fmt.Fprintf(s.out, "Mail for every address of it is taken. Better name its recipients: postroom domain recipients %s --file FILE\n", d.Name)
		return nil
	}
	fmt.Fprintf(s.out, "What the DNS must say for it: postroom check dns %s\n", d.Name)
	return nil
}

type domainList struct{ listing }

// Run lists the domains.
func (c *domainList) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.Domain](ctx, s, "domain/list", nothing{})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, "No domains yet: postroom domain add example.org", func(w io.Writer, list []admin.Domain) {
		t := newTable(w, "DOMAIN", "ACCOUNTS", "ALIASES", "SINCE", "")
		for _, d := range list {
			t.row(d.Name, fmt.Sprint(d.Accounts), fmt.Sprint(d.Aliases), date(d.Created), domainKind(d))
		}
		t.flush()
	})
}

func domainKind(d admin.Domain) string {
	switch {
	case d.Listed:
		return "backup, known recipients only"
	case d.Backup:
		return "backup"
	}
	return ""
}

type domainRemove struct {
	Name string `arg:"" help:"The domain."`
}

// Run removes a domain.
func (c *domainRemove) Run(ctx context.Context, s *shell) error {
	_, err := ask[nothing](ctx, s, "domain/remove", nameRequest{c.Name})
	if err == nil {
		fmt.Fprintf(s.out, "Removed the domain %s.\n", c.Name)
	}
	return err
}

type domainRecipients struct {
	Name   string   `arg:"" help:"The backup domain."`
	File   string   `xor:"change" placeholder:"FILE" help:"The whole list, an address or a local part a line; - for standard input."`
	Add    []string `xor:"change" placeholder:"ADDRESS" help:"Add these to the list."`
	Remove []string `placeholder:"ADDRESS" help:"Take these out of the list."`
	Any    bool     `xor:"change" help:"Drop the list: take mail for every address."`
	listing
}

// Help is shown by domain recipients --help.
func (*domainRecipients) Help() string {
	return "Without a list a backup server takes mail for addresses that don't exist, and its bounces go to people whose names spammers have used. " +
		"Mail for the postmaster is always taken."
}

// Run shows the recipients of a backup domain, after it has changed them if that
// was asked for.
func (c *domainRecipients) Run(ctx context.Context, s *shell) error {
	change := admin.ChangeDomainRecipients{Name: c.Name, Add: c.Add, Remove: c.Remove, Any: c.Any}
	if c.File != "" {
		text, err := c.read(s)
		if err != nil {
			return err
		}
		change.Set = linesOf(text)
	}
	operation, changed := "domain/recipients", c.File != "" || len(c.Add)+len(c.Remove) > 0 || c.Any
	if changed {
		operation = "domain/set-recipients"
	}
	r, err := ask[admin.DomainRecipients](ctx, s, operation, change)
	if err != nil {
		return err
	}
	return show(s, c.listing, r, func(w io.Writer, r admin.DomainRecipients) {
		switch {
		case r.Any:
			fmt.Fprintf(w, "Mail for every address of %s is taken.\n", r.Domain)
		case changed:
			fmt.Fprintf(w, "Mail for %s of %s is taken.\n", plural(int64(len(r.Recipients)), "recipient"), r.Domain)
		default:
			for _, address := range r.Recipients {
				fmt.Fprintln(w, printable(address))
			}
		}
	})
}

func (c *domainRecipients) read(s *shell) (string, error) {
	var b []byte
	var err error
	if c.File == "-" {
		b, err = io.ReadAll(s.in)
	} else {
		b, err = os.ReadFile(c.File)
	}
	if err != nil {
		return "", fmt.Errorf("recipients: %s", osReason(err))
	}
	return string(b), nil
}

// linesOf returns the lines of a file that say something; what begins with # is
// for people.
func linesOf(text string) []string {
	list := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list
}
