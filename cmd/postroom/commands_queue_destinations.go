package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"postroom/store/admin"
)

type queueDestinations struct{ listing }

// Help says what is counted where.
func (*queueDestinations) Help() string {
	return `A destination is a recipients' domain, or a server that a route leads to. Mail
that goes to such a server is counted at its domain and at the server. A failing
destination is one that nobody can be reached at: all its mail waits together,
until one attempt shows that somebody is there again.`
}

// Run shows what is known of each destination.
func (c *queueDestinations) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.Destination](ctx, s, "queue/destinations", nothing{})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, "No destinations are known yet.", func(w io.Writer, list []admin.Destination) {
		now := time.Now()
		t := newTable(w, "DESTINATION", "WAITING", "SENDING", "HELD", "STATE")
		for _, d := range list {
			t.row(d.Destination, fmt.Sprint(d.Waiting), fmt.Sprint(d.Sending), fmt.Sprint(d.Held), stateOf(now, d)+over(d))
			if d.State == "failing" {
				t.note(clip("  "+wordsOf(d), screen))
			}
		}
		t.flush()
	})
}

// stateOf says in words how a destination is doing.
func stateOf(now time.Time, d admin.Destination) string {
	switch {
	case d.State == "paused":
		return "paused by you since " + d.PausedSince.Local().Format("2006-01-02 15:04")
	case d.State == "failing" && d.Waiting+d.Sending+d.Held == 0:
		return "nobody could be reached " + ago(now, d.LastFailure) + "; nothing waits"
	case d.State == "failing":
		return fmt.Sprintf("failing%s, %s", failingFor(now, d), nextText(now, d.NextTry))
	case !d.LastSuccess.IsZero():
		return "ok, " + ago(now, d.LastSuccess)
	}
	return "ok"
}

// failingFor says how long nobody could be reached: since the last success, or
// since the oldest mail came that waits for a first one.
func failingFor(now time.Time, d admin.Destination) string {
	since := d.LastSuccess
	if since.IsZero() {
		since = d.Oldest
	}
	if since.IsZero() {
		return ""
	}
	return " for " + inOneUnit(now.Sub(since))
}

// over names where a domain's mail goes instead of its own servers.
func over(d admin.Destination) string {
	if len(d.Over) == 0 {
		return ""
	}
	return "; goes to " + strings.Join(d.Over, ", ")
}

// wordsOf says who said what last. Our own words name the host themselves.
func wordsOf(d admin.Destination) string {
	if d.Host == "" || strings.Contains(d.LastReply, d.Host) {
		return cmp.Or(d.LastReply, "no reason known")
	}
	return d.Host + ": " + d.LastReply
}
