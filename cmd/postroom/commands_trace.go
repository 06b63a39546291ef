package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"postroom/store"
)

type traceCmd struct {
	What string `arg:"" name:"message" help:"A Message-ID, the ID that the server gave, or an address."`
	listing
}

// Help is shown by trace --help.
func (*traceCmd) Help() string {
	return "Shows every event of a message in order: who gave it to us, where it went, each attempt with the other server's own words, " +
		"who collected it. An address finds the newest messages from it and to it."
}

// Run shows the way of the messages that c.What finds.
func (c *traceCmd) Run(ctx context.Context, s *shell) error {
	trails, err := ask[[]store.Trail](ctx, s, "trace", textRequest{c.What})
	if err != nil {
		return err
	}
	return showList(s, c.listing, trails, "Nothing is known of "+c.What+".", func(w io.Writer, trails []store.Trail) {
		for i, t := range trails {
			if i > 0 {
				fmt.Fprintln(w)
			}
			printTrail(w, t)
		}
	})
}

func printTrail(w io.Writer, trail store.Trail) {
	fmt.Fprintf(w, "%s  from %s  to %s\n", trail.ID, printable(orNothing(trail.From)), printable(orNothing(strings.Join(trail.To, ", "))))
	if trail.HeaderID != "" {
		fmt.Fprintf(w, "<%s>\n", printable(trail.HeaderID))
	}
	t := newTable(w)
	for _, e := range trail.Events {
		t.row("  "+e.Time.Local().Format("2006-01-02 15:04:05.000"), string(e.Kind), orNothing(e.Recipient), eventText(e))
	}
	t.flush()
}

// eventText puts the details of an event into one line.
func eventText(e store.Event) string {
	var parts []string
	add := func(format, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	add("as %s", e.Account)
	add("device %s", e.Device)
	add("by %s", e.Protocol)
	add("from %s", e.Client)
	add("(%s)", e.Helo)
	if e.Size > 0 {
		parts = append(parts, humanSize(e.Size))
	}
	add("%s", e.Outcome)
	add("at %s", e.Host)
	add("[%s]", e.IP)
	add("TLS: %s", strings.TrimPrefix(e.TLS, "TLS "))
	add("certificate: %s", e.Certificate)
	add("source %s", e.Source)
	add("DKIM: %s", e.Signed)
	add("alias %s", e.Via)
	add("“%s”", e.Reply)
	add("%s", e.Reason)
	var checks []string
	for _, c := range e.Checks {
		checks = append(checks, c.Check+" "+c.Result)
	}
	add("checks: %s", strings.Join(checks, ", "))
	if e.Next != nil {
		parts = append(parts, "next "+e.Next.Local().Format(time.DateTime))
	}
	if e.Report != nil {
		add("report %s", e.Report.String())
	}
	return strings.Join(parts, " ")
}
