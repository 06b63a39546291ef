package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postroom/store"
)

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

	Size    int64    `json:"size"`              // octets as kept
	Via     string   `json:"via,omitempty"`     // the alias or forwarded account that led to the recipient
	Account string   `json:"account,omitempty"` // who submitted it, if somebody did who is still here
	HeldBy  []string `json:"held_by,omitempty"` // admin, account (it is disabled), restore (it came out of a backup), pause

	Position store.QueueID `json:"-"` // for QueueSelection.After
}

// queuePage is how many items are read at a time.
const queuePage = 1000

// EachQueueItem gives each item of the queue that is selected, in the order in
// which they came in, until each returns an error; that error it returns. However
// long the queue is, little of it is in memory.
func (a *Admin) EachQueueItem(ctx context.Context, selection QueueSelection, each func(QueueItem) error) error {
	filters, err := a.filters(ctx, selection)
	if err != nil {
		return err
	}
	known, err := a.whatIsKnown(ctx)
	if err != nil {
		return err
	}
	for _, filter := range filters {
		filter.After = selection.After
		err := a.eachStored(ctx, filter, func(item store.QueueItem) error {
			if err := known.submitter(ctx, item.Account); err != nil {
				return err
			}
			return each(known.item(item))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Queue lists what waits to be sent. A selection that matches nothing gives an
// empty list.
func (a *Admin) Queue(ctx context.Context, selection QueueSelection) ([]QueueItem, error) {
	list := []QueueItem{}
	err := a.EachQueueItem(ctx, selection, func(item QueueItem) error {
		list = append(list, item)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// eachStored goes through the store's queue in pages.
func (a *Admin) eachStored(ctx context.Context, filter store.QueueFilter, each func(store.QueueItem) error) error {
	filter.Limit = queuePage
	for {
		items, err := a.Store.Queue(ctx, filter)
		if err != nil {
			return fmt.Errorf("list queue: %w", err)
		}
		for _, item := range items {
			if err := each(item); err != nil {
				return err
			}
		}
		if len(items) < queuePage {
			return nil
		}
		filter.After = items[len(items)-1].ID
	}
}

// A knowledge is what an item is shown with besides what is kept of it.
type knowledge struct {
	store    Store
	leads    func(store.Lane) string    // to the destination
	health   map[string]store.Health    // of those that fail
	accounts map[store.AccountID]string // of those that were met
}

func (a *Admin) whatIsKnown(ctx context.Context) (knowledge, error) {
	k := knowledge{store: a.Store, health: make(map[string]store.Health), accounts: make(map[store.AccountID]string)}
	health, err := a.Store.FailingHealth(ctx)
	if err != nil {
		return k, fmt.Errorf("read health of destinations: %w", err)
	}
	ways, err := a.Store.Ways(ctx)
	if err != nil {
		return k, err
	}
	k.leads = a.leading(ways)
	for _, h := range health {
		k.health[h.Destination] = h
	}
	return k, nil
}

// submitter looks up who submitted an item, if it hasn't been done for another.
func (k knowledge) submitter(ctx context.Context, id store.AccountID) error {
	if _, known := k.accounts[id]; known || id == 0 {
		return nil
	}
	account, err := k.store.Account(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("look up a submitter: %w", err)
	}
	k.accounts[id] = account.Address.String()
	return nil
}

func (k knowledge) item(item store.QueueItem) QueueItem {
	next, reply := item.Due, item.LastReply
	// The mail of a destination that nobody can be reached at waits together.
	if h := k.health[k.leads(item.Lane())]; h.Failures > 0 && !item.Cancel {
		if h.NextTry.After(next) {
			next = h.NextTry
		}
		if reply == "" {
			reply = h.Reply
		}
	}
	return QueueItem{
		ID:          item.Message,
		MessageID:   item.HeaderID,
		From:        item.Envelope.Sender.String(),
		To:          item.Recipient.Address.String(),
		Domain:      item.Domain,
		Status:      queueStatus(item),
		Attempts:    item.Attempts,
		NextAttempt: next.UTC(),
		LastReply:   reply,
		Created:     item.Created.UTC(),
		Expires:     item.Expires.UTC(),
		Size:        item.Size,
		Via:         item.Via.String(),
		Account:     k.accounts[item.Account],
		HeldBy:      heldBy(item.Hold),
		Position:    item.ID,
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

func heldBy(hold store.Hold) []string {
	var reasons []string
	for _, reason := range []struct {
		hold store.Hold
		word string
	}{
		{store.HeldByAdmin, "admin"},
		{store.HeldForAccount, "account"},
		{store.HeldByRestore, "restore"},
		{store.HeldByPause, "pause"},
	} {
		if hold&reason.hold != 0 {
			reasons = append(reasons, reason.word)
		}
	}
	return reasons
}
