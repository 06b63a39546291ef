package admin

import (
	"context"
	"fmt"
	"strings"

	"postroom/store"
)

// Trace returns the trails that an ID, a Message-ID (with or without brackets) or
// an address finds, newest first. There is always a list, which may be empty.
func (a *Admin) Trace(ctx context.Context, text string) ([]store.Trail, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, invalid("Say what to look for: a message's ID, its Message-ID, or an address.")
	}
	return a.trails(ctx, store.TrailQuery{Text: text})
}

// RecentTrails returns the newest trails, at most limit.
func (a *Admin) RecentTrails(ctx context.Context, limit int) ([]store.Trail, error) {
	return a.trails(ctx, store.TrailQuery{Limit: limit})
}

func (a *Admin) trails(ctx context.Context, query store.TrailQuery) ([]store.Trail, error) {
	trails, err := a.Store.Trails(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	if trails == nil {
		trails = []store.Trail{}
	}
	return trails, nil
}

// Counts returns the numbers of the first page.
func (a *Admin) Counts(ctx context.Context) (store.Counts, error) { return a.Store.Counts(ctx) }

// Backup writes a copy of everything to a new file while the server runs.
// progress, if it isn't nil, hears how far it is.
func (a *Admin) Backup(ctx context.Context, file string, progress func(done, total int64)) error {
	if strings.TrimSpace(file) == "" {
		return invalid("Say which file the backup should go to.")
	}
	return a.Store.Backup(ctx, file, progress)
}
