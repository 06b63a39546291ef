package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postroom/store"
	"postroom/store/mail"
)

// A QueueSelection says which of the queue is meant: messages by an ID or a
// Message-ID, a recipient domain, a sender, or all. Its fields but All and Bounce
// narrow each other. Listing takes the zero QueueSelection for all; changes
// want All said.
type QueueSelection struct {
	Message string `json:"message,omitempty"`
	// Messages are more of them, by their IDs alone.
	Messages []string `json:"messages,omitempty"`
	Domain   string   `json:"domain,omitempty"`
	Sender   string   `json:"sender,omitempty"` // the envelope's
	Held     bool     `json:"held,omitempty"`   // only what is held, for whatever reason
	// OlderThan is how long ago it came in at least, as AddAccess has it: "12h", "3d".
	OlderThan string `json:"older_than,omitempty"`
	// Reply is a part of what the other server said last, whatever the case.
	Reply  string `json:"reply,omitempty"`
	All    bool   `json:"all,omitempty"`
	Bounce bool   `json:"bounce,omitempty"` // for CancelQueue: return it to its sender
	// After is the Position of an item: listing begins behind it. Changes don't
	// look at it.
	After store.QueueID `json:"after,omitempty"`
}

// names reports whether s says which mail is meant.
func (s QueueSelection) names() bool {
	return s.Message != "" || s.Messages != nil || s.Domain != "" || s.Sender != ""
}

// bare reports whether nothing but Held narrows s.
func (s QueueSelection) bare() bool { return !s.names() && s.OlderThan == "" && s.Reply == "" }

// subject is what the journal calls a selection.
func (s QueueSelection) subject() string {
	var parts []string
	if s.Message != "" {
		parts = append(parts, "message "+strings.TrimSpace(s.Message))
	}
	switch n := len(s.Messages); n {
	case 0:
	case 1:
		parts = append(parts, "message "+s.Messages[0])
	default:
		parts = append(parts, fmt.Sprintf("%d messages", n))
	}
	if s.Domain != "" {
		parts = append(parts, "for "+s.Domain)
	}
	if s.Sender != "" {
		parts = append(parts, "from "+s.Sender)
	}
	if s.OlderThan != "" {
		parts = append(parts, "older than "+s.OlderThan)
	}
	if s.Reply != "" {
		parts = append(parts, "answered “"+s.Reply+"”")
	}
	if len(parts) == 0 {
		return "all mail"
	}
	return strings.Join(parts, ", ")
}

// state is what the journal says of a selection: the filter, not what it finds.
func (s QueueSelection) state() QueueSelection {
	s.After, s.Bounce = 0, false
	return s
}

// RetryQueue makes mail due at once, and returns for how many recipients. What is
// held isn't meant; that nothing else is meant, because the destination is paused,
// is an Error.
func (a *Admin) RetryQueue(ctx context.Context, selection QueueSelection) (int64, error) {
	if err := a.notAllPaused(ctx, selection); err != nil {
		return 0, err
	}
	return a.changeQueue(ctx, "queue.retry", selection, a.Store.RetryQueue)
}

// HoldQueue keeps mail from being sent until it is released.
func (a *Admin) HoldQueue(ctx context.Context, selection QueueSelection) (int64, error) {
	return a.changeQueue(ctx, "queue.hold", selection, a.Store.HoldQueue)
}

// ReleaseQueue lets held mail go. What is held because its destination is paused
// waits for ResumeDestination.
func (a *Admin) ReleaseQueue(ctx context.Context, selection QueueSelection) (int64, error) {
	n, err := a.changeQueue(ctx, "queue.release", selection, a.Store.ReleaseQueue)
	if n == 0 && err == nil {
		err = a.notAllPaused(ctx, selection)
	}
	return n, err
}

// CancelQueue takes mail out of the queue: without a word, or returned to its
// sender if selection.Bounce is set.
func (a *Admin) CancelQueue(ctx context.Context, selection QueueSelection) (int64, error) {
	if selection.Bounce {
		return a.changeQueue(ctx, "queue.return", selection, a.Store.ReturnQueue)
	}
	return a.changeQueue(ctx, "queue.cancel", selection, a.Store.CancelQueue)
}

