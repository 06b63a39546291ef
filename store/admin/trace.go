package admin

import (
	"context"
	"fmt"
	"strings"

	"postroom/store"
)

// A TraceSearch is what a person looks for in the trace: what fits all that is
// given. Nothing given finds every message.
type TraceSearch struct {
	// Text is an ID, a Message-ID (with or without brackets), an address, a host or an
	// IP, with the words of the other fields if that is wanted: "alice@example.org
	// refused since monday". What can't be read that way is looked for as it stands.
	Text    string `json:"text,omitempty"`
	Host    string `json:"host,omitempty"`    // of a client or a server, or the domain that it is in
	IP      string `json:"ip,omitempty"`      // of a client or a server, or a network
	Since   string `json:"since,omitempty"`   // a day, a time, a weekday, or how long ago
	Until   string `json:"until,omitempty"`   // the same; a day is in it to its end
	Outcome string `json:"outcome,omitempty"` // one of Outcomes
	Newer   string `json:"newer,omitempty"`   // a position: only later messages
	Older   string `json:"older,omitempty"`   // a position: only earlier ones
	Limit   int    `json:"limit,omitempty"`   // 0: 100
}

// A TraceFound is a page of what a TraceSearch finds, newest first.
type TraceFound struct {
	Trails     []store.Trail `json:"trails"`          // never nil
	Understood string        `json:"understood"`      // "Messages to or from alice@example.org, refused"
	Newer      string        `json:"newer,omitempty"` // positions to look further from; empty where nothing is left
	Older      string        `json:"older,omitempty"`
	// Looked is set if the search was given up: how many messages it has looked at.
	Looked int64 `json:"looked,omitempty"`
	// Unindexed is how many messages can't be found by all that they have yet.
	Unindexed int64 `json:"unindexed,omitempty"`
	// Clipped means that not all hosts or addresses that were meant have been looked for.
	Clipped bool `json:"clipped,omitempty"`
}

// mostTrails bounds how many messages one search gives.
const mostTrails = 1000

// SearchTrace looks for messages.
func (a *Admin) SearchTrace(ctx context.Context, search TraceSearch) (TraceFound, error) {
	m, err := parseSearch(search, a.Now())
	if err != nil {
		return TraceFound{}, err
	}
	page, err := a.trails(ctx, m.query)
	if err != nil {
		return TraceFound{}, err
	}
	if len(page.Trails) == 0 && m.guessed { // it may have been a Message-ID that looks like a host
		literal := m.literally()
		second, err := a.trails(ctx, literal.query)
		if err != nil {
			return TraceFound{}, err
		}
		if len(second.Trails) > 0 {
			m, page = literal, second
		}
	}
	return TraceFound{
		Trails: append([]store.Trail{}, page.Trails...), Understood: m.sentence(page.Trails),
		Newer: position(page.Newer), Older: position(page.Older),
		Looked: page.Looked, Unindexed: page.Unindexed, Clipped: page.Clipped,
	}, nil
}

// Trace returns the trails that a text finds, newest first. There is always a list,
// which may be empty.
func (a *Admin) Trace(ctx context.Context, text string) ([]store.Trail, error) {
	if strings.TrimSpace(text) == "" {
		return nil, invalid("Say what to look for: a message's ID, its Message-ID, or an address.")
	}
	found, err := a.SearchTrace(ctx, TraceSearch{Text: text})
	return found.Trails, err
}

// Trail returns the whole way of the message with an ID. It fails with
// store.ErrNotFound if there is none, or none any more.
func (a *Admin) Trail(ctx context.Context, id store.MessageID) (store.Trail, error) {
	var page store.TrailPage
	var err error
	if id != 0 { // which would be all
		page, err = a.trails(ctx, store.TrailQuery{ID: id})
	}
	if err != nil || len(page.Trails) == 0 {
		return store.Trail{}, orNotFound(err, "There is no message with the ID %s here, or its trace has been removed: see trace.keep in the configuration.", id)
	}
	return page.Trails[0], nil
}

func orNotFound(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return notFound(format, args...)
}

// RecentTrails returns the newest trails, at most limit.
func (a *Admin) RecentTrails(ctx context.Context, limit int) ([]store.Trail, error) {
	page, err := a.trails(ctx, store.TrailQuery{Limit: limit})
	return append([]store.Trail{}, page.Trails...), err
}

func (a *Admin) trails(ctx context.Context, query store.TrailQuery) (store.TrailPage, error) {
	if query.ID == 0 && query.Limit == 0 {
		query.Limit = 100
	}
	page, err := a.Store.Trails(ctx, query)
	if err != nil {
		return page, fmt.Errorf("read trace: %w", err)
	}
	return page, nil
}

// Counts returns the numbers of the first page.
func (a *Admin) Counts(ctx context.Context) (store.Counts, error) { return a.Store.Counts(ctx) }

// Backup writes a copy of everything to a new file while the server runs.
// progress, if it isn't nil, hears how far it is.
func (a *Admin) Backup(ctx context.Context, file string, progress func(done, total int64)) error {
	if strings.TrimSpace(file) == "" {
		return invalid("Say which file the backup should go to.")
	}
	if err := a.Store.Backup(ctx, file, progress); err != nil {
		return err
	}
	if err := a.Store.NoteChange(a.noting(ctx, "backup.take", file, nil, nil)); err != nil {
		return fmt.Errorf("the backup is complete, but the journal doesn't tell of it: %w", err)
	}
	return nil
}
