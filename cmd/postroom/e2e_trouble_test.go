package main

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"postroom/cmd/postroom/bench"
)

// A silence takes connections and never greets.
func startSilence(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.10:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		var open []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				for _, c := range open {
					c.Close()
				}
				return
			}
			open = append(open, conn)
		}
	}()
	return l.Addr().String()
}

// TestStopWhileConnectionsHang ends the server while some of its connections wait
// for a greeting, and others for the answer to a message.
func TestStopWhileConnectionsHang(t *testing.T) {
	const messages = 60
	c := startCounter(t)
	s := startHost(t, "here.test", nil, "alice")
	s.do("route", "add", "remote.test", c.addr)
	for i := range 20 {
		domain := fmt.Sprintf("silent%d.test", i)
		s.do("route", "add", domain, startSilence(t))
		s.submit("alice@here.test", "x@"+domain, plainLetter("alice@here.test", "x@"+domain))
	}
	middle := c.stopAt(messages / 2)
	s.fill(messages)
	select {
	case <-middle:
	case <-time.After(time.Minute):
		t.Fatal("too little is sent")
	}
	if err := syscall.Kill(s.PID(), syscall.SIGHUP); err != nil { // harms nobody
		t.Fatal(err)
	}
	start := time.Now()
	s.stop()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	c.resume()
	s.start()
	s.until("all have their mail", func() bool {
		recipients, _, _ := c.total()
		return recipients == messages
	})
	// What was answered by nobody is sent again, and nothing else.
	if _, copies, most := c.total(); copies > messages+5 || most > 2 {
		t.Errorf("%d messages have %d copies, one of them %d", messages, copies, most)
	}
}

// TestWhatWasSentIsNotSentAgainWithoutADisk has the disk fill up while a queue is
// sent. Nothing can be noted then; so nothing more is sent, until there is room.
func TestWhatWasSentIsNotSentAgainWithoutADisk(t *testing.T) {
	const messages, perDestination = 400, 4
	c := startCounter(t)
	s := startSiteOnSmallDisk(t, "200m", "POSTROOM_DELIVERY_RETRY=1s", fmt.Sprintf("POSTROOM_DELIVERY_PER_DESTINATION=%d", perDestination))
	s.addAccounts("alice@here.test")
	s.do("route", "add", "remote.test", c.addr)
	middle := c.stopAt(messages / 4)
	s.fill(messages)
	select {
	case <-middle:
	case <-time.After(time.Minute):
		t.Fatal("too little is sent")
	}
	s.leave(0)
	c.resume()
	noted := func() bool { return !strings.Contains(string(s.LogTail()), "outcomes can't be kept") }
	s.until("nothing can be noted, or all was, since there was room in the log", func() bool {
		recipients, _, _ := c.total()
		return recipients == messages || !noted()
	})
	_, before, _ := c.total()
	<-time.After(5 * time.Second)
	if _, after, _ := c.total(); !noted() && after > before+perDestination {
		t.Errorf("on a full disk it goes on from %d to %d copies", before, after)
	}
	s.makeRoom()
	s.until("all have their mail", func() bool {
		recipients, _, _ := c.total()
		return recipients == messages
	})
	s.until("the queue is empty", func() bool {
		var list []queued
		s.list(&list, "queue", "list")
		return len(list) == 0
	})
	if _, copies, _ := c.total(); copies != messages {
		t.Errorf("%d messages have %d copies", messages, copies)
	}
	s.stop()
	if found, err := bench.Integrity(t.Context(), s.database()); err != nil || found != "ok" {
		t.Errorf("integrity_check: %s, %v", found, err)
	}
}

// TestKilledWhileSteered kills the server while its admin pauses, resumes and
// retries what it sends.
func TestKilledWhileSteered(t *testing.T) {
	const messages, kills, perDestination = 300, 3, 4
	c := startCounter(t)
	s := startHost(t, "here.test", []string{fmt.Sprintf("POSTROOM_DELIVERY_PER_DESTINATION=%d", perDestination)}, "alice")
	s.do("route", "add", "remote.test", c.addr)
	s.do("queue", "pause", "remote.test")
	s.fill(messages)
	for range kills {
		_, copies, _ := c.total()
		middle := c.stopAt(copies + messages/(kills+1))
		s.do("queue", "resume", "remote.test")
		s.do("queue", "retry", "--all")
		select {
		case <-middle:
		case <-time.After(time.Minute):
			t.Fatal("too little is sent")
		}
		s.do("queue", "pause", "remote.test") // with messages under way
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		c.resume()
		s.start()
	}
	_, paused, _ := c.total()
	s.do("queue", "retry", "--all")
	if text := s.do("queue", "list", "--held"); !strings.Contains(text, "remote.test is paused by you") {
		t.Errorf("what is held is %s", text)
	}
	if _, copies, _ := c.total(); copies != paused {
		t.Errorf("while it is paused %d messages are sent", copies-paused)
	}
	s.do("queue", "resume", "remote.test")
	s.until("all have their mail, and the queue is empty", func() bool {
		var list []queued
		s.list(&list, "queue", "list")
		recipients, _, _ := c.total()
		return recipients == messages && len(list) == 0
	})
	if _, copies, most := c.total(); copies > messages+kills*(perDestination+60) || most > 1+kills {
		t.Errorf("%d messages have %d copies, one of them %d", messages, copies, most)
	}
}
