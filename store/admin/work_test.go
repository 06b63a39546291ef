package admin_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

// begin begins work that reports done of total, then waits for its context to end.
func (f *fixture) begin(done, total int64) admin.Work {
	f.t.Helper()
	told := make(chan struct{})
	w, err := f.BeginWork(f.t.Context(), admin.NewWork{Kind: "hold", About: "x", By: "alice@example.org", Run: func(ctx context.Context) (int64, error) {
		store.TellProgress(ctx, done, total)
		close(told)
		<-ctx.Done()
		return done, ctx.Err()
	}})
	f.must(err)
	<-told
	return w
}

func (f *fixture) awaited(id string) admin.Work {
	f.t.Helper()
	w, err := f.AwaitWork(f.t.Context(), id, time.Minute)
	f.must(err)
	return w
}

func TestWork(t *testing.T) {
	f := newFixture(t)
	t.Cleanup(f.EndWork)
	long := f.begin(20, 100)
	f.now = f.now.Add(10 * time.Second)
	w, err := f.Work(long.ID)
	f.must(err)
	if w.State != admin.WorkRunning || w.Done != 20 || w.Total != 100 || w.Left(f.now) != 40*time.Second || !w.Ended.IsZero() {
		t.Errorf("it runs as %+v", w)
	}
	if w, err := f.AwaitWork(t.Context(), long.ID, time.Millisecond); err != nil || w.State != admin.WorkRunning {
		t.Errorf("after a while it is %+v, %v", w, err)
	}
	f.must(f.StopWork(long.ID))
	if w := f.awaited(long.ID); w.State != admin.WorkStopped || w.Changed != 20 || w.Err != nil || !w.Ended.Equal(f.now) {
		t.Errorf("stopped it is %+v", w)
	}
	f.must(f.StopWork(long.ID)) // once more

	for _, test := range []struct {
		it   string
		run  func(context.Context) (int64, error)
		want admin.WorkState
	}{
		{"ends", func(context.Context) (int64, error) { return 3, nil }, admin.WorkDone},
		{"tells a mistake", func(context.Context) (int64, error) { return 0, &admin.Error{Text: "No."} }, admin.WorkFailed},
		{"fails", func(context.Context) (int64, error) { return 1, errors.New("disk") }, admin.WorkFailed},
		{"panics", func(context.Context) (int64, error) { panic("oh") }, admin.WorkFailed},
	} {
		w, err := f.BeginWork(t.Context(), admin.NewWork{Kind: test.it, Run: test.run})
		f.must(err)
		if w = f.awaited(w.ID); w.State != test.want || (w.Err != nil) != (test.want == admin.WorkFailed) {
			t.Errorf("it %s: %+v", test.it, w)
		}
	}
	all := f.AllWork()
	if len(all) != 5 || all[0].Kind != "panics" || all[4].ID != long.ID {
		t.Errorf("all work is %+v", all)
	}
	f.ForgetWork(all[0].ID)
	f.now = f.now.Add(2 * time.Hour)
	if all := f.AllWork(); len(all) != 0 {
		t.Errorf("later there is %+v", all)
	}
	_, err = f.Work(long.ID)
	if !errors.Is(err, admin.ErrWorkForgotten) || !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what is forgotten: %v", err)
	}
	_, err = f.Work("before-1")
	if !errors.Is(err, admin.ErrRestarted) || errors.Is(err, admin.ErrWorkForgotten) {
		t.Errorf("what ran before a restart: %v", err)
	}
}

func TestWorkIsBounded(t *testing.T) {
	f := newFixture(t)
	t.Cleanup(f.EndWork)
	var running []admin.Work
	var err error
	for err == nil && len(running) < 1000 {
		var w admin.Work
		w, err = f.BeginWork(t.Context(), admin.NewWork{Run: func(ctx context.Context) (int64, error) { <-ctx.Done(); return 0, ctx.Err() }})
		running = append(running, w)
	}
	f.fails(err, admin.Busy, nil, "Too much long work is running already.")
	f.must(f.StopWork(running[0].ID))
	f.awaited(running[0].ID)
	last := f.begin(1, 2)
	f.EndWork()
	if w := f.awaited(last.ID); w.State != admin.WorkStopped {
		t.Errorf("at the end it is %+v", w)
	}
	_, err = f.BeginWork(t.Context(), admin.NewWork{})
	f.fails(err, admin.Busy, store.ErrClosed, "The server is stopping.")
}

