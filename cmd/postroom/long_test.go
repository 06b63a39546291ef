package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/mail"
)

// A steppedStore stands still before each step of what may take long.
type steppedStore struct {
	admin.Store
	steps chan struct{}
}

// HoldQueue goes on as the test lets it.
func (s *steppedStore) HoldQueue(ctx context.Context, f store.QueueFilter) (int64, error) {
	return s.Store.HoldQueue(s.stepped(ctx), f)
}

// RemoveAccount goes on as the test lets it.
func (s *steppedStore) RemoveAccount(ctx context.Context, id store.AccountID) error {
	return s.Store.RemoveAccount(s.stepped(ctx), id)
}

func (s *steppedStore) stepped(ctx context.Context) context.Context {
	return store.WithProgress(ctx, func(done, total int64) {
		store.TellProgress(ctx, done, total)
		select {
		case <-s.steps:
		case <-ctx.Done():
		}
	})
}

func (s *steppedStore) let(n int) {
	for range n {
		s.steps <- struct{}{}
	}
}

// stepped puts a program's store behind one that stands still before each step.
func stepped(p *program) *steppedStore {
	s := &steppedStore{p.admin.Store, make(chan struct{})}
	p.admin.Store = s
	return s
}

// A terminal is a pseudo terminal, and what was written there.
type terminal struct {
	t    *testing.T
	file *os.File // for who writes
	mu   sync.Mutex
	text bytes.Buffer
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	master := os.NewFile(uintptr(fd), "ptmx")
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, file: file}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			term.mu.Lock()
			term.text.Write(buf[:n])
			term.mu.Unlock()
			if err != nil { // the other side was closed
				return
			}
		}
	}()
	t.Cleanup(func() {
		file.Close()
		<-read
		master.Close()
	})
	return term
}

func (term *terminal) String() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.text.String()
}

// until waits for a text.
func (term *terminal) until(text string) {
	term.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for range time.Tick(5 * time.Millisecond) {
		if strings.Contains(term.String(), text) {
			return
		}
		if time.Now().After(deadline) {
			term.t.Fatalf("the terminal doesn't show %q: %q", text, term.String())
		}
	}
}

// queueMany puts mail for many recipients into the queue.
func queueMany(t *testing.T, p *program, many int) {
	t.Helper()
	a := store.Acceptance{ID: p.store.NewMessageID(), At: time.Now(), Body: strings.NewReader("hi"), Size: 2}
	for i := range many {
		to := mail.Address{Local: fmt.Sprintf("member%d", i), Domain: "big.example"}
		a.Outbound = append(a.Outbound, store.Outbound{Recipient: mail.Recipient{Address: to}})
	}
	if err := p.store.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

// interrupt sends what Ctrl-C sends.
func interrupt(t *testing.T) {
	t.Helper()
	if err := unix.Kill(os.Getpid(), unix.SIGINT); err != nil {
		t.Fatal(err)
	}
}

func TestLongWorkOnATerminal(t *testing.T) {
	p := newPlace(t)
	p.do("", "domain", "add", "example.org")
	program := p.listen()
	queueMany(t, program, 3000)
	steps := stepped(program)
	begin := func(args ...string) (*terminal, *bytes.Buffer, chan int) {
		term, out, status := newTerminal(t), new(bytes.Buffer), make(chan int, 1)
		go func() {
			status <- run(context.Background(), args, &shell{in: strings.NewReader(""), out: out, err: term.file, environ: p.env})
		}()
		return term, out, status
	}

	term, out, status := begin("queue", "hold", "--domain", "big.example")
	term.until("  0 %, 0 of 3000 recipients; Ctrl-C stops it")
	steps.let(2)
	term.until(" 33 %, 1000 of 3000 recipients")
	interrupt(t)
	if got := <-status; got != statusFailed || out.Len() > 0 {
		t.Errorf("stopped with status %d: %s", got, out)
	}
	held, _, err := program.admin.CountQueue(t.Context(), admin.QueueSelection{Held: true})
	if err != nil || held < 1000 || held > 1500 {
		t.Errorf("%d are held, %v", held, err)
	}
	term.until(fmt.Sprintf("postroom: stopped: %d recipients held, the rest (%d) is as it was", held, 3000-held))

	program.admin.Store = steps.Store
	term, out, status = begin("queue", "hold", "--domain", "big.example")
	if got := <-status; got != statusDone || !strings.Contains(out.String(), "Held: ") {
		t.Errorf("the rest ended with status %d: %s", got, out)
	}
	term.until("100 %, 3000 of 3000 recipients")
	if errs := term.String(); !strings.HasSuffix(errs, " \r") {
		t.Errorf("the line isn't cleared: %q", errs)
	}
	if got := p.do("", "queue", "release", "--domain", "big.example"); got != "Released: 3000 recipients.\n" { // no terminal, no noise
		t.Errorf("without a terminal: %q", got)
	}
}

// What a command does by itself, while no server runs, is stopped in the same way.
func TestStopLongWorkWithoutServer(t *testing.T) {
	p := newPlace(t)
	p.do("", "domain", "add", "example.org")
	p.do("a pass word\n", "account", "add", "alice@example.org", "--password-stdin")
	program := p.listen() // for its program alone
	to, err := program.store.AccountByAddress(t.Context(), mail.Address{Local: "alice", Domain: "example.org"})
	if err != nil {
		t.Fatal(err)
	}
	var accepting errgroup.Group // several share a commit
	accepting.SetLimit(100)
	for range 4500 {
		accepting.Go(func() error {
			a := store.Acceptance{ID: program.store.NewMessageID(), At: time.Now(), Body: strings.NewReader("hi"), Size: 2}
			a.Local = []store.LocalDelivery{{Account: to.ID, Recipient: to.Address}}
			return program.store.Accept(t.Context(), a)
		})
	}
	if err := accepting.Wait(); err != nil {
		t.Fatal(err)
	}
	steps, term := stepped(program), newTerminal(t)
	ended := make(chan outcome[admin.RemovedAccount], 1)
	go func() {
		conn := &connection{client: inProcess(program).client}
		end, err := askLongOver[admin.RemovedAccount](context.Background(), &shell{err: term.file}, conn, "account/remove", "message", accountRequest{Address: "alice@example.org"})
		if err != nil {
			t.Error(err)
		}
		ended <- end
	}()
	term.until("0 of 4500 messages")
	steps.let(1)
	term.until("2000 of 4500 messages")
	interrupt(t)
	end := <-ended
	left, err := program.admin.Account(t.Context(), "alice@example.org")
	if err != nil || !end.Stopped || end.failure() != nil || left.Messages != end.left() || end.left() > 2500 || end.left() == 0 {
		t.Errorf("it ended as %+v, with %d messages left, %v", end, left.Messages, err)
	}
}
