package smtpd

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroom/smtpd/policy"
)

// A pipes is a listener within the process, so that time can be a bubble's.
type pipes struct {
	waiting chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

type pipeEnd struct {
	net.Conn
	remote net.Addr
}

func (p pipeEnd) RemoteAddr() net.Addr { return p.remote }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.waiting:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dialFrom opens a connection from an address.
func (p *pipes) dialFrom(t *testing.T, addr string) *client {
	theirs, ours := net.Pipe()
	p.waiting <- pipeEnd{theirs, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 999))}
	c := newClient(t, ours)
	ours.SetDeadline(time.Now().Add(time.Hour))
	c.expect("220 ")
	c.do("EHLO client.test", "250")
	return c
}

// inBubble runs a server whose time is the bubble's, and returns how long it took
// to stop.
func inBubble(t *testing.T, run func(t *testing.T, p *pipes)) (stopped time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Name: "smtp", Hostname: "mail.example.test", Mail: &fakeMail{}, Unknown: &policy.Tally{}, SpoolDir: t.TempDir()}
		p := &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		var served sync.WaitGroup
		served.Go(func() {
			if err := s.Serve(ctx, p); err != nil {
				t.Error(err)
			}
		})
		run(t, p)
		began := time.Now()
		cancel()
		served.Wait()
		stopped = time.Since(began)
	})
	return stopped
}

func TestBadCommandsSlowASessionDown(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pipes) {
		c := p.dialFrom(t, "127.0.0.1") // which isn't exempt
		began := time.Now()
		last := time.Duration(0)
		for i := range maxBadCommands {
			before := time.Now()
			c.do("NONSENSE", "500 5.5.2")
			took := time.Since(before)
			if i == maxBadCommands-1 {
				break // it ends the session, at once
			}
			if free := i < freeCommands; free != (took == 0) || took < last {
				t.Errorf("command %d took %v, the one before %v", i+1, took, last)
			}
			if last = took; i == maxBadCommands-2 {
				before := time.Now()
				if p.dialFrom(t, "127.0.0.1").do("NOOP", "250"); time.Since(before) != 0 {
					t.Error("somebody else is slowed too")
				}
				if c.do("NOOP", "250"); time.Since(before) != 0 {
					t.Error("a good command is slowed too")
				}
			}
		}
		c.expect("421 4.7.0")
		c.expectEnd()
		if took := time.Since(began); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("all together took %v", took)
		}
	})
}

// askUnknown asks for n unknown recipients, and returns how long the replies took.
func askUnknown(c *client, n int) time.Duration {
	began := time.Now()
	c.do("MAIL FROM:<x@far.test>", "250")
	for i := range n {
		c.do(fmt.Sprintf("RCPT TO:<user%d@example.test>", i), "550 5.1.1")
	}
	return time.Since(began)
}

func TestUnknownRecipientsSlowASessionDown(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pipes) {
		if took := askUnknown(p.dialFrom(t, "192.0.2.9"), freeRecipients); took != 0 {
			t.Errorf("a few took %v", took)
		}
		c := p.dialFrom(t, "192.0.2.1")
		if took := askUnknown(c, maxBadRecipients); took < 6*time.Second || took > 8*time.Second {
			t.Errorf("all together took %v", took)
		}
		c.expect("421 4.7.0")
		c.expectEnd()

		c = p.dialFrom(t, "192.0.2.200")
		if took := askUnknown(c, 2); took != 2*unknownDelay {
			t.Errorf("the next session from that network took %v", took)
		}
		c.do("RSET", "250")
		if took := askUnknown(c, maxBadRecipients-2); took > 8*time.Second {
			t.Errorf("its rest took %v", took)
		}
		if took := askUnknown(p.dialFrom(t, "192.0.3.1"), 2); took != 0 {
			t.Errorf("another network took %v", took)
		}
		time.Sleep(time.Hour)
		if took := askUnknown(p.dialFrom(t, "192.0.2.1"), 2); took != 0 {
			t.Errorf("an hour later it took %v", took)
		}
	})
}

func TestPipelinedMistakesWaitToo(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pipes) {
		c := p.dialFrom(t, "192.0.2.1")
		began := time.Now()
		go c.conn.Write([]byte(strings.Repeat("NONSENSE\r\n", 13) + "NOOP\r\n"))
		for range 13 {
			c.expect("500 5.5.2")
		}
		c.expect("250 ")
		if took, want := time.Since(began), commandStep*55; took != want {
			t.Errorf("it took %v, want %v", took, want)
		}
	})
}

func TestServerStopsWhileSessionsAreSlowed(t *testing.T) {
	stopped := inBubble(t, func(t *testing.T, p *pipes) {
		c := p.dialFrom(t, "192.0.2.1")
		for range maxBadCommands - 1 {
			c.do("NONSENSE", "500 5.5.2")
		}
		go c.conn.Write([]byte("NONSENSE\r\n"))
		go c.r.WriteTo(io.Discard)
	})
	if stopped > time.Second {
		t.Errorf("it stopped after %v", stopped)
	}
}
