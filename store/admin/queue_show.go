package admin

import (
	"context"
	"fmt"
	"strings"

	"postroom/store"
)

// A ShownQueueItem is a QueueItem with what has happened to it so far.
type ShownQueueItem struct {
	QueueItem
	Events []store.Event `json:"events"` // of this recipient, in order: every attempt among them
}

// ShowQueue returns all recipients that a message, named by its ID or its
// Message-ID, still waits for. None is an Error.
func (a *Admin) ShowQueue(ctx context.Context, text string) ([]ShownQueueItem, error) {
	selection := QueueSelection{Message: strings.TrimSpace(text)}
	if selection.Message == "" {
		return nil, invalid("Say which message is meant: its ID or its Message-ID.")
	}
	items, err := a.Queue(ctx, selection)
	switch {
	case err != nil:
		return nil, err
	case len(items) == 0:
		return nil, nothingQueued(selection)
	}
	past := make(map[store.MessageID]map[string][]store.Event)
	list := make([]ShownQueueItem, len(items))
	for i, item := range items {
		if past[item.ID] == nil {
			if past[item.ID], err = a.pastOf(ctx, item.ID); err != nil {
				return nil, err
			}
		}
		list[i] = ShownQueueItem{item, append([]store.Event{}, past[item.ID][item.To]...)}
	}
	return list, nil
}

// pastOf returns the events of a message by recipient.
func (a *Admin) pastOf(ctx context.Context, id store.MessageID) (map[string][]store.Event, error) {
	page, err := a.Store.Trails(ctx, store.TrailQuery{ID: id})
	if err != nil {
		return nil, fmt.Errorf("read trace of %s: %w", id, err)
	}
	past := make(map[string][]store.Event)
	for _, trail := range page.Trails {
		for _, event := range trail.Events {
			past[event.Recipient] = append(past[event.Recipient], event)
		}
	}
	return past, nil
}
