package admin

import (
	"context"
	"errors"
	"fmt"

	"postroom/store"
)

// counted is how many recipients CountQueue looks at one by one.
const counted = 10_000

// errEnough ends going through the queue.
var errEnough = errors.New("enough")

// CountQueue returns how many recipients a selection means. Where that can't be
// told quickly it stops counting: then exact is false, and there are n or more.
func (a *Admin) CountQueue(ctx context.Context, selection QueueSelection) (n int64, exact bool, err error) {
	switch {
	case !selection.names():
		counts, err := a.Store.Counts(ctx)
		if err != nil {
			return 0, false, fmt.Errorf("count queue: %w", err)
		}
		if selection.Held {
			return counts.Held, true, nil
		}
		return counts.Queued, true, nil
	case selection.Message == "" && selection.Sender == "":
		n, err = a.countDomain(ctx, selection)
		return n, err == nil, err
	}
	return a.countEach(ctx, selection)
}

// countDomain counts what waits for a domain, which may be everything.
func (a *Admin) countDomain(ctx context.Context, selection QueueSelection) (int64, error) {
	domain, err := parseDestination(selection.Domain)
	if err != nil {
		return 0, err
	}
	queued, err := a.Store.QueuedByDomain(ctx)
	if err != nil {
		return 0, fmt.Errorf("count queue: %w", err)
	}
	for _, q := range queued {
		switch {
		case q.Domain != domain:
		case selection.Held:
			return q.Held, nil
		default:
			return q.Waiting + q.Held + q.Sending, nil
		}
	}
	return 0, nil
}

func (a *Admin) countEach(ctx context.Context, selection QueueSelection) (n int64, exact bool, err error) {
	filters, err := a.filters(ctx, selection)
	if err != nil {
		return 0, false, err
	}
	for _, filter := range filters {
		err := a.eachStored(ctx, filter, func(store.QueueItem) error {
			if n++; n >= counted {
				return errEnough
			}
			return nil
		})
		switch {
		case errors.Is(err, errEnough):
			return n, false, nil
		case err != nil:
			return 0, false, err
		}
	}
	return n, true, nil
}
