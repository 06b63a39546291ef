package admin

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"postroom/store"
)

// A JournalSearch says which entries of the journal are wanted; what is empty asks
// for nothing.
type JournalSearch struct {
	Who    string         `json:"who,omitempty"`    // a part of a name, of an IP address, or of "web", "command line", "server"
	About  string         `json:"about,omitempty"`  // a part of what it is about
	Action string         `json:"action,omitempty"` // "alias.add", or "alias" for all that is done with aliases
	Since  string         `json:"since,omitempty"`  // the first day, such as 2026-05-06
	Until  string         `json:"until,omitempty"`  // the last day
	Below  store.ChangeID `json:"below,omitempty"`  // only what is older than this entry
	Limit  int            `json:"limit,omitempty"`  // the newest so many
}

// A JournalEntry says who changed what.
type JournalEntry struct {
	ID         store.ChangeID  `json:"id"`
	At         time.Time       `json:"at"`
	Actor      Actor           `json:"actor"`
	Action     string          `json:"action"` // a fixed word, such as "alias.add"
	Subject    string          `json:"subject"`
	Before     json.RawMessage `json:"before"` // null: there was nothing
	After      json.RawMessage `json:"after"`  // null: there is nothing
	Recipients int64           `json:"recipients,omitempty"`
	Undoes     store.ChangeID  `json:"undoes,omitempty"`    // the entry that this one takes back
	UndoneBy   store.ChangeID  `json:"undone_by,omitempty"` // the entry that takes this one back
	// WhyNot says in a sentence why the entry can't be undone; empty: it can. Only of
	// JournalEntry.
	WhyNot string `json:"why_not,omitempty"`
}

// Journal returns entries of the journal, the newest first.
func (a *Admin) Journal(ctx context.Context, search JournalSearch) ([]JournalEntry, error) {
	query, err := search.parse(a.Now().Location())
	if err != nil {
		return nil, err
	}
	changes, err := a.Store.Journal(ctx, query)
	if err != nil {
		return nil, err
	}
	list := make([]JournalEntry, len(changes))
	for i, c := range changes {
		list[i] = journalEntryOf(c)
	}
	return list, nil
}

// JournalEntry returns one entry, and whether it can be undone.
func (a *Admin) JournalEntry(ctx context.Context, id store.ChangeID) (JournalEntry, error) {
	c, err := a.changeByID(ctx, id)
	if err != nil {
		return JournalEntry{}, err
	}
	entry := journalEntryOf(c)
	_, err = a.planUndo(ctx, c)
	if reason, ok := errors.AsType[*Error](err); ok {
		entry.WhyNot, err = reason.Text, nil
	}
	return entry, err
}

func (a *Admin) changeByID(ctx context.Context, id store.ChangeID) (store.Change, error) {
	c, err := a.Store.Change(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return c, notFound("There is no entry %d in the journal. Old entries are removed after 400 days.", id)
	}
	return c, err
}

func (s JournalSearch) parse(zone *time.Location) (q store.JournalQuery, err error) {
	q = store.JournalQuery{
		Who:    strings.TrimSpace(s.Who),
		About:  strings.TrimSpace(s.About),
		Action: strings.TrimSpace(s.Action),
		Below:  s.Below,
		Limit:  s.Limit,
	}
	if q.Since, err = parseDay(s.Since, zone); err != nil {
		return q, err
	}
	if q.Until, err = parseDay(s.Until, zone); err == nil && !q.Until.IsZero() {
		q.Until = q.Until.AddDate(0, 0, 1)
	}
	return q, err
}

// parseDay reads a day, and returns when it begins in a zone.
func parseDay(text string, zone *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err != nil {
		return day, invalid("%q is not a day. It should look like 2026-05-06.", text)
	}
	return day, nil
}

func journalEntryOf(c store.Change) JournalEntry {
	return JournalEntry{
		ID: c.ID, At: c.At.UTC(), Actor: Actor{Name: c.Who, Via: c.Via, Client: c.Client},
		Action: c.Action, Subject: c.Subject, Before: rawOf(c.Before), After: rawOf(c.After),
		Recipients: c.Touched, Undoes: c.Undoes, UndoneBy: c.UndoneBy,
	}
}

// rawOf returns what an entry says as JSON, nil for nothing.
func rawOf(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}
