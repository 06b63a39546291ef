package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

type journalCmd struct {
	List journalList `cmd:"" group:"commands" help:"List the changes, the newest first."`
	Show journalShow `cmd:"" group:"commands" help:"Show one change with what was before and after."`
	Undo journalUndo `cmd:"" group:"commands" help:"Take one change back, if nothing has changed since."`
}

type journalList struct {
	Who   string `placeholder:"TEXT" help:"Only by whom or from where this is a part of: an address, a user, an IP address, web, server."`
	About string `placeholder:"TEXT" help:"Only about what this is a part of: an address, a domain, a network."`
	Limit int    `default:"50" help:"At most so many."`
	listing
}

// Run lists entries of the journal.
func (c *journalList) Run(ctx context.Context, s *shell) error {
	if c.Limit < 1 {
		return usagef("--limit is at least 1")
	}
	list, err := ask[[]admin.JournalEntry](ctx, s, "journal/list", admin.JournalSearch{Who: c.Who, About: c.About, Limit: c.Limit})
	if err != nil {
		return err
	}
	empty := "Nothing has been changed yet."
	if c.Who != "" || c.About != "" {
		empty = "No change fits. A part of an address or of a name is enough: postroom journal list --about example.org"
	}
	return showList(s, c.listing, list, empty, func(w io.Writer, list []admin.JournalEntry) {
		t := newTable(w, "ID", "WHEN", "BY", "WHAT")
		for _, e := range list {
			what := told(e).Sentence()
			if e.UndoneBy != 0 {
				what += fmt.Sprintf(" (undone by %d)", e.UndoneBy)
			}
			t.row(fmt.Sprint(e.ID), e.At.Local().Format(time.DateTime), actorFrom(e.Actor), what)
		}
		t.flush()
	})
}

type journalShow struct {
	ID store.ChangeID `arg:"" name:"id" help:"Its number, from the list."`
	listing
}

// Run shows one entry.
func (c *journalShow) Run(ctx context.Context, s *shell) error {
	entry, err := ask[admin.JournalEntry](ctx, s, "journal/show", changeRequest{c.ID})
	if err != nil {
		return err
	}
	return show(s, c.listing, entry, showEntry)
}

func showEntry(w io.Writer, e admin.JournalEntry) {
	fmt.Fprintf(w, "%s.\n\n", printable(told(e).Sentence()))
	t := newTable(w)
	t.row("When:", e.At.Local().Format(time.DateTime))
	t.row("By:", actorFrom(e.Actor))
	t.row("Kind:", e.Action)
	if e.Undoes != 0 {
		t.row("Undoes:", fmt.Sprint(e.Undoes))
	}
	t.row("Undo:", undoWords(e))
	t.flush()
	values := told(e).Values()
	if len(values) == 0 {
		return
	}
	fmt.Fprintln(w)
	t = newTable(w, "", "BEFORE", "AFTER", "")
	for _, v := range values {
		mark := ""
		if v.Differs() {
			mark = "*"
		}
		t.row(v.Name, orNothing(v.Before), orNothing(v.After), mark)
	}
	t.flush()
}

func undoWords(e admin.JournalEntry) string {
	if e.WhyNot != "" {
		return e.WhyNot
	}
	return fmt.Sprintf("postroom journal undo %d", e.ID)
}

type journalUndo struct {
	ID store.ChangeID `arg:"" name:"id" help:"Its number, from the list."`
}

// Run takes an entry back.
func (c *journalUndo) Run(ctx context.Context, s *shell) error {
	entry, err := ask[admin.JournalEntry](ctx, s, "journal/undo", changeRequest{c.ID})
	if err == nil {
		fmt.Fprintf(s.out, "Undone: %s.\n", printable(told(entry).Sentence()))
	}
	return err
}

// changeRequest names an entry of the journal.
type changeRequest struct {
	ID store.ChangeID `json:"id"`
}

// told is an entry to be put into words, those of the pages.
func told(e admin.JournalEntry) phrase.Change {
	return phrase.Change{
		Who: e.Actor.Name, Via: e.Actor.Via, Action: e.Action, Subject: e.Subject,
		Before: e.Before, After: e.After, Recipients: e.Recipients, Undoes: int64(e.Undoes),
	}
}

func actorFrom(a admin.Actor) string {
	if a.Client != "" {
		return a.Via + ", " + a.Client
	}
	return a.Via
}
