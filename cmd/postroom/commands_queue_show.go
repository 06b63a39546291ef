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

type queueShow struct {
	ID string `arg:"" name:"id" help:"The message's ID or its Message-ID."`
	listing
}

// Run shows one message of the queue.
func (c *queueShow) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.ShownQueueItem](ctx, s, "queue/show", textRequest{c.ID})
	if err != nil {
		return err
	}
	return show(s, c.listing, list, func(w io.Writer, list []admin.ShownQueueItem) {
		now := time.Now()
		for i, q := range list {
			if i > 0 {
				fmt.Fprintln(w)
			}
			printShown(w, now, q)
		}
	})
}

func printShown(w io.Writer, now time.Time, q admin.ShownQueueItem) {
	t := newTable(w)
	t.row("To", q.To)
	if q.Via != "" {
		t.row("Sent on from", q.Via)
	}
	t.row("From", orNothing(q.From))
	if q.Account != "" {
		t.row("Account", q.Account)
	}
	t.row("ID", q.ID.String())
	t.row("Message-ID", orNothing(q.MessageID))
	t.row("Size", humanSize(q.Size))
	t.row("Status", statusOf(now, q.QueueItem))
	t.row("Here since", q.Created.Local().Format(time.DateTime))
	t.row("Goes back", q.Expires.Local().Format(time.DateTime))
	t.flush()
	for _, e := range q.Events {
		switch e.Kind {
		case store.Attempt:
			printAttempt(w, e)
		case store.Postponed: // its attempts have said why
			e = store.Event{Time: e.Time, Kind: e.Kind, Next: e.Next}
			fallthrough
		default:
			fmt.Fprintf(w, "%s  %s  %s\n", e.Time.Local().Format(time.DateTime), e.Kind, printable(eventText(e)))
		}
	}
}

// printAttempt prints what happened at one host, in lines that a screen holds.
func printAttempt(w io.Writer, e store.Event) {
	address := ""
	if e.IP != "" {
		address = " [" + e.IP + "]"
	}
	fmt.Fprintf(w, "%s  attempt  %s at %s%s\n", e.Time.Local().Format(time.DateTime), orNothing(e.Outcome), printable(orNothing(e.Host)), address)
	line := func(format, text string) {
		if text != "" {
			fmt.Fprintf(w, "    "+format+"\n", printable(text))
		}
	}
	line("from %s", e.Source)
	if e.TLS == "none" {
		line("%s", "without TLS")
	} else {
		line("%s", e.TLS)
	}
	line("certificate: %s", e.Certificate)
	line("“%s”", e.Reply)
	line("%s", strings.TrimSpace(e.Reason))
}
