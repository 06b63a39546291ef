package admin

import (
	"context"
	"fmt"
)

// counted is how many recipients CountQueue counts one by one: more would take
// longer than a person likes to wait.
const counted = 100_000

// CountQueue returns how many recipients a selection means. Where it stops
// counting exact is false, and there are n or more.
func (a *Admin) CountQueue(ctx context.Context, selection QueueSelection) (n int64, exact bool, err error) {
	if selection.bare() {
		n, err := a.countAll(ctx, selection)
		return n, err == nil, err
	}
	filters, err := a.filters(ctx, selection)
	if err != nil {
		return 0, false, err
	}
	for _, filter := range filters {
		filter.Limit = counted
		found, err := a.Store.CountQueue(ctx, filter)
		if err != nil {
			return 0, false, err
		}
		n += found
	}
	return n, n < counted, nil
}

// countAll takes what is counted anyway.
func (a *Admin) countAll(ctx context.Context, selection QueueSelection) (int64, error) {
	counts, err := a.Store.Counts(ctx)
	if err != nil {
		return 0, fmt.Errorf("count queue: %w", err)
	}
	if selection.Held {
		return counts.Held, nil
	}
	return counts.Queued, nil
}
