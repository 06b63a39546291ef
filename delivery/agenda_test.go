package delivery

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"postroom/store"
)

// A town is an agenda and its destinations, one for each domain.
type town struct {
	*agenda
	places map[string]*destination
	paused map[string]bool
	office *destination // for paperwork
}

func newTown() *town {
	w := &town{places: map[string]*destination{}, paused: map[string]bool{}, office: newDestination(next{}, 1)}
	w.office.paperwork = true
	w.agenda = newAgenda(w.where)
	return w
}

func (w *town) where(l store.Lane) *destination {
	switch {
	case l.Class == store.Paperwork:
		return w.office
	case w.paused[l.Domain]:
		return nil
	}
	return w.at(l.Domain)
}

func (w *town) at(domain string) *destination {
	if w.places[domain] == nil {
		w.places[domain] = newDestination(next{key: domain}, 5)
	}
	return w.places[domain]
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func (w *town) news(account store.AccountID, class store.Class, due time.Time, domains ...string) {
	for _, d := range domains {
		w.learn(store.LaneDue{Lane: store.Lane{Domain: d, Account: account, Class: class}, Due: due}, noon)
	}
}

// turns gives n turns and returns who had them, as "account domain". Nothing is
// claimed, so everybody stays ready.
func (w *town) give(n int, open func(*share) bool) (list []string) {
	for range n {
		s := w.turn(open)
		if s == nil {
			return append(list, "nobody")
		}
		w.take(s)
		list = append(list, fmt.Sprint(s.sender.account, s.dest.key))
	}
	return list
}

func anywhere(*share) bool { return true }

func TestTurns(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(w *town)
		open func(*share) bool
		want []string
	}{
		{"are nobody's where nothing is", func(*town) {}, anywhere, []string{"nobody"}},
		{"go round the senders, and then round each one's destinations", func(w *town) {
			w.news(1, store.Fresh, noon, "a", "b", "c")
			w.news(2, store.Fresh, noon, "d")
		}, anywhere, []string{"1a", "2d", "1b", "2d", "1c", "2d", "1a"}},
		{"go to what was tried one time in five", func(w *town) {
			w.news(1, store.Fresh, noon, "a")
			w.news(1, store.Retried, noon, "b")
		}, anywhere, []string{"1a", "1a", "1a", "1a", "1b", "1a", "1a", "1a", "1a", "1b"}},
		{"pass over what can use no connection", func(w *town) {
			w.news(1, store.Fresh, noon, "a", "b")
			w.news(2, store.Fresh, noon, "a")
		}, func(s *share) bool { return s.dest.key != "a" }, []string{"1b", "1b"}},
		{"wait until something is due", func(w *town) { w.news(1, store.Fresh, noon.Add(time.Second), "a") }, anywhere, []string{"nobody"}},
		{"aren't for what is paused", func(w *town) {
			w.paused["a"] = true
			w.news(1, store.Fresh, noon, "a")
		}, anywhere, []string{"nobody"}},
		{"aren't for paperwork", func(w *town) { w.news(1, store.Paperwork, noon, "a") }, anywhere, []string{"nobody"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newTown()
			test.set(w)
			if got := w.give(len(test.want), test.open); fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("they are %v, want %v", got, test.want)
			}
		})
	}
}

func TestAgendaAfterAPause(t *testing.T) {
	w := newTown()
	w.paused["a"] = true
	w.news(1, store.Fresh, noon, "a")
	w.news(1, store.Paperwork, noon, "a")
	if w.pull(w.office) == nil {
		t.Error("the pause stops paperwork")
	}
	delete(w.paused, "a")
	w.remap(noon)
	if l := w.pull(w.at("a")); l == nil || l.Domain != "a" {
		t.Error("nothing is ready after the pause")
	}
}

func TestPullTakesTurns(t *testing.T) {
	w := newTown()
	w.news(1, store.Fresh, noon, "a")
	w.news(2, store.Fresh, noon, "a")
	w.news(3, store.Retried, noon, "a")
	var got []store.AccountID
	for range 10 {
		l := w.pull(w.at("a"))
		got = append(got, l.Account)
		w.pulled(l, noon, noon)
	}
	if want := "[1 2 1 2 3 1 2 1 2 3]"; fmt.Sprint(got) != want {
		t.Errorf("pulled from %v, want %v", got, want)
	}
}

func TestNewsDuringAClaimIsNotLost(t *testing.T) {
	w := newTown()
	w.news(1, store.Fresh, noon, "a")
	l := w.pull(w.at("a"))
	w.news(1, store.Fresh, noon, "a")
	w.pulled(l, time.Time{}, noon) // the answer didn't know of it
	if w.pull(w.at("a")) == nil {
		t.Error("what came during the claim is forgotten")
	}
}

