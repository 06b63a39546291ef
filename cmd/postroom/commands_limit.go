package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"postroom/store/admin"
)

type limitCmd struct {
	Set  limitSet  `cmd:"" group:"commands" help:"Give an account, a domain or the server limits of its own, or none."`
	Show limitShow `cmd:"" group:"commands" help:"Show limits, what is left of them and when there is more."`
}

type limitSet struct {
	Name              string `arg:"" help:"An account (alice@example.org), a domain for all its accounts together (example.org), or “server” for all accounts."`
	MessagesPerHour   string `placeholder:"N|none|default" help:"Messages to other servers within an hour."`
	MessagesPerDay    string `placeholder:"N|none|default" help:"Messages to other servers within a day."`
	RecipientsPerHour string `placeholder:"N|none|default" help:"Recipients at other servers within an hour."`
	RecipientsPerDay  string `placeholder:"N|none|default" help:"Recipients at other servers within a day."`
}

// Help is shown by limit set --help.
func (*limitSet) Help() string {
	return "A limit is a number, none, or default for what the configuration says; what isn't named stays as it is. It takes effect at once.\n\n" +
		"Hour and day end now, at every moment. A message counts for its account, for that one's domain and for the server, and has to be " +
		"within the limits of all three; over one it is put off (450). Mail to accounts here, bounces and what the server writes itself don't count.\n\n" +
		"  postroom limit set alice@example.org --messages-per-hour 500 --recipients-per-day none\n" +
		"  postroom limit set server --recipients-per-day 20000"
}

// Run sets limits.
func (c *limitSet) Run(ctx context.Context, s *shell) error {
	if c.MessagesPerHour+c.MessagesPerDay+c.RecipientsPerHour+c.RecipientsPerDay == "" {
		return usagef("say which limit: --messages-per-hour, --messages-per-day, --recipients-per-hour or --recipients-per-day")
	}
	l, err := ask[admin.Limits](ctx, s, "limit/set", admin.SetLimit{
		Name: c.Name, MessagesPerHour: c.MessagesPerHour, MessagesPerDay: c.MessagesPerDay,
		RecipientsPerHour: c.RecipientsPerHour, RecipientsPerDay: c.RecipientsPerDay,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "From now on, to other servers:\n\n")
	printLimits(s.out, time.Now(), []admin.Limits{l})
	return nil
}

type limitShow struct {
	Name string `arg:"" optional:"" help:"An account, a domain, or “server”. Otherwise the server and all who have limits of their own or have used half of one."`
	listing
}

// Run shows limits.
func (c *limitShow) Run(ctx context.Context, s *shell) error {
	if c.Name == "" {
		list, err := ask[[]admin.Limits](ctx, s, "limit/list", nothing{})
		if err != nil {
			return err
		}
		return showList(s, c.listing, list, "", func(w io.Writer, list []admin.Limits) { printLimits(w, time.Now(), list) })
	}
	l, err := ask[admin.Limits](ctx, s, "limit/show", nameRequest{c.Name})
	if err != nil {
		return err
	}
	return show(s, c.listing, l, func(w io.Writer, l admin.Limits) {
		printLimits(w, time.Now(), append([]admin.Limits{l}, l.Within...))
	})
}

// printLimits prints limits, those that are none too for the first name.
func printLimits(w io.Writer, now time.Time, list []admin.Limits) {
	t := newTable(w, "WHOSE", "LIMIT", "AT MOST", "SET BY", "USED", "LEFT", "MORE IS LEFT")
	for i, l := range list {
		name, printed := l.Name, false
		row := func(what string, limit admin.Limit) {
			if limit.Limit == nil && limit.Source != "own" && i > 0 {
				return
			}
			t.row(name, what, limitText(limit.Limit), limit.Source, fmt.Sprint(limit.Used), limitText(limit.Left), freesText(now, limit.Frees))
			name, printed = "", true
		}
		row("messages an hour", l.MessagesPerHour)
		row("messages a day", l.MessagesPerDay)
		row("recipients an hour", l.RecipientsPerHour)
		row("recipients a day", l.RecipientsPerDay)
		if !printed {
			t.row(name, "none")
		}
	}
	t.flush()
}

func limitText(n *int64) string {
	if n == nil {
		return "any number"
	}
	return fmt.Sprint(*n)
}

// freesText says when more is left, in how long and at what time of the day.
func freesText(now, frees time.Time) string {
	switch {
	case frees.IsZero():
		return ""
	case !frees.After(now):
		return "now"
	}
	return in(now, frees) + frees.Local().Format(" (15:04)")
}
