package delivery

import "testing"

// A server that wants no second connection gets the work of the second over the
// first, even if that only waits for more at the moment.
func TestTurnedAwayWorkGoesToAnIdleConnection(t *testing.T) {
	r := newRun(&Dispatcher{})
	dest := &destination{key: "there.test", limit: 5, jobs: 2, connected: 1}
	idle := &job{run: r, dest: dest, next: make(chan *work, 1), connected: true}
	turned := &job{run: r, dest: dest, next: make(chan *work, 1)}
	r.idle = []*job{idle}
	w := &work{key: "there.test"}
	if r.alone(turned, w) {
		t.Fatal("nobody else is connected, it says")
	}
	select {
	case got := <-idle.next:
		if got != w {
			t.Error("the idle connection got other work")
		}
	default:
		t.Errorf("the idle connection got nothing; %d works wait", len(dest.waiting))
	}
	if len(r.idle) != 0 || len(dest.waiting) != 0 || !turned.turnedAway {
		t.Errorf("%d idle, %d waiting, turned away: %t", len(r.idle), len(dest.waiting), turned.turnedAway)
	}
}
