package delivery

import (
	"testing"
	"time"

	"postroom/store"
)

// A server that wants no second connection gets the work of the second over the
// first, even if that only waits for more at the moment.
func TestTurnedAwayWorkGoesToAnIdleConnection(t *testing.T) {
	r := newRun(&Dispatcher{})
	dest := r.destination(next{key: "there.test"})
	dest.jobs, dest.connected = 2, 1
	idle := &job{run: r, dest: dest, poke: make(chan struct{}, 1), connected: true}
	turned := &job{run: r, dest: dest, poke: make(chan struct{}, 1)}
	r.idle = []*job{idle}
	w := &work{key: "there.test"}
	if r.alone(turned, w) {
		t.Fatal("nobody else is connected, it says")
	}
	if !r.linger(idle) {
		t.Fatal("the idle connection is to end")
	}
	if got, next := r.decide(idle); got != w || next != begin {
		t.Errorf("the idle connection got %v; %d works wait", got, len(dest.waiting))
	}
	if _, next := r.decide(turned); next != end {
		t.Error("the other one goes on")
	}
}

// claimedFor makes a destination of which something is claimed, and that nobody
// works for.
func claimedFor(r *run, key string) *destination {
	d := r.destination(next{key: key})
	d.waiting = []*work{{key: key, items: []store.QueueItem{{ID: 1}}}}
	r.load(d)
	return d
}

func TestClaimedWorkOutsideAGateComesIn(t *testing.T) {
	r := newRun(&Dispatcher{Concurrency: 8})
	d := claimedFor(r, "there.test")
	r.strange.inside = r.strange.limit
	if who, _, _ := r.candidate(time.Now()); who != nil {
		t.Fatal("the gate lets more in than it should")
	}
	r.strange.inside--
	if !r.letIn(&r.strange) {
		t.Fatal("nobody waits outside")
	}
	if who, _, _ := r.candidate(time.Now()); who != d {
		t.Error("what is claimed waits forever")
	}
}

func TestSleepingDestinationKeepsNoClaims(t *testing.T) {
	r := newRun(&Dispatcher{})
	d := claimedFor(r, "there.test")
	d.health.Failures, d.health.NextTry = 1, time.Now().Add(time.Hour)
	d.jobs, r.active = 1, 1
	r.ended(&job{run: r, dest: d})
	if len(d.waiting) != 0 {
		t.Error("what is claimed stays with a destination that sleeps")
	}
	if u := <-r.unsettled; len(u.outcomes) != 1 || u.outcomes[0].Result != store.Interrupted {
		t.Errorf("it is settled as %+v", u)
	}
}

func TestTurnedAwayWorkFollowsItsDestination(t *testing.T) {
	r := newRun(&Dispatcher{})
	old := r.destination(next{key: "there.test"})
	old.jobs, old.connected = 2, 1
	j := &job{run: r, dest: old, poke: make(chan struct{}, 1)}
	d := r.destination(next{key: "there.test", backup: true}) // the way has changed meanwhile
	if r.alone(j, &work{key: "there.test"}) {
		t.Fatal("nobody else is connected, it says")
	}
	if who, _, _ := r.candidate(time.Now()); who != d || len(d.waiting) != 1 {
		t.Error("the work stays with nobody")
	}
}
