package delivery

import "time"

// An alarm is a timer that knows when it goes off.
type alarm struct {
	timer *time.Timer
	when  time.Time
	now   func() time.Time
}

// newAlarm returns an alarm that goes off at once.
func newAlarm(now func() time.Time) *alarm {
	return &alarm{timer: time.NewTimer(0), when: now(), now: now}
}

// in sets the alarm.
func (a *alarm) in(wait time.Duration) {
	a.when = a.now().Add(wait)
	a.timer.Reset(wait)
}

// at sets the alarm to a time, within recheck. What is due already was left
// behind on purpose, since its domain is busy: it is claimed when that changes,
// or looked for again soon.
func (a *alarm) at(when time.Time) {
	wait := when.Sub(a.now())
	if wait <= 0 {
		wait = time.Second
	}
	a.in(min(wait, recheck))
}

// notAfter sets the alarm to a time if it would go off later.
func (a *alarm) notAfter(when time.Time) {
	if when.Before(a.when) {
		a.at(when)
	}
}
