package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

type traceCmd struct {
	What    []string `arg:"" optional:"" name:"message" help:"A Message-ID, the ID that the server gave, an address, a host or an IP; with words like refused, or since monday, if you like."`
	IP      string   `name:"ip" placeholder:"IP|NETWORK" help:"Only what came from this address or network, or went there."`
	Host    string   `placeholder:"HOST|DOMAIN" help:"Only what came from this host, or went there; or a host in this domain."`
	Since   string   `placeholder:"WHEN" help:"Only what came since then: a day (2026-11-20), a time (2026-11-20 09:30), a weekday, yesterday, or how long ago (2h, 7d)."`
	Until   string   `placeholder:"WHEN" help:"Only what came until then. A day counts to its end."`
	Outcome string   `placeholder:"WORD" help:"Only what was ${outcomes}."`
	Limit   int      `default:"100" help:"How many messages to show at the most."`
	listing
}

// Help is shown by trace --help.
func (*traceCmd) Help() string {
	return "Shows every event of a message in order: who gave it to us, where it went, each attempt with the other server's own words, " +
		"who collected it. An address finds the newest messages from it and to it; all that is given has to fit, and messages that were refused are found too."
}

// Run shows the way of the messages that c.What finds.
func (c *traceCmd) Run(ctx context.Context, s *shell) error {
	search := admin.TraceSearch{
		Text: strings.Join(c.What, " "), IP: c.IP, Host: c.Host, Since: c.Since, Until: c.Until, Outcome: c.Outcome, Limit: c.Limit,
	}
	if (search == admin.TraceSearch{Limit: c.Limit}) {
		return usagef("say what to look for: a message's ID, its Message-ID, an address, or one of the options, such as --since today")
	}
	found, err := ask[admin.TraceFound](ctx, s, "trace", search)
	if err != nil {
		return err
	}
	err = showList(s, c.listing, found.Trails, nothingFound(search, found), func(w io.Writer, trails []store.Trail) {
		for i, t := range trails {
			if i > 0 {
				fmt.Fprintln(w)
			}
			printTrail(w, t)
		}
	})
	for _, note := range searchNotes(found) {
		fmt.Fprintln(s.err, note)
	}
	return err
}

// nothingFound says that there is no message.
func nothingFound(search admin.TraceSearch, found admin.TraceFound) string {
	if (search == admin.TraceSearch{Text: search.Text, Limit: search.Limit}) {
		return "Nothing is known of " + search.Text + "."
	}
	return "There are no m" + strings.TrimPrefix(found.Understood, "M") + "."
}

// searchNotes say how a search wasn't complete.
func searchNotes(f admin.TraceFound) (notes []string) {
	if f.Looked > 0 {
		notes = append(notes, fmt.Sprintf("The search ended after the newest %s that came into question; --until looks further back.", plural(f.Looked, "message")))
	} else if f.Older != "" {
		notes = append(notes, "There are more; --limit shows them, or --until those further back.")
	}
	if f.Unindexed > 0 {
		notes = append(notes, plural(f.Unindexed, "message")+" can't be found by everything yet; ask again in a moment.")
	}
	if f.Clipped {
		notes = append(notes, "That is so many hosts or addresses that only the first of them were looked for.")
	}
	return notes
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
	add("sent on from %s", e.Via)
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
