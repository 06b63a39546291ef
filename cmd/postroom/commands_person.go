package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"postroom/store/admin"
)

type aliasChange struct {
	Source  string   `arg:"" help:"The alias."`
	Targets []string `arg:"" name:"target" help:"Where its mail goes from now on."`
	strictness
}

// Run has an alias lead elsewhere.
func (c *aliasChange) Run(ctx context.Context, s *shell) error {
	a, err := ask[admin.Alias](ctx, s, "alias/change", admin.NewAlias{Source: c.Source, Targets: c.Targets, Strict: c.Strict})
	if err != nil {
		return err
	}
	s.warn(a.Problems)
	fmt.Fprintf(s.out, "Changed the alias %s: it leads to %s.\n", a.Source, strings.Join(a.Targets, ", "))
	return nil
}

// A strictness says what becomes of what is doubtful.
type strictness struct {
	Strict bool `help:"Change nothing if there is a warning."`
}

// warn prints what should be known about something that was done.
func (s *shell) warn(warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(s.err, "warning:", w)
	}
}

type accountForward struct {
	accountArg
	Targets []string `arg:"" optional:"" name:"target" help:"Where its mail goes on to, in the place of what was before; none: show it."`
	Keep    bool     `help:"Keep a copy in the account's own maildrop."`
	Off     bool     `help:"Forward no more."`
	strictness
	listing
}

// Run shows or changes where an account's mail goes on to.
func (c *accountForward) Run(ctx context.Context, s *shell) error {
	switch {
	case c.Off && (len(c.Targets) > 0 || c.Keep):
		return errors.New("--off takes no targets and no --keep: it ends the forward")
	case len(c.Targets) == 0 && c.Keep:
		return errors.New("--keep needs the addresses that the mail goes on to")
	case len(c.Targets) == 0 && !c.Off:
		f, err := ask[admin.Forward](ctx, s, "account/forward", accountRequest{Address: c.Address})
		if err != nil {
			return err
		}
		s.warn(f.Problems)
		return show(s, c.listing, f, func(w io.Writer, f admin.Forward) { fmt.Fprintln(w, forwardSentence(c.Address, f)) })
	}
	f, err := ask[admin.Forward](ctx, s, "account/set-forward", admin.SetForward{
		Address: c.Address, Targets: c.Targets, Keep: c.Keep, Strict: c.Strict,
	})
	if err != nil {
		return err
	}
	s.warn(f.Problems)
	return show(s, c.listing, f, func(w io.Writer, f admin.Forward) { fmt.Fprintln(w, forwardSentence(c.Address, f)) })
}

func forwardSentence(address string, f admin.Forward) string {
	switch {
	case len(f.Targets) == 0:
		return fmt.Sprintf("Mail for %s isn't forwarded.", address)
	case f.Keep:
		return fmt.Sprintf("Mail for %s goes on to %s, and a copy is kept.", address, strings.Join(f.Targets, ", "))
	}
	return fmt.Sprintf("Mail for %s goes on to %s; no copy is kept.", address, strings.Join(f.Targets, ", "))
}

type accountVacation struct {
	accountArg
	Subject  string `help:"The notice's subject; without it \"Auto:\" and that of the mail that is answered."`
	Text     string `xor:"text" help:"What it says."`
	TextFile string `xor:"text" placeholder:"FILE" help:"A file with what it says; - is standard input."`
	From     string `placeholder:"DAY" help:"The first day, such as 2026-12-24; without it, at once."`
	Until    string `placeholder:"DAY" help:"The last day; without it, until --off."`
	Off      bool   `help:"Answer no more. The text is kept."`
	listing
}

// Help is shown by account vacation --help.
func (*accountVacation) Help() string {
	return "Answers mail in the account's name while its owner is away: each sender once a week, and neither lists nor automatic mail (RFC 3834). " +
		"Without a text the notice is shown."
}