// A change of the queue that is stopped says what it has done, which stays done.
func TestStopChangeOfQueue(t *testing.T) {
	f := newFixture(t)
	f.fill()
	for i := range 30 {
		var to []string
		for range 100 {
			to = append(to, "x@elsewhere.example")
		}
		f.accept("alice@example.org", 100+i, nil, to...)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var seen [][2]int64
	ctx = store.WithProgress(ctx, func(done, total int64) {
		seen = append(seen, [2]int64{done, total})
		if done >= total/2 {
			stop()
		}
	})
	n, err := f.HoldQueue(ctx, admin.QueueSelection{All: true})
	if !errors.Is(err, context.Canceled) || n < 1500 || n >= 3000 {
		t.Fatalf("stopped after %d with %v", n, err)
	}
	if held := f.lengthOfHeld(); held != n {
		t.Errorf("%d are held, %d were said to be", held, n)
	}
	if seen[0] != [2]int64{0, 3000} {
		t.Errorf("progress is %v", seen)
	}
	n, err = f.HoldQueue(t.Context(), admin.QueueSelection{All: true})
	if err != nil || n+f.lengthOfHeld() < 3000 || f.lengthOfHeld() != 3000 {
		t.Errorf("the rest is %d, %v", n, err)
	}
}

func (f *fixture) lengthOfHeld() int64 {
	f.t.Helper()
	n, _, err := f.CountQueue(f.t.Context(), admin.QueueSelection{Held: true})
	f.must(err)
	return n
}

func TestSelectByAgeAndReply(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	old := f.accept("alice@example.org", 100, nil, "x@elsewhere.example", "y@elsewhere.example")
	f.now = f.now.Add(3 * time.Hour)
	young := f.accept("alice@example.org", 200, nil, "x@elsewhere.example")
	items, err := f.store.Queue(ctx, store.QueueFilter{Message: young})
	f.must(err)
	f.must(f.store.Settle(ctx, store.Settlement{At: f.now, Outcomes: []store.Outcome{{
		Item: items[0].ID, Message: young, Recipient: f.address("x@elsewhere.example"), Result: store.Deferred, Retry: f.now.Add(time.Hour), Reply: "451 4.7.1 Greylisted",
	}}}))
	for _, test := range []struct {
		it        string
		selection admin.QueueSelection
		want      int64
	}{
		{"finds what is old", admin.QueueSelection{OlderThan: "2h"}, 2},
		{"finds nothing that old", admin.QueueSelection{OlderThan: "1d"}, 0},
		{"finds an answer, whatever the case", admin.QueueSelection{Reply: "greylisted"}, 1},
		{"finds both together", admin.QueueSelection{Reply: "greylisted", OlderThan: "2h"}, 0},
		{"finds several messages", admin.QueueSelection{Messages: []string{old.String(), young.String()}}, 3},
		{"finds those of several that are there", admin.QueueSelection{Messages: []string{"0000000000001", young.String(), "nonsense"}}, 1},
		{"finds nothing of none", admin.QueueSelection{Messages: []string{"nonsense"}}, 0},
	} {
		n, exact, err := f.CountQueue(ctx, test.selection)
		list, listErr := f.Queue(ctx, test.selection)
		if n != test.want || int64(len(list)) != test.want || !exact || err != nil || listErr != nil {
			t.Errorf("it %s: %d, %v, %d, %v, %v", test.it, n, exact, len(list), err, listErr)
		}
	}
	_, _, err = f.CountQueue(ctx, admin.QueueSelection{OlderThan: "long"})
	f.fails(err, admin.Invalid, nil, "is not a length of time")
	n, err := f.HoldQueue(ctx, admin.QueueSelection{All: true, OlderThan: "2h"})
	if n != 2 || err != nil {
		t.Errorf("held %d, %v", n, err)
	}
	_, err = f.HoldQueue(ctx, admin.QueueSelection{OlderThan: "2h"})
	f.fails(err, admin.Invalid, nil, "Say which mail is meant")
	_, err = f.HoldQueue(ctx, admin.QueueSelection{Messages: []string{"0000000000001"}})
	f.fails(err, admin.NotFound, nil, "Nothing of the messages that were chosen")
}
