package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"postroom/store"
	"postroom/store/admin"
)

type checkDelivery struct {
	From string `arg:"" help:"The sender; <> for a report, which has none."`
	To   string `arg:"" help:"The recipient."`
	As   string `placeholder:"ACCOUNT" help:"The account that sends it; “outside” for another server. Without, the account whose address the sender is."`
	IP   string `name:"ip" placeholder:"IP" help:"The address of the client. Without, what looks at it isn't asked: SPF, DMARC, blocklists."`
	Helo string `name:"helo" placeholder:"NAME" help:"What the client says at EHLO; its address in brackets without."`
	listing
}

// Help is shown by check delivery --help.
func (*checkDelivery) Help() string {
	return "The mail goes through the very session that its sender would have, and its way out is planned as it would be. " +
		"Nothing is accepted, counted or sent, and no mail server is connected to. The exit status is 0 if the mail would be taken."
}

// Run asks what would happen.
func (c *checkDelivery) Run(ctx context.Context, s *shell) error {
	p, err := ask[admin.Preview](ctx, s, "check/delivery", admin.PreviewRequest{From: c.From, To: c.To, As: c.As, IP: c.IP, Helo: c.Helo})
	if err != nil {
		return err
	}
	if err := show(s, c.listing, p, printPreview); err != nil || p.Taken {
		return err
	}
	return errors.New("the mail would not be taken: " + printable(p.Reply))
}

// printPreview prints a section for each part of the way.
func printPreview(w io.Writer, p admin.Preview) {
	fmt.Fprintf(w, "The client would hear: %s\n\n", printable(p.Reply))
	t := newTable(w)
	who := "another server"
	if p.Sender.Account != "" {
		who = p.Sender.Account
	}
	if p.Sender.Device != "" {
		who += ", as its device " + p.Sender.Device
	}
	t.row("sent by", who)
	switch {
	case p.Sender.Asked && p.Sender.May:
		t.row("", "may send as "+p.From)
	case p.Sender.Asked:
		t.row("", "may not send as that")
	}
	for i, step := range p.Steps {
		name := ""
		if i == 0 {
			name = "leads to"
		}
		t.row(name, strings.Repeat("  ", step.Depth)+stepText(step))
	}
	for _, m := range p.Maildrops {
		t.row("maildrop", m.Account+": "+roomText(m))
	}
	for _, l := range p.Limits {
		t.row("limits", l.Name+": "+leftText(l))
	}
	if p.Over != nil {
		t.row("", fmt.Sprintf("over the limit of %s: %d %s in a %s", p.Over.Name, p.Over.Most, p.Over.Counts, p.Over.Per))
	}
	for _, c := range p.Checks {
		t.row("check", c.Check+" "+c.Result+" "+c.Detail)
	}
	for _, r := range p.Remote {
		printRemote(t, r)
	}
	if p.Unasked && p.Sender.Account == "" {
		t.row("not asked", "what looks at the client's address; give --ip")
	}
	t.flush()
}

// stepText says what an address was found to be.
func stepText(s admin.PreviewStep) string {
	text := s.Address
	if s.Tagged {
		text += " (without its tag)"
	}
	to := strings.Join(s.To, ", ")
	switch s.Kind {
	case store.HopAccount:
		return text + ": the account " + to
	case store.HopRefuses:
		return text + ": the account " + to + ", which takes no mail"
	case store.HopAlias:
		return text + ": an alias for " + to
	case store.HopCatchAll:
		return text + ": caught by the catch-all, which leads to " + to
	case store.HopForward:
		if s.Keeps {
			return text + ": sends a copy on to " + to
		}
		return text + ": sends its mail on to " + to
	case store.HopRole:
		return text + ": read by " + to
	case store.HopBackup:
		return text + ": held for its own server"
	case store.HopRemote:
		return text + ": at another server"
	case store.HopLoop:
		return text + ": was passed before"
	case store.HopDeep:
		return text + ": the end of too long a chain"
	}
	return text + ": nobody"
}

func roomText(m admin.PreviewMaildrop) string {
	if m.Room == nil {
		return fmt.Sprintf("%d octets, no quota", m.Used)
	}
	return fmt.Sprintf("%d of %d octets used, %d left", m.Used, m.Quota, *m.Room)
}

func leftText(l admin.Limits) string {
	var words []string
	for _, one := range []struct {
		name string
		admin.Limit
	}{
		{"messages an hour", l.MessagesPerHour},
		{"messages a day", l.MessagesPerDay},
		{"recipients an hour", l.RecipientsPerHour},
		{"recipients a day", l.RecipientsPerDay},
	} {
		if one.Left != nil {
			words = append(words, fmt.Sprintf("%d of %d %s left", *one.Left, *one.Limit.Limit, one.name))
		}
	}
	if len(words) == 0 {
		return "no limit"
	}
	return strings.Join(words, ", ")
}

// printRemote prints the way to another server.
func printRemote(t *table, r admin.PreviewRemote) {
	t.row("leaves for", r.Address+", from <"+r.Sender+">")
	if r.Way == nil {
		return
	}
	way := r.Way
	switch way.By {
	case "route":
		whose := ""
		if way.Route.From != "" {
			whose = " from " + way.Route.From
		}
		t.row("", fmt.Sprintf("by the route for %s%s: %s", way.Route.Domain, whose, way.Route.Host))
	case "smarthost":
		t.row("", "by the smarthost of the configuration")
	default:
		t.row("", "by the MX records of "+way.Domain)
	}
	for _, s := range way.Sources {
		t.row("", "from the source address "+s.IP+" "+s.Name)
	}
	for _, h := range way.Hosts {
		printHost(t, h)
	}
	if way.Problem != "" {
		t.row("", way.Problem)
	}
	if !way.PausedSince.IsZero() {
		t.row("", "paused since "+way.PausedSince.Format("2006-01-02 15:04 MST")+": it waits here")
	}
	if way.Failing != nil {
		t.row("", fmt.Sprintf("can't be reached: %d rounds in a row; next try %s: %s",
			way.Failing.Failures, way.Failing.NextTry.Format("2006-01-02 15:04 MST"), way.Failing.Reply))
	}
}

func printHost(t *table, h admin.PreviewHost) {
	name := fmt.Sprintf("%s:%d", h.Name, h.Port)
	switch {
	case h.Fallback:
		name += " (fallback relay)"
	case h.Preference != nil:
		name += fmt.Sprintf(" (preference %d)", *h.Preference)
	}
	if h.Problem != "" {
		t.row("host", name+": "+h.Problem)
	}
	for _, a := range h.Addresses {
		t.row("host", name+" "+a.IP+" "+tlsText(a))
	}
}

func tlsText(a admin.PreviewAddress) string {
	if a.Problem != "" {
		return a.Problem
	}
	text := map[string]string{
		"none": "without TLS", "may": "TLS if it can be had", "must": "only over TLS", "verify": "only over TLS with a good certificate",
	}[a.TLS]
	if a.Why != "" {
		text += " (" + a.Why + ")"
	}
	if a.Note != "" {
		text += "; " + a.Note
	}
	return text
}
