package delivery

import "time"

// A Schedule says how long to wait after each failed round of attempts.
type Schedule struct {
	Waits []time.Duration // the last one repeats; none: 30 min
	// DelayNotice is the age at which a message's sender is told, once, that it
	// is late. Zero: never.
	DelayNotice time.Duration
}

// Next returns when an item is tried again whose attempts-th round has failed at
// now. spread, from 0 to 1, adds up to a quarter of the wait, so that items that
// were queued together don't come due together. The last round is at expires.
func (s Schedule) Next(now, expires time.Time, attempts int, spread float64) time.Time {
	wait := 30 * time.Minute
	if n := len(s.Waits); n > 0 {
		wait = s.Waits[min(max(attempts, 1), n)-1]
	}
	next := now.Add(wait + time.Duration(spread*float64(wait/4)))
	if next.After(expires) && expires.After(now) {
		return expires
	}
	return next
}
