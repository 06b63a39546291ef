package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

type queueList struct {
	Domain string `placeholder:"DOMAIN" help:"Only mail for this domain."`
	From   string `placeholder:"SENDER" help:"Only mail from this sender."`
	Held   bool   `help:"Only what is held, for whatever reason."`
	Limit  int    `placeholder:"N" help:"At most so many recipients."`
	listing
}

// Validate is called by kong.
func (c *queueList) Validate() error {
	if c.Limit < 0 {
		return errors.New("--limit: needs a number from 1 up")
	}
	return nil
}

// Run lists the queue, an item at a time: it may be long.
func (c *queueList) Run(ctx context.Context, s *shell) (err error) {
	out := bufio.NewWriterSize(s.out, 64<<10)
	defer func() { err = errors.Join(err, out.Flush()) }()
	req := queueRequest{admin.QueueSelection{Domain: c.Domain, Sender: c.From, Held: c.Held}, c.Limit}
	if c.JSON {
		list := &jsonList{w: out}
		if err := eachQueued(ctx, s, req, func(q admin.QueueItem) error { return list.add(q) }); err != nil {
			return err
		}
		return list.end()
	}
	list := &queuePrinter{w: out, now: time.Now()}
	if err := eachQueued(ctx, s, req, list.add); err != nil {
		return err
	}
	if list.last == 0 {
		fmt.Fprintln(out, "Nothing waits to be sent.")
	}
	return nil
}

// A queuePrinter prints recipients for people, those of one message together.
type queuePrinter struct {
	w    io.Writer
	now  time.Time
	last store.MessageID // of the message that was printed last
}

const screen = 80 // columns

func (p *queuePrinter) add(q admin.QueueItem) error {
	if q.ID != p.last {
		p.last = q.ID
		fmt.Fprintf(p.w, "%s  %s, %s, from %s\n", q.ID, ago(p.now, q.Created), humanSize(q.Size), printable(orNothing(q.From)))
	}
	via := ""
	if q.Via != "" {
		via = " (sent on from " + q.Via + ")"
	}
	_, err := fmt.Fprintf(p.w, "  %s%s\n     %s\n", printable(q.To), printable(via), clip(printable(statusOf(p.now, q)), screen-5))
	return err
}

// statusOf says in words how it stands with a recipient.
func statusOf(now time.Time, q admin.QueueItem) string {
	switch {
	case q.Status == "held":
		return heldText(q)
	case q.Status == "sending":
		return "being sent"
	case q.Attempts == 0 && q.LastReply == "":
		return "not tried yet, " + nextText(now, q.NextAttempt)
	}
	tried := "not tried yet"
	if q.Attempts > 0 {
		tried = "tried " + plural(int64(q.Attempts), "time")
	}
	return fmt.Sprintf("%s, %s: %s", tried, nextText(now, q.NextAttempt), orNothing(q.LastReply))
}

func nextText(now, next time.Time) string {
	if !next.After(now) {
		return "next try as soon as there is room"
	}
	return "next try " + in(now, next)
}

// heldText says why a recipient is held, and what ends it.
func heldText(q admin.QueueItem) string {
	var reasons []string
	for _, by := range q.HeldBy {
		switch by {
		case "admin":
			reasons = append(reasons, "held by you")
		case "account":
			reasons = append(reasons, "held because "+orNothing(q.Account)+" is disabled")
		case "restore":
			reasons = append(reasons, "held since the restore: it may have been sent already")
		case "pause":
			reasons = append(reasons, q.Domain+" is paused by you")
		default:
			reasons = append(reasons, by)
		}
	}
	if len(reasons) == 0 {
		return "held"
	}
	return strings.Join(reasons, "; ")
}
