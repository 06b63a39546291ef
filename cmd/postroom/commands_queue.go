package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"postroom/store/admin"
)

type queueCmd struct {
	List    queueList    `cmd:"" group:"commands" help:"List the recipients that mail still waits for."`
	Show    queueShow    `cmd:"" group:"commands" help:"Show one message's recipients in full."`
	Retry   queueRetry   `cmd:"" group:"commands" help:"Try now; what is held stays held."`
	Hold    queueHold    `cmd:"" group:"commands" help:"Keep mail from being sent until it is released."`
	Release queueRelease `cmd:"" group:"commands" help:"Let held mail go."`
	Cancel  queueCancel  `cmd:"" group:"commands" help:"Take a message out of the queue."`
}

type queueList struct {
	Domain string `placeholder:"DOMAIN" help:"Only mail for this domain."`
	listing
}

// Run lists the queue.
func (c *queueList) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.QueueItem](ctx, s, "queue/list", admin.QueueSelection{Domain: c.Domain})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, "Nothing waits to be sent.", func(w io.Writer, list []admin.QueueItem) {
		now := time.Now()
		t := newTable(w, "ID", "FROM", "TO", "STATUS", "TRIED", "NEXT", "LAST REPLY")
		for _, q := range list {
			t.row(q.ID.String(), orNothing(clip(q.From, 32)), clip(q.To, 40), q.Status, fmt.Sprint(q.Attempts), nextText(now, q), clip(q.LastReply, 60))
		}
		t.flush()
	})
}

func nextText(now time.Time, q admin.QueueItem) string {
	if q.Status == "waiting" {
		return in(now, q.NextAttempt)
	}
	return "-"
}

type queueShow struct {
	ID string `arg:"" name:"id" help:"The message's ID or its Message-ID."`
	listing
}

// Run shows one message of the queue.
func (c *queueShow) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.QueueItem](ctx, s, "queue/list", admin.QueueSelection{Message: c.ID})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("the message %s is not in the queue; “postroom trace %s” may tell what became of it", c.ID, c.ID)
	}
	return show(s, c.listing, list, func(w io.Writer, list []admin.QueueItem) {
		now := time.Now()
		for i, q := range list {
			if i > 0 {
				fmt.Fprintln(w)
			}
			t := newTable(w)
			t.row("To", q.To)
			t.row("From", orNothing(q.From))
			t.row("ID", q.ID.String())
			t.row("Message-ID", orNothing(q.MessageID))
			t.row("Status", q.Status)
			t.row("Tried", plural(int64(q.Attempts), "time"))
			t.row("Next", nextText(now, q))
			t.row("Last reply", orNothing(q.LastReply))
			t.row("Here since", q.Created.Local().Format(time.DateTime))
			t.row("Goes back", q.Expires.Local().Format(time.DateTime))
			t.flush()
		}
	})
}

// A queueChoice says which mail a change is about: exactly one of its three.
type queueChoice struct {
	ID     string `arg:"" name:"id" optional:"" help:"The message's ID or its Message-ID."`
	All    bool   `help:"All that waits."`
	Domain string `placeholder:"DOMAIN" help:"All mail for this domain."`
}

// Validate is called by kong.
func (q queueChoice) Validate() error {
	n := 0
	for _, given := range []bool{q.ID != "", q.All, q.Domain != ""} {
		if given {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("say which mail is meant: an ID, --domain or --all")
	}
	return nil
}

func (q queueChoice) change(ctx context.Context, s *shell, operation, done string) error {
	c, err := ask[changedQueue](ctx, s, operation, admin.QueueSelection{Message: q.ID, Domain: q.Domain, All: q.All})
	if err == nil {
		fmt.Fprintf(s.out, "%s %s.\n", done, plural(c.Recipients, "recipient"))
	}
	return err
}

type queueRetry struct{ queueChoice }

// Run makes mail due.
func (c *queueRetry) Run(ctx context.Context, s *shell) error {
	return c.change(ctx, s, "queue/retry", "Trying now:")
}

type queueHold struct{ queueChoice }

// Run holds mail.
func (c *queueHold) Run(ctx context.Context, s *shell) error {
	return c.change(ctx, s, "queue/hold", "Held:")
}

type queueRelease struct{ queueChoice }

// Run releases mail.
func (c *queueRelease) Run(ctx context.Context, s *shell) error {
	return c.change(ctx, s, "queue/release", "Released:")
}

type queueCancel struct {
	ID     string `arg:"" name:"id" help:"The message's ID or its Message-ID."`
	Bounce bool   `help:"Return it to its sender."`
}

// Run takes a message out of the queue.
func (c *queueCancel) Run(ctx context.Context, s *shell) error {
	n, err := ask[changedQueue](ctx, s, "queue/cancel", admin.QueueSelection{Message: c.ID, Bounce: c.Bounce})
	if err != nil {
		return err
	}
	what := "without a word to its sender"
	if c.Bounce {
		what = "and goes back to its sender"
	}
	fmt.Fprintf(s.out, "Cancelled for %s, %s.\n", plural(n.Recipients, "recipient"), strings.TrimSpace(what))
	return nil
}