// TestAgendaForgetsNothing takes random steps. After each of them every lane that
// the agenda knows is where it belongs; in the end everything can be served.
func TestAgendaForgetsNothing(t *testing.T) {
	for seed := range uint64(200) {
		w, random := newTown(), rand.New(rand.NewPCG(seed, 1))
		walk := &agendaWalk{town: w, random: random, now: noon, left: map[store.Lane]time.Time{}}
		for range 300 {
			walk.step()
			walk.check(t)
		}
		walk.settle(t)
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

// An agendaWalk knows what the store would know: when the earliest item of each
// lane that has any comes due.
type agendaWalk struct {
	*town
	random *rand.Rand
	now    time.Time
	left   map[store.Lane]time.Time
	pulls  []*lane
}

func (w *agendaWalk) step() {
	lane := store.Lane{
		Domain: string(rune('a' + w.random.IntN(4))), Account: store.AccountID(w.random.IntN(3)), Class: store.Class(w.random.IntN(3)),
	}
	d := w.where(store.Lane{Domain: lane.Domain})
	switch w.random.IntN(8) {
	case 0, 1:
		due := w.now.Add(time.Duration(w.random.IntN(100)-20) * time.Second)
		w.left[lane] = earlier(w.left[lane], due)
		w.learn(store.LaneDue{Lane: lane, Due: due, Hasten: w.random.IntN(5) == 0}, w.now)
	case 2:
		w.now = w.now.Add(time.Duration(w.random.IntN(30)) * time.Second)
		w.advance(w.now)
	case 3:
		if s := w.turn(func(*share) bool { return w.random.IntN(2) == 0 }); s != nil {
			w.take(s)
		}
	case 4:
		if lane.Class == store.Paperwork {
			d = w.office
		}
		if d != nil {
			if l := w.pull(d); l != nil {
				w.pulls = append(w.pulls, l)
			}
		}
	case 5:
		w.answer()
	case 6:
		if d != nil {
			w.reopen(d)
		}
	case 7:
		w.paused[lane.Domain] = !w.paused[lane.Domain]
		w.remap(w.now)
	}
}

// answer ends a claim: some of what the lane had is left.
func (w *agendaWalk) answer() {
	if len(w.pulls) == 0 {
		return
	}
	l := w.pulls[0]
	w.pulls = w.pulls[1:]
	if w.random.IntN(2) == 0 {
		delete(w.left, l.Lane)
	}
	w.pulled(l, w.left[l.Lane], w.now)
}

func (w *agendaWalk) check(t *testing.T) {
	t.Helper()
	for id, due := range w.left {
		l := w.lanes[id]
		switch {
		case l == nil:
			t.Errorf("%v is forgotten", id)
		case l.claiming, l.dest == nil:
		case l.due.After(due):
			t.Errorf("%v is due at %v, it says %v", id, due, l.due)
		case (l.index >= 0) == (l.share != nil):
			t.Errorf("%v is in two places, or in none", id)
		case l.share != nil && !l.dest.paperwork && l.share.offer.in == nil:
			t.Errorf("%v offers itself nowhere", id)
		case l.share != nil && l.share.offer.in == &l.sender.shares[l.share.class] && l.sender.inTurn[l.share.class].in == nil:
			t.Errorf("the turn of %v never comes", id)
		}
	}
}

// settle serves everything.
func (w *agendaWalk) settle(t *testing.T) {
	t.Helper()
	w.paused = map[string]bool{}
	for len(w.pulls) > 0 {
		w.answer()
	}
	w.remap(w.now)
	w.now = w.now.Add(time.Hour)
	w.advance(w.now)
	for _, d := range w.places {
		w.reopen(d)
	}
	serve := func(d *destination) {
		for l := w.pull(d); l != nil; l = w.pull(d) {
			delete(w.left, l.Lane)
			w.pulled(l, time.Time{}, w.now)
		}
	}
	for s := w.turn(anywhere); s != nil; s = w.turn(anywhere) {
		w.take(s)
		serve(s.dest)
	}
	serve(w.office)
	if len(w.left)+len(w.lanes)+len(w.senders)+len(w.shares) > 0 {
		t.Errorf("left are %v; the agenda has %d lanes, %d senders, %d shares", w.left, len(w.lanes), len(w.senders), len(w.shares))
	}
}

// BenchmarkAgenda takes 100,000 lanes of 20,000 destinations in, and serves them.
func BenchmarkAgenda(b *testing.B) {
	for range b.N {
		w := newTown()
		for i := range 100_000 {
			w.news(store.AccountID(i%5), store.Fresh, noon, fmt.Sprint("d", i%20_000))
		}
		for s := w.turn(anywhere); s != nil; s = w.turn(anywhere) {
			w.take(s)
			w.pulled(w.pull(s.dest), time.Time{}, noon)
		}
	}
}