// changeQueue runs one of the store's changes over a selection, and returns how many
// recipients it changed. A message, a domain or a sender that isn't in the queue
// is an Error; all of an empty queue is not.
func (a *Admin) changeQueue(
	ctx context.Context, action string, selection QueueSelection, do func(context.Context, store.QueueFilter) (int64, error),
) (int64, error) {
	if !selection.All && !selection.names() {
		return 0, invalid("Say which mail is meant: a message's ID, a domain, a sender, or all.")
	}
	filters, err := a.filters(ctx, selection)
	if err != nil {
		return 0, err
	}
	noted := a.notingMany(ctx, action, selection.subject(), nil, selection.state())
	var total int64
	for _, filter := range filters {
		n, err := do(noted, filter)
		total += n
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return total, fmt.Errorf("change queue: %w", err)
		}
	}
	if total > 0 || !selection.names() {
		return total, nil
	}
	// What is there may be so already, or is being sent at the moment.
	found, err := a.anyQueued(ctx, filters)
	if err == nil && !found {
		err = nothingQueued(selection)
	}
	return 0, err
}

func (a *Admin) anyQueued(ctx context.Context, filters []store.QueueFilter) (bool, error) {
	for _, filter := range filters {
		filter.Limit = 1
		items, err := a.Store.Queue(ctx, filter)
		if err != nil || len(items) > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

func nothingQueued(s QueueSelection) error {
	which := "mail"
	if s.Held {
		which = "held mail"
	}
	if s.Sender != "" {
		which += " from " + s.Sender
	}
	if len(s.Messages) > 0 {
		return notFound("Nothing of the messages that were chosen is in the queue any more.")
	}
	switch {
	case s.Message == "" && s.Domain == "":
		return notFound("No %s is in the queue.", which)
	case s.Message == "":
		return notFound("No %s for %s is in the queue.", which, s.Domain)
	case s.Domain == "":
		return notFound("The message %s is not in the queue.", s.Message)
	}
	return notFound("The message %s has no recipients at %s in the queue.", s.Message, s.Domain)
}

// filters returns the store's filter for a selection; none if what it names isn't
// there.
func (a *Admin) filters(ctx context.Context, selection QueueSelection) ([]store.QueueFilter, error) {
	filter, err := a.filterOf(selection)
	if err != nil {
		return nil, err
	}
	text := strings.TrimSpace(selection.Message)
	if text == "" && selection.Messages == nil {
		return []store.QueueFilter{filter}, nil
	}
	if text != "" {
		if filter.Messages, err = a.messagesNamed(ctx, text); err != nil {
			return nil, err
		}
	}
	for _, text := range selection.Messages {
		if id, err := store.ParseMessageID(text); err == nil {
			filter.Messages = append(filter.Messages, id)
		}
	}
	if len(filter.Messages) == 0 {
		return nil, nil
	}
	return []store.QueueFilter{filter}, nil
}

// messagesNamed returns the messages that an ID or a Message-ID could mean.
func (a *Admin) messagesNamed(ctx context.Context, text string) (ids []store.MessageID, err error) {
	if id, err := store.ParseMessageID(text); err == nil && id != 0 {
		ids = append(ids, id)
	}
	page, err := a.Store.Trails(ctx, store.TrailQuery{Text: text})
	if err != nil {
		return nil, fmt.Errorf("find message %s: %w", text, err)
	}
	for _, trail := range page.Trails {
		// An address finds trails too, but doesn't name a message.
		if trail.HeaderID == strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">") && !slices.Contains(ids, trail.ID) {
			ids = append(ids, trail.ID)
		}
	}
	return ids, nil
}

// filterOf is the filter for everything of a selection but its messages.
func (a *Admin) filterOf(selection QueueSelection) (filter store.QueueFilter, err error) {
	filter.Held, filter.Reply = selection.Held, strings.TrimSpace(selection.Reply)
	age, err := parseSpan(selection.OlderThan)
	if err != nil {
		return filter, err
	}
	if age > 0 {
		filter.Before = a.Now().Add(-age)
	}
	if selection.Domain != "" {
		if filter.Domain, err = parseDestination(selection.Domain); err != nil {
			return filter, err
		}
	}
	if selection.Sender != "" {
		var sender mail.Address
		if sender, err = parseAddress(selection.Sender); err != nil {
			return filter, err
		}
		filter.Sender = sender.Key()
	}
	return filter, nil
}
