package admin

import (
	"context"
	"fmt"
	"time"

	"postroom/store"
)

// The spans of time that an Overview may be over.
const (
	OverHour  = "hour"  // by the minute
	OverDay   = "day"   // by the hour
	OverMonth = "month" // by the day, which begins at midnight here
)

// An Overview is how everything is doing.
type Overview struct {
	Counts    store.Counts
	Condition store.Condition
	Ages      []QueueAge
	Traffic   []store.Traffic // the oldest first, without gaps
	Near      []Limits        // whose mail to other servers comes near a limit, or has reached it
}

// A QueueAge is how many recipients have waited for so long.
type QueueAge struct {
	From, To time.Duration // To is 0 for the oldest
	N        int64
}

// Ages of mail in the queue: below each of them, and above the last.
var queueAges = []time.Duration{15 * time.Minute, time.Hour, 4 * time.Hour, 24 * time.Hour, 3 * 24 * time.Hour}

const (
	fullPercent   = 80 // of a quota or a limit, to be told
	overviewNames = 3  // of those that are told
)

// Overview returns how everything is doing, and how much mail there was over the last
// hour, day or month.
func (a *Admin) Overview(ctx context.Context, over string) (Overview, error) {
	now := a.Now()
	bounds := trafficBounds(over, now)
	if bounds == nil {
		return Overview{}, invalid("%q is not a span of time. It should be hour, day or month.", over)
	}
	var o Overview
	var err error
	if o.Counts, err = a.Store.Counts(ctx); err != nil {
		return o, err
	}
	query := store.ConditionQuery{Percent: fullPercent, Most: overviewNames}
	for _, age := range queueAges {
		query.Since = append(query.Since, now.Add(-age))
	}
	if o.Condition, err = a.Store.Condition(ctx, query); err != nil {
		return o, err
	}
	for i, n := range o.Condition.Ages {
		age := QueueAge{N: n}
		if i > 0 {
			age.From = queueAges[i-1]
		}
		if i < len(queueAges) {
			age.To = queueAges[i]
		}
		o.Ages = append(o.Ages, age)
	}
	if o.Traffic, err = a.Store.Traffic(ctx, bounds); err != nil {
		return o, err
	}
	o.Near, err = a.nearLimits(ctx)
	return o, err
}

// nearLimits returns whose mail has used much of a limit.
func (a *Admin) nearLimits(ctx context.Context) ([]Limits, error) {
	sendings, err := a.Store.Sendings(ctx, fullPercent)
	if err != nil {
		return nil, fmt.Errorf("find who is near a limit: %w", err)
	}
	var near []Limits
	for _, s := range sendings {
		for _, use := range s.Uses {
			if use.Reaches(fullPercent) { // others have limits of their own
				near = append(near, limitsOf(s))
				break
			}
		}
	}
	return near, nil
}

// trafficBounds returns where the parts of a span begin, and where the last one ends;
// nil for what is no span. The last part is the one that goes on.
func trafficBounds(over string, now time.Time) []time.Time {
	y, month, d := now.Date()
	var bounds []time.Time
	switch over {
	case OverHour:
		for i := -59; i <= 1; i++ {
			bounds = append(bounds, now.Truncate(time.Minute).Add(time.Duration(i)*time.Minute))
		}
	case OverDay:
		for i := -23; i <= 1; i++ {
			bounds = append(bounds, now.Truncate(time.Hour).Add(time.Duration(i)*time.Hour))
		}
	case OverMonth:
		for i := -29; i <= 1; i++ {
			bounds = append(bounds, time.Date(y, month, d+i, 0, 0, 0, 0, now.Location()))
		}
	}
	return bounds
}
