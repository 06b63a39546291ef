package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postroom/store"
)

// A QueueSelection says which of the queue is meant: a message by its ID or its
// Message-ID, a domain, or all. Message and Domain narrow each other. Listing
// takes the zero QueueSelection for all; changes want All said.
type QueueSelection struct {
	Message string `json:"message,omitempty"`
	Domain  string `json:"domain,omitempty"`
	All     bool   `json:"all,omitempty"`
	Bounce  bool   `json:"bounce,omitempty"` // for CancelQueue: return it to its sender
}

// A QueueItem is one recipient that a message waits for.
type QueueItem struct {
	ID          store.MessageID `json:"id"` // the message's
	MessageID   string          `json:"message_id"`
	From        string          `json:"from"`
	To          string          `json:"to"`
	Domain      string          `json:"domain"`
	Status      string          `json:"status"`   // waiting, sending, held
	Attempts    int             `json:"attempts"` // rounds so far
	NextAttempt time.Time       `json:"next_attempt"`
	LastReply   string          `json:"last_reply"` // the remote's words, else what went wrong
	Created     time.Time       `json:"created"`
	Expires     time.Time       `json:"expires"`
}

// Queue lists what waits to be sent. A selection that matches nothing gives an
// empty list.
func (a *Admin) Queue(ctx context.Context, selection QueueSelection) ([]QueueItem, error) {
	filters, err := a.filters(ctx, selection)
	if err != nil {
		return nil, err
	}
	list := []QueueItem{}
	for _, filter := range filters {
		items, err := a.Store.Queue(ctx, filter)
		if err != nil {
			return nil, fmt.Errorf("list queue: %w", err)
		}
		for _, item := range items {
			list = append(list, queueItemOf(item))
		}
	}
	return list, nil
}

// RetryQueue makes mail due at once, and returns for how many recipients. Held
// mail stays held.
func (a *Admin) RetryQueue(ctx context.Context, selection QueueSelection) (int64, error) {
	return a.change(ctx, selection, a.Store.RetryQueue)
}

// HoldQueue keeps mail from being sent until it is released.
func (a *Admin) HoldQueue(ctx context.Context, selection QueueSelection) (int64, error) {
	return a.change(ctx, selection, a.Store.HoldQueue)
}

// ReleaseQueue lets held mail go.
func (a *Admin) ReleaseQueue(ctx context.Context, selection QueueSelection) (int64, error) {
	return a.change(ctx, selection, a.Store.ReleaseQueue)
}

// CancelQueue takes mail out of the queue: without a word, or returned to its
// sender if selection.Bounce is set.
func (a *Admin) CancelQueue(ctx context.Context, selection QueueSelection) (int64, error) {
	if selection.Bounce {
		return a.change(ctx, selection, a.Store.ReturnQueue)
	}
	return a.change(ctx, selection, a.Store.CancelQueue)
}

// change runs one of the store's changes over a selection, and returns how many
// recipients it changed. A message or a domain that isn't in the queue is an
// Error; all of an empty queue is not.
func (a *Admin) change(ctx context.Context, selection QueueSelection, do func(context.Context, store.QueueFilter) (int64, error)) (int64, error) {
	if !selection.All && selection.Message == "" && selection.Domain == "" {
		return 0, invalid("Say which mail is meant: a message's ID, a domain, or all.")
	}
	filters, err := a.filters(ctx, selection)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, filter := range filters {
		n, err := do(ctx, filter)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return total, fmt.Errorf("change queue: %w", err)
		}
		total += n
	}
	if total > 0 || selection.All {
		return total, nil
	}
	// What is there may be so already, or is being sent at the moment.
	matching, err := a.Queue(ctx, selection)
	if err == nil && len(matching) == 0 {
		err = nothingQueued(selection)
	}
	return 0, err
}

func nothingQueued(selection QueueSelection) error {
	switch {
	case selection.Message == "":
		return notFound("No mail for %s is in the queue.", selection.Domain)
	case selection.Domain == "":
		return notFound("The message %s is not in the queue.", selection.Message)
	}
	return notFound("The message %s has no recipients at %s in the queue.", selection.Message, selection.Domain)
}

// filters returns the store's filters for a selection: one for each message that
// it could mean.
func (a *Admin) filters(ctx context.Context, selection QueueSelection) ([]store.QueueFilter, error) {
	var filter store.QueueFilter
	if selection.Domain != "" {
		name, err := parseDomain(selection.Domain)
		if err != nil {
			return nil, err
		}
		filter.Domain = name
	}
	text := strings.TrimSpace(selection.Message)
	if text == "" {
		return []store.QueueFilter{filter}, nil
	}
	var filters []store.QueueFilter
	if id, err := store.ParseMessageID(text); err == nil && id != 0 { // 0 would select all
		filter.Message = id
		filters = append(filters, filter)
	}
	trails, err := a.Store.Trails(ctx, store.TrailQuery{Text: text})
	if err != nil {
		return nil, fmt.Errorf("find message %s: %w", text, err)
	}
	for _, trail := range trails {
		// An address finds trails too, but doesn't name a message.
		if trail.HeaderID == strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">") && trail.ID != filter.Message {
			filter.Message = trail.ID
			filters = append(filters, filter)
		}
	}
	return filters, nil
}

func queueItemOf(item store.QueueItem) QueueItem {
	return QueueItem{
		ID:          item.Message,
		MessageID:   item.HeaderID,
		From:        item.Envelope.Sender.String(),
		To:          item.Recipient.Address.String(),
		Domain:      item.Domain,
		Status:      queueStatus(item),
		Attempts:    item.Attempts,
		NextAttempt: item.Due.UTC(),
		LastReply:   item.LastReply,
		Created:     item.Created.UTC(),
		Expires:     item.Expires.UTC(),
	}
}

// queueStatus gives an item's state its word. What is held while it waits for its
// turn is not sent any more.
func queueStatus(item store.QueueItem) string {
	switch {
	case item.Hold != 0:
		return "held"
	case item.Sending:
		return "sending"
	}
	return "waiting"
}
