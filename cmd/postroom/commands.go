package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"postroom/store/admin"
)

// commands is the grammar of the command line. Every command that changes or
// shows something asks for one operation.
type commands struct {
	Config string `short:"c" placeholder:"FILE" help:"The configuration; otherwise $$POSTROOM_CONFIG, or postroom.toml in this folder."`

	Serve   serveCmd   `cmd:"" group:"server" help:"Run the server."`
	Init    initCmd    `cmd:"" group:"server" help:"Write a configuration for a real host."`
	Version versionCmd `cmd:"" group:"server" help:"Say which version this is."`
	Health  healthCmd  `cmd:"" hidden:"" help:"Say whether the server on this data runs and takes mail; for a container's health check."`

	Domain  domainCmd  `cmd:"" group:"people" help:"Domains whose mail ends here."`
	Account accountCmd `cmd:"" group:"people" help:"Accounts: who logs in, sends and collects."`
	Alias   aliasCmd   `cmd:"" group:"people" help:"Addresses that lead to others."`
	Device  deviceCmd  `cmd:"" group:"people" help:"Scanners and alarms, which send without logging in."`
	Limit   limitCmd   `cmd:"" group:"people" help:"How much may be sent to other servers."`

	Queue  queueCmd  `cmd:"" group:"mail" help:"Mail that waits to be sent, and where to."`
	Route  routeCmd  `cmd:"" group:"mail" help:"Servers that mail goes to instead of by MX."`
	Source sourceCmd `cmd:"" group:"mail" help:"Addresses of this machine that mail leaves from."`
	Trace  traceCmd  `cmd:"" group:"mail" help:"The whole way of a message."`
	DKIM   dkimCmd   `cmd:"" name:"dkim" group:"mail" help:"Keys that sign what leaves."`

	Check checkCmd `cmd:"" group:"mail" help:"What would become of mail that might come? SPF, DKIM, DMARC, your own lists."`
	Block blockCmd `cmd:"" group:"mail" help:"Refuse mail from an address, a network, a domain."`
	Allow allowCmd `cmd:"" group:"mail" help:"Take mail from somebody whatever the checks say."`
	Login loginCmd `cmd:"" group:"people" help:"Who guessed passwords, and may not log in for a while."`

	Concerns concernsCmd `cmd:"" group:"server" help:"What you should know: blocklists, certificates, DNS."`

	Journal journalCmd `cmd:"" group:"server" help:"Who changed what, and undoing it."`

	Backup  backupCmd  `cmd:"" group:"data" help:"Copy everything into one file while the server runs."`
	Restore restoreCmd `cmd:"" group:"data" help:"Begin an empty data folder with a backup."`

	Metrics metricsCmd `cmd:"" group:"server" help:"What monitoring needs."`

	Bench benchCmd `cmd:"" group:"server" help:"Measure this program on this machine."`
}

type aliasCmd struct {
	Add    aliasAdd    `cmd:"" group:"commands" help:"Let an address lead to others."`
	Change aliasChange `cmd:"" group:"commands" help:"Let an alias lead to other addresses."`
	List   aliasList   `cmd:"" group:"commands" help:"List the aliases, with what is wrong with where they lead."`
	Remove aliasRemove `cmd:"" group:"commands" help:"Remove an alias."`
}

type aliasAdd struct {
	Source  string   `arg:"" help:"The new address; @example.org is all of a domain's that nothing else takes."`
	Targets []string `arg:"" name:"target" help:"Where its mail goes."`
	strictness
}

// Run adds an alias.
func (c *aliasAdd) Run(ctx context.Context, s *shell) error {
	a, err := ask[admin.Alias](ctx, s, "alias/add", admin.NewAlias{Source: c.Source, Targets: c.Targets, Strict: c.Strict})
	if err != nil {
		return err
	}
	s.warn(a.Problems)
	fmt.Fprintf(s.out, "Added the alias %s for %s.\n", a.Source, strings.Join(a.Targets, ", "))
	return nil
}

type aliasList struct{ listing }

// Run lists the aliases.
func (c *aliasList) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.Alias](ctx, s, "alias/list", nothing{})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, "No aliases yet: postroom alias add info@example.org alice@example.org", func(w io.Writer, list []admin.Alias) {
		t := newTable(w, "ALIAS", "LEADS TO", "SINCE")
		for _, a := range list {
			t.row(a.Source, strings.Join(a.Targets, ", "), date(a.Created))
		}
		t.flush()
		for _, a := range list {
			for _, problem := range a.Problems {
				fmt.Fprintf(w, "\n%s: %s\n", a.Source, problem)
			}
		}
	})
}

type aliasRemove struct {
	Source string `arg:"" help:"The alias."`
}

// Run removes an alias.
func (c *aliasRemove) Run(ctx context.Context, s *shell) error {
	a, err := ask[admin.Alias](ctx, s, "alias/remove", nameRequest{c.Source})
	if err == nil {
		fmt.Fprintf(s.out, "Removed the alias %s, which led to %s.\n", a.Source, strings.Join(a.Targets, ", "))
	}
	return err
}

func date(t time.Time) string { return t.Local().Format(time.DateOnly) }