// Run shows or changes what is answered in an account's name.
func (c *accountVacation) Run(ctx context.Context, s *shell) error {
	v, err := c.ask(ctx, s)
	if err != nil {
		return err
	}
	return show(s, c.listing, v, func(w io.Writer, v admin.Vacation) {
		t := newTable(w)
		t.row("Notice", vacationWords[v.State])
		t.row("Subject", orNothing(v.Subject))
		t.row("From", orNothing(v.From))
		t.row("Until", orNothing(v.Until))
		t.flush()
		if v.Text != "" {
			fmt.Fprintf(w, "\n%s\n", v.Text)
		}
	})
}

var vacationWords = map[string]string{
	"off": "off", "waits": "on, waits for its first day", "answers": "on, mail is answered", "over": "over: its last day has passed",
}

func (c *accountVacation) ask(ctx context.Context, s *shell) (admin.Vacation, error) {
	text := c.Text
	switch {
	case c.Off:
		return ask[admin.Vacation](ctx, s, "account/end-vacation", accountRequest{Address: c.Address})
	case c.TextFile != "":
		b, err := readTextFile(s, c.TextFile)
		if err != nil {
			return admin.Vacation{}, err
		}
		text = string(b)
	case text == "" && c.Subject+c.From+c.Until != "":
		return admin.Vacation{}, errors.New("a notice needs a text: --text or --text-file")
	case text == "":
		return ask[admin.Vacation](ctx, s, "account/vacation", accountRequest{Address: c.Address})
	}
	return ask[admin.Vacation](ctx, s, "account/set-vacation", admin.SetVacation{
		Address: c.Address, On: true, Subject: c.Subject, Text: text, From: c.From, Until: c.Until,
	})
}

func readTextFile(s *shell, name string) ([]byte, error) {
	const enough = 1 << 20 // whoever gives more is told that it is too long
	if name == "-" {
		return io.ReadAll(io.LimitReader(s.in, enough))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, enough))
}

type senderCmd struct {
	Add    senderAdd    `cmd:"" group:"commands" help:"Let an account send as a further address, or as all of a domain's."`
	List   senderList   `cmd:"" group:"commands" help:"List the further addresses that an account may send as."`
	Remove senderRemove `cmd:"" group:"commands" help:"Take such a right back."`
}

type senderArgs struct {
	accountArg
	Sender string `arg:"" help:"The further address; @example.org is every address of example.org."`
}

func (c senderArgs) request() admin.SenderRight {
	return admin.SenderRight{Address: c.Address, Sender: c.Sender}
}

type senderAdd struct{ senderArgs }

// Run lets an account send as a further address.
func (c *senderAdd) Run(ctx context.Context, s *shell) error {
	added, err := ask[admin.Sender](ctx, s, "sender/add", c.request())
	if err == nil {
		fmt.Fprintf(s.out, "%s may send as %s.\n", c.Address, added.Sender)
	}
	return err
}

type senderList struct {
	accountArg
	listing
}

// Run lists what an account may send as.
func (c *senderList) Run(ctx context.Context, s *shell) error {
	list, err := ask[[]admin.Sender](ctx, s, "sender/list", accountRequest{Address: c.Address})
	if err != nil {
		return err
	}
	return showList(s, c.listing, list, c.Address+" may send as itself and its aliases alone.", func(w io.Writer, list []admin.Sender) {
		t := newTable(w, "MAY SEND AS", "SINCE")
		for _, sender := range list {
			t.row(sender.Sender, date(sender.Created))
		}
		t.flush()
	})
}

type senderRemove struct{ senderArgs }

// Run takes the right to send as an address back.
func (c *senderRemove) Run(ctx context.Context, s *shell) error {
	_, err := ask[nothing](ctx, s, "sender/remove", c.request())
	if err == nil {
		fmt.Fprintf(s.out, "%s may not send as %s any more.\n", c.Address, c.Sender)
	}
	return err
}
