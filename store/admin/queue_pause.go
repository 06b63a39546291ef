package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"postroom/store"
)

// notAllPaused fails if a selection means mail of paused destinations alone:
// nothing that is done to the mail itself lets it go.
func (a *Admin) notAllPaused(ctx context.Context, selection QueueSelection) error {
	if !selection.names() {
		return nil
	}
	ways, err := a.Store.Ways(ctx)
	if err != nil || len(ways.Paused) == 0 {
		return err
	}
	filters, err := a.filters(ctx, selection)
	if err != nil {
		return err
	}
	var held string
	for _, filter := range filters {
		domain, err := a.pausedAlone(ctx, filter, ways.Paused)
		if errors.Is(err, errNotPaused) {
			return nil
		}
		if err != nil {
			return err
		}
		held = cmp.Or(domain, held)
	}
	if held == "" {
		return nil
	}
	return inUse("Mail for %s stays here, because the destination is paused. Resume it first.", held)
}

// errNotPaused says that some mail's destination isn't paused.
var errNotPaused = errors.New("not paused")

// pausedAlone returns a paused domain that selected mail is for, empty if there is
// no mail, and fails with errNotPaused if some of it is for another one.
func (a *Admin) pausedAlone(ctx context.Context, filter store.QueueFilter, pauses []store.Pause) (domain string, err error) {
	if filter.Domain != "" && !paused(pauses, filter.Domain) {
		return "", errNotPaused
	}
	if filter.Domain != "" && filter.Messages == nil && filter.Sender == "" && filter.Reply == "" && filter.Before.IsZero() { // maybe a million items
		return filter.Domain, nil
	}
	err = a.eachStored(ctx, filter, func(item store.QueueItem) error {
		if !paused(pauses, item.Domain) {
			return errNotPaused
		}
		domain = item.Domain
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("look for paused mail: %w", err)
	}
	return domain, nil
}

func paused(pauses []store.Pause, domain string) bool {
	return slices.ContainsFunc(pauses, func(p store.Pause) bool { return p.Domain == domain })
}
