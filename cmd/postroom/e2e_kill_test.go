package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"postroom/cmd/postroom/bench"
)

// A counter is somebody else's mail server, which counts what it has taken for
// whom. At its limit it stops in the middle: it has a message, and says nothing.
type counter struct {
	addr string

	mu      sync.Mutex
	taken   map[string]int
	copies  int
	limit   int           // zero: none
	reached chan struct{} // closed at the limit
	resumed chan struct{} // closed to go on
}

// stopAt sets the limit and returns what is closed once it is reached.
func (c *counter) stopAt(copies int) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit, c.reached, c.resumed = copies, make(chan struct{}), make(chan struct{})
	return c.reached
}

// resume goes on.
func (c *counter) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = 0
	close(c.resumed)
}

// take counts a message, and waits if the limit is reached.
func (c *counter) take(recipients []string) {
	c.mu.Lock()
	for _, to := range recipients {
		c.taken[to]++
		c.copies++
	}
	stop := c.limit > 0 && c.copies >= c.limit
	if stop && c.copies == c.limit {
		close(c.reached)
	}
	resumed := c.resumed
	c.mu.Unlock()
	if stop {
		<-resumed
	}
}

func startCounter(t *testing.T) *counter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.9:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{addr: l.Addr().String(), taken: make(map[string]int)}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &counting{counter: c}, nil }))
	server.Domain, server.ErrorLog = "mx.remote.test", log.New(io.Discard, "", 0)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // until it is closed
	}()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return c
}

// total returns how many recipients have mail, and how often one has it at most.
func (c *counter) total() (recipients, copies, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.taken {
		most = max(most, n)
	}
	return len(c.taken), c.copies, most
}

// counting is one session.
type counting struct {
	counter    *counter
	recipients []string
}

func (s *counting) Mail(string, *smtp.MailOptions) error { return nil }

func (s *counting) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.recipients = append(s.recipients, to)
	return nil
}

func (s *counting) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	s.counter.take(s.recipients)
	return nil
}

func (s *counting) Reset()        { s.recipients = nil }
func (s *counting) Logout() error { return nil }

// TestKilledWhileSending kills the server again and again in the middle of a
// queue. Everything arrives by itself, and only what was in flight twice.
func TestKilledWhileSending(t *testing.T) {
	const (
		messages    = 600
		kills       = 3
		connections = 4
		// A message is in flight from the first octet to the commit of its outcome.
		// Those that wait for that commit are few while the disk keeps up.
		inFlight = connections + 60
	)
	c := startCounter(t)
	s := startHost(t, "here.test", []string{fmt.Sprintf("POSTROOM_DELIVERY_PER_DESTINATION=%d", connections)}, "alice")
	s.do("route", "add", "remote.test", c.addr)
	s.do("queue", "pause", "remote.test")
	s.fill(messages)
	middle := c.stopAt(messages / (kills + 1))
	s.do("queue", "resume", "remote.test")
	for range kills {
		select {
		case <-middle:
		case <-time.After(time.Minute):
			t.Fatal("too little is sent")
		}
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		c.resume()
		_, copies, _ := c.total()
		middle = c.stopAt(copies + messages/(kills+1))
		s.start()
	}
	c.resume()
	s.until("all have their mail", func() bool {
		recipients, _, _ := c.total()
		return recipients == messages
	})
	s.until("the queue is empty", func() bool {
		var list []queued
		s.list(&list, "queue", "list")
		return len(list) == 0
	})
	recipients, copies, most := c.total()
	t.Logf("%d recipients have %d copies", recipients, copies)
	if recipients != messages || copies > messages+kills*inFlight || most > 1+kills {
		t.Errorf("%d recipients have %d copies, one of them %d", recipients, copies, most)
	}
}

// fill submits so many messages, each to somebody else.
func (s *site) fill(messages int) {
	s.t.Helper()
	client, err := bench.DialSMTP(s.t.Context(), s.Submission)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Quit()
	if err := client.Login("alice@here.test", password); err != nil {
		s.t.Fatal(err)
	}
	for i := range messages {
		to := fmt.Sprintf("user%d@remote.test", i)
		if _, err := client.Begin("alice@here.test", to); err != nil {
			s.t.Fatal(err)
		}
		if _, _, err := client.Data(bench.DotStuff(plainLetter("alice@here.test", to))); err != nil {
			s.t.Fatal(err)
		}
	}
}
