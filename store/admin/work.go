package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"postroom/store"
)

// A WorkState says how far something long is.
type WorkState string

// Work that was stopped or has failed keeps what it had done.
const (
	WorkRunning WorkState = "running"
	WorkDone    WorkState = "done"
	WorkStopped WorkState = "stopped"
	WorkFailed  WorkState = "failed"
)

// A Work is something long that is carried out while nobody waits for it, as it is
// at one moment. It is kept in memory alone: a restart ends it and forgets it.
type Work struct {
	ID      string
	Kind    string // what is done, in the words of who began it
	About   string // to what
	To      string // the page that it belongs to
	By      string // who began it
	Began   time.Time
	Ended   time.Time // zero while it runs
	Done    int64     // steps so far
	Total   int64     // steps in all, 0 as long as it isn't known
	Changed int64     // what has been changed, once it has ended
	State   WorkState
	Err     error // why it failed: an *Error, or our own fault, which is in the log too
}

// Left returns how long it will go on if it goes on as it has; zero if that isn't
// known.
func (w Work) Left(now time.Time) time.Duration {
	took := now.Sub(w.Began)
	if w.State != WorkRunning || w.Done <= 0 || w.Total <= w.Done || took <= 0 {
		return 0
	}
	return time.Duration(float64(took) / float64(w.Done) * float64(w.Total-w.Done))
}

// NewWork asks for something long to be carried out. Run says how much it has
// changed, also when it fails or its context ends, and tells its progress as
// store.WithProgress has it.
type NewWork struct {
	Kind, About, To, By string
	Run                 func(context.Context) (changed int64, err error)
}

// Bounds of what is remembered.
const (
	workKept    = time.Hour // after its end
	mostKept    = 200       // of what has ended
	mostRunning = 20
)

// works are all that run, and those that have ended lately.
type works struct {
	mu     sync.Mutex
	run    string // sets these ids apart from those of a server that ran before
	last   int
	all    []*work // in the order in which they were begun
	closed bool
	group  sync.WaitGroup
}

type work struct {
	Work  // under works.mu
	stop  context.CancelFunc
	ended chan struct{}
}

// BeginWork carries out something long in the background, with what is in ctx but
// not until its end. It fails if too much runs already, or if the server is stopping.
func (a *Admin) BeginWork(ctx context.Context, request NewWork) (Work, error) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	began, err := a.works.add(request, a.Now(), stop)
	if err != nil {
		stop()
		return Work{}, err
	}
	shown := began.Work
	go func() {
		defer a.works.group.Done()
		changed, err := runGuarded(store.WithProgress(ctx, func(done, total int64) { a.works.tell(began, done, total) }), request.Run)
		if err != nil && ctx.Err() == nil && !isMistake(err) {
			a.Log.Error("work failed", "work", request.Kind, "about", request.About, "by", request.By, "err", err)
		}
		a.works.end(began, a.Now(), changed, err, ctx.Err() != nil)
		stop()
	}()
	return shown, nil
}

// runGuarded turns a panic into an error: what a button began must not end the
// server.
func runGuarded(ctx context.Context, run func(context.Context) (int64, error)) (changed int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return run(ctx)
}

func isMistake(err error) bool {
	_, ok := errors.AsType[*Error](err)
	return ok
}

func (ws *works) add(request NewWork, now time.Time, stop context.CancelFunc) (*work, error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.forget(now)
	running := 0
	for _, w := range ws.all {
		if w.State == WorkRunning {
			running++
		}
	}
	switch {
	case ws.closed:
		return nil, &Error{Busy, "The server is stopping. Try again when it is back.", store.ErrClosed}
	case running >= mostRunning:
		return nil, &Error{Kind: Busy, Text: "Too much long work is running already. Wait until some of it has ended, or stop some."}
	}
	if ws.run == "" {
		ws.run = strings.ToLower(rand.Text()[:6])
	}
	ws.last++
	w := &work{
		Work: Work{
			ID: fmt.Sprintf("%s-%d", ws.run, ws.last), Kind: request.Kind, About: request.About, To: request.To, By: request.By,
			Began: now, State: WorkRunning,
		},
		stop: stop, ended: make(chan struct{}),
	}
	ws.all = append(ws.all, w)
	ws.group.Add(1)
	return w, nil
}

