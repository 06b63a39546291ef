package delivery

import "testing"

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
