package main

import (
	"context"
	"errors"
	"fmt"

	"postroom/store/admin"
)

type queueCmd struct {
	List         queueList         `cmd:"" group:"commands" help:"List the recipients that mail still waits for."`
	Show         queueShow         `cmd:"" group:"commands" help:"Show one message's recipients in full, with every attempt."`
	Retry        queueRetry        `cmd:"" group:"commands" help:"Try now; what is held stays held."`
	Hold         queueHold         `cmd:"" group:"commands" help:"Keep mail from being sent until it is released."`
	Release      queueRelease      `cmd:"" group:"commands" help:"Let held mail go."`
	Cancel       queueCancel       `cmd:"" group:"commands" help:"Take mail out of the queue; with --bounce return it to its sender."`
	Destinations queueDestinations `cmd:"" group:"commands" help:"Show how each destination is doing."`
	Pause        queuePause        `cmd:"" group:"commands" help:"Keep everything for a domain here until it is resumed."`
	Resume       queueResume       `cmd:"" group:"commands" help:"Send to a paused domain again."`
}

// A queueChoice says which mail a change is about.
type queueChoice struct {
	ID     string `arg:"" name:"id" optional:"" help:"The message's ID or its Message-ID."`
	All    bool   `help:"All that waits."`
	Domain string `placeholder:"DOMAIN" help:"All mail for this domain."`
	From   string `placeholder:"SENDER" help:"All mail from this sender; with --domain, that for the domain."`
}

// Validate is called by kong.
func (q queueChoice) Validate() error {
	n := 0
	for _, given := range []bool{q.ID != "", q.All, q.Domain != "" || q.From != ""} {
		if given {
			n++
		}
	}
	if n != 1 {
		return errors.New("say which mail is meant: an ID, --domain, --from or --all")
	}
	return nil
}

func (q queueChoice) selection() admin.QueueSelection {
	return admin.QueueSelection{Message: q.ID, Domain: q.Domain, Sender: q.From, All: q.All}
}

// change asks for a change of the queue, and returns how many recipients it touched.
// What was done is in the error too if it was stopped or failed: done says it,
// such as "held".
func (q queueChoice) change(ctx context.Context, s *shell, operation, done string, selection admin.QueueSelection) (string, error) {
	end, err := askLong[changedQueue](ctx, s, operation, "recipient", selection)
	if err != nil {
		return "", err
	}
	n := plural(end.Result.Recipients, "recipient")
	switch {
	case end.Stopped:
		return "", fmt.Errorf("stopped: %s %s, the rest (%d) is as it was", n, done, end.left())
	case end.Error != "" && end.Result.Recipients > 0:
		return "", fmt.Errorf("%s (%s %s before that)", end.Error, n, done)
	}
	return n, end.failure()
}

// howLong is the help of commands that may take long.
const howLong = "On a terminal it shows how far it is. Ctrl-C stops it: what is done stays done, and it says how much that is."

type queueRetry struct{ queueChoice }

// Help is shown by queue retry --help.
func (*queueRetry) Help() string { return howLong }

// Run makes mail due.
func (c *queueRetry) Run(ctx context.Context, s *shell) error {
	n, err := c.change(ctx, s, "queue/retry", "due now", c.selection())
	switch {
	case err != nil:
		return err
	case n == plural(0, "recipient") && !c.All:
		fmt.Fprintln(s.out, "Nothing to try: what is held waits for “postroom queue release”.")
	default:
		fmt.Fprintf(s.out, "Trying now: %s.\n", n)
	}
	return nil
}

type queueHold struct{ queueChoice }

// Help is shown by queue hold --help.
func (*queueHold) Help() string { return howLong }

// Run holds mail.
func (c *queueHold) Run(ctx context.Context, s *shell) error {
	n, err := c.change(ctx, s, "queue/hold", "held", c.selection())
	if err == nil {
		fmt.Fprintf(s.out, "Held: %s.\n", n)
	}
	return err
}

type queueRelease struct{ queueChoice }

// Help is shown by queue release --help.
func (*queueRelease) Help() string { return howLong }

// Run releases mail.
func (c *queueRelease) Run(ctx context.Context, s *shell) error {
	n, err := c.change(ctx, s, "queue/release", "released", c.selection())
	if err == nil {
		fmt.Fprintf(s.out, "Released: %s.\n", n)
	}
	return err
}

type queueCancel struct {
	queueChoice
	Bounce bool `help:"Return it to its sender."`
}

// Help is shown by queue cancel --help.
func (*queueCancel) Help() string { return howLong }

// Run takes mail out of the queue.
func (c *queueCancel) Run(ctx context.Context, s *shell) error {
	selection := c.selection()
	selection.Bounce = c.Bounce
	n, err := c.change(ctx, s, "queue/cancel", "cancelled", selection)
	if err != nil {
		return err
	}
	what := "without a word to the sender"
	if c.Bounce {
		what = "and goes back to the sender"
	}
	fmt.Fprintf(s.out, "Cancelled for %s, %s.\n", n, what)
	return nil
}

type queuePause struct {
	Domain string `arg:"" help:"The recipients' domain."`
}

// Run pauses a destination.
func (c *queuePause) Run(ctx context.Context, s *shell) error {
	_, err := ask[nothing](ctx, s, "queue/pause", nameRequest{c.Domain})
	if err == nil {
		fmt.Fprintf(s.out, "Paused: mail for %[1]s stays here until “postroom queue resume %[1]s”.\n", c.Domain)
	}
	return err
}

type queueResume struct {
	Domain string `arg:"" help:"The recipients' domain."`
}

// Run resumes a destination.
func (c *queueResume) Run(ctx context.Context, s *shell) error {
	_, err := ask[nothing](ctx, s, "queue/resume", nameRequest{c.Domain})
	if err == nil {
		fmt.Fprintf(s.out, "Resumed: mail for %s is sent again.\n", c.Domain)
	}
	return err
}