// forget drops what has ended long ago, and the oldest of too many. The caller has
// the lock.
func (ws *works) forget(now time.Time) {
	ended := 0
	for _, w := range ws.all {
		if w.State != WorkRunning {
			ended++
		}
	}
	ws.all = slices.DeleteFunc(ws.all, func(w *work) bool {
		old := w.State != WorkRunning && (now.Sub(w.Ended) > workKept || ended > mostKept)
		if old {
			ended--
		}
		return old
	})
}

func (ws *works) tell(w *work, done, total int64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.Done, w.Total = done, total
}

func (ws *works) end(w *work, now time.Time, changed int64, err error, stopped bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.Ended, w.Changed = now, changed
	switch {
	case err == nil:
		w.State = WorkDone
	case stopped && !isMistake(err):
		w.State = WorkStopped
	default:
		w.State, w.Err = WorkFailed, err
	}
	close(w.ended)
}

// AwaitWork returns how far some work is once it has ended, after a while, or when
// ctx ends.
func (a *Admin) AwaitWork(ctx context.Context, id string, while time.Duration) (Work, error) {
	w, err := a.works.find(id)
	if err != nil {
		return Work{}, err
	}
	timer := time.NewTimer(while)
	defer timer.Stop()
	select {
	case <-w.ended:
	case <-timer.C:
	case <-ctx.Done():
	}
	return a.Work(id)
}

// Work returns how far some work is. It fails with ErrWorkForgotten or ErrRestarted
// if it isn't known any more.
func (a *Admin) Work(id string) (Work, error) {
	w, err := a.works.find(id)
	if err != nil {
		return Work{}, err
	}
	a.works.mu.Lock()
	defer a.works.mu.Unlock()
	return w.Work, nil
}

// Why some work isn't known any more.
var (
	ErrWorkForgotten = fmt.Errorf("work: %w: it ended long ago", store.ErrNotFound)
	ErrRestarted     = fmt.Errorf("work: %w: the server was started anew", store.ErrNotFound)
)

func (ws *works) find(id string) (*work, error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.all {
		if w.ID == id {
			return w, nil
		}
	}
	run, _, _ := strings.Cut(id, "-")
	if run == ws.run {
		return nil, ErrWorkForgotten
	}
	return nil, ErrRestarted
}

// AllWork returns what runs and what has ended lately, the latest first.
func (a *Admin) AllWork() []Work {
	a.works.mu.Lock()
	defer a.works.mu.Unlock()
	a.works.forget(a.Now())
	list := make([]Work, 0, len(a.works.all))
	for _, w := range slices.Backward(a.works.all) {
		list = append(list, w.Work)
	}
	return list
}

// StopWork has some work end as soon as it can: what it has done stays done. Work
// that has ended is left as it is. It fails as Work does.
func (a *Admin) StopWork(id string) error {
	w, err := a.works.find(id)
	if err != nil {
		return err
	}
	w.stop()
	return nil
}

// ForgetWork drops work that has ended, once its outcome has been told.
func (a *Admin) ForgetWork(id string) {
	a.works.mu.Lock()
	defer a.works.mu.Unlock()
	a.works.all = slices.DeleteFunc(a.works.all, func(w *work) bool { return w.ID == id && w.State != WorkRunning })
}

// EndWork stops all that runs and waits for it; nothing can be begun any more. It
// comes before the store is closed.
func (a *Admin) EndWork() {
	a.works.mu.Lock()
	a.works.closed = true
	for _, w := range a.works.all {
		w.stop()
	}
	a.works.mu.Unlock()
	a.works.group.Wait()
}
