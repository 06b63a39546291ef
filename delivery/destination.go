package delivery

import (
	"slices"
	"time"
)

// A destination is where connections go: the servers of a recipient domain, or a
// relay. What is in it belongs to the board, but for next and key, which don't
// change.
type destination struct {
	key       string
	next      next
	paperwork bool         // nothing is sent: reports are written
	replaced  *destination // has taken over, since next has changed; nil: none

	queueing         // what is in the queue
	waiting  []*work // claimed, and begun by nobody
	claiming bool    // somebody is about to claim more
	orphaned bool    // in the board's list of those with waiting work and no job
	laden    bool    // in the board's list of those with waiting work

	jobs      int
	connected int // of the jobs
	pace
	condition
}

func newDestination(n next, most int) *destination {
	return &destination{
		key:      n.key,
		next:     n,
		queueing: queueing{index: -1},
		pace:     newPace(most),
	}
}

// leads reports whether n is where d's connections go, in the same manner.
func (d *destination) leads(n next) bool {
	is := d.next
	relay := is.relay == n.relay || is.relay != nil && n.relay != nil && *is.relay == *n.relay
	return relay && is.tls == n.tls && is.ruled == n.ruled && is.shared == n.shared && is.backup == n.backup &&
		slices.Equal(is.pool, n.pool) && slices.Equal(is.ours, n.ours)
}

// current returns who has taken over from d in the end, which may be d.
func (d *destination) current() *destination {
	for d.replaced != nil {
		d = d.replaced
	}
	return d
}

// allowed returns how many jobs there may be. Whether anybody is there again is
// asked by one.
func (d *destination) allowed() int {
	if d.health.Failures > 0 {
		return 1
	}
	return d.pace.allowed()
}

// asleep reports whether nobody is to be tried here at a time.
func (d *destination) asleep(now time.Time) bool {
	return d.health.Failures > 0 && d.health.NextTry.After(now) && !d.hastened
}

// batch returns how many works to claim in one go: little, so that who comes next
// hasn't much before him. A destination that may be down risks one; what the
// admin wants tried is tried, as far as it is no storm.
func (d *destination) batch() int {
	switch {
	case d.health.Failures == 0:
		return max(4, 2*d.jobs)
	case d.hastened:
		return 50
	}
	return 1
}

func (d *destination) pop() *work {
	if len(d.waiting) == 0 {
		return nil
	}
	w := d.waiting[0]
	d.waiting[0] = nil
	d.waiting = d.waiting[1:]
	return w
}

// idle reports whether nothing is going on.
func (d *destination) idle() bool {
	return d.lanes == 0 && d.jobs == 0 && len(d.waiting) == 0 && !d.claiming && !d.laden && !d.orphaned
}
