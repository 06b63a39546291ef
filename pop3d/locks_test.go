package pop3d_test

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroom/pop3d"
)

// A pipeListener makes connections in memory, which synctest's clock rules.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

type pipeConn struct{ net.Conn }

func (pipeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1234} }

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// A bubble is a server inside a synctest bubble.
type bubble struct {
	t    *testing.T
	l    *pipeListener
	stop context.CancelFunc
	done chan error
}

func serveBubble(t *testing.T, s *pop3d.Server) *bubble {
	ctx, cancel := context.WithCancel(t.Context())
	b := &bubble{t, &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}, cancel, make(chan error, 1)}
	go func() { b.done <- s.Serve(ctx, b.l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-b.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return b
}

func (b *bubble) dial() *client {
	b.t.Helper()
	ours, theirs := net.Pipe()
	b.l.conns <- pipeConn{theirs}
	b.t.Cleanup(func() { ours.Close() })
	return &client{b.t, ours, bufio.NewReader(ours)}
}

// pass sends a name and a password, and leaves the answer to be read.
func (b *bubble) pass() *client {
	b.t.Helper()
	c := b.dial()
	c.expect("+OK")
	c.cmd("USER alice", "+OK")
	c.send("PASS secret\r\n")
	return c
}

// took returns how long f takes.
func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func inBubble(t *testing.T, name string, test func(*testing.T, *fakeStore, *bubble)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeStore(messages...)
			test(t, f, serveBubble(t, newServer(t, f)))
		})
	})
}

func TestLock(t *testing.T) {
	inBubble(t, "refuses a second login after 3 s", func(t *testing.T, _ *fakeStore, b *bubble) {
		first := b.pass()
		first.expect("+OK")
		second := b.pass()
		if d := took(func() { second.expect("-ERR [IN-USE] ") }); d != 3*time.Second {
			t.Errorf("the answer took %v", d)
		}
		first.cmd("STAT", "+OK 4")
		first.cmd("QUIT", "+OK")
		second.cmd("USER alice", "+OK")
		second.cmd("PASS secret", "+OK 4")
	})
	inBubble(t, "lets a second login in when the first ends meanwhile", func(t *testing.T, _ *fakeStore, b *bubble) {
		first := b.pass()
		first.expect("+OK")
		second := b.pass()
		time.Sleep(2 * time.Second) // of synctest's clock
		first.cmd("DELE 1", "+OK")
		first.cmd("QUIT", "+OK")
		if d := took(func() { second.expect("+OK 3") }); d != 0 {
			t.Errorf("the answer took another %v", d)
		}
	})
	inBubble(t, "lets a second login in when the first hangs up", func(t *testing.T, _ *fakeStore, b *bubble) {
		first := b.pass()
		first.expect("+OK")
		first.cmd("DELE 1", "+OK")
		second := b.pass()
		first.Close()
		second.expect("+OK 4")
	})
	inBubble(t, "ends a silent holder, deleting nothing", func(t *testing.T, f *fakeStore, b *bubble) {
		first := b.pass()
		first.expect("+OK")
		first.cmd("DELE 1", "+OK")
		time.Sleep(60 * time.Second)
		second := b.pass()
		if d := took(func() { second.expect("+OK 4") }); d != 0 {
			t.Errorf("the answer took %v", d)
		}
		first.eof()
		second.cmd("QUIT", "+OK")
		if got := f.state(); got != "left 1,2,3,4 collected " {
			t.Errorf("the store has %s", got)
		}
	})
	inBubble(t, "ends a holder that becomes silent while the second waits", func(t *testing.T, _ *fakeStore, b *bubble) {
		first := b.pass()
		first.expect("+OK")
		time.Sleep(58 * time.Second)
		second := b.pass()
		if d := took(func() { second.expect("+OK 4") }); d != 2*time.Second {
			t.Errorf("the answer took %v", d)
		}
	})
	inBubble(t, "keeps a holder that is heard of in time", func(t *testing.T, _ *fakeStore, b *bubble) {
		first := b.pass()
		first.expect("+OK")
		time.Sleep(58 * time.Second)
		second := b.pass()
		time.Sleep(time.Second)
		first.cmd("NOOP", "+OK")
		second.expect("-ERR [IN-USE]")
		first.cmd("QUIT", "+OK")
	})
	inBubble(t, "lets a lone session be silent for longer", func(t *testing.T, _ *fakeStore, b *bubble) {
		first := b.pass()
		first.expect("+OK")
		time.Sleep(9*time.Minute + 59*time.Second)
		first.cmd("NOOP", "+OK")
	})
	inBubble(t, "ends a holder that takes nothing of what it retrieves", func(t *testing.T, f *fakeStore, b *bubble) {
		first := b.pass()
		first.expect("+OK")
		first.send("RETR 1\r\n")
		time.Sleep(58 * time.Second) // it doesn't read
		second := b.pass()
		if d := took(func() { second.expect("+OK 4") }); d != 2*time.Second {
			t.Errorf("the answer took %v", d)
		}
		if got := f.state(); got != "left 1,2,3,4 collected " {
			t.Errorf("the store has %s", got)
		}
	})
	inBubble(t, "never ends a session that commits", func(t *testing.T, f *fakeStore, b *bubble) {
		f.beforeRemove = func() { time.Sleep(2 * time.Minute) }
		first := b.pass()
		first.expect("+OK")
		first.cmd("DELE 1", "+OK")
		first.send("QUIT\r\n")
		time.Sleep(90 * time.Second)
		second := b.pass()
		second.expect("-ERR [IN-USE]")
		first.expect("+OK")
		second.cmd("USER alice", "+OK")
		second.cmd("PASS secret", "+OK 3")
	})
	inBubble(t, "is held for one account only", func(t *testing.T, _ *fakeStore, b *bubble) {
		b.pass().expect("+OK 4")
		c := b.dial()
		c.login("bob")
		c.cmd("STAT", "+OK 0 0")
	})
}

// TestLockIsFreeAtQUIT: who hears the answer to QUIT may log in at once, on
// another listener too.
// A client that goes before it has what it retrieved deletes nothing by the QUIT
// that it had sent already, and nobody has to look into the log for it.
func TestQUITOfAClientThatHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeStore(messages...)
		s := newServer(t, f)
		var log bytes.Buffer
		s.Log = slog.New(slog.NewTextHandler(&log, nil))
		b := serveBubble(t, s)
		c := b.pass()
		c.expect("+OK")
		c.send("RETR 1\r\nDELE 1\r\nQUIT\r\n")
		c.Close()
		synctest.Wait()
		if got := f.state(); got != "left 1,2,3,4 collected " {
			t.Errorf("the store has %s", got)
		}
		if strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "session ended") {
			t.Errorf("the log says: %s", &log)
		}
	})
}

func TestLockIsFreeAtQUIT(t *testing.T) {
	s := newServer(t, newFakeStore(messages...))
	other := newServer(t, s.Maildrops)
	other.Locks = s.Locks
	address, _ := serve(t, s)
	address2, _ := serve(t, other)
	for range 50 {
		start := time.Now()
		c := dial(t, address)
		c.login("alice")
		c.cmd("QUIT", "+OK")
		c = dial(t, address2)
		c.login("alice")
		if d := time.Since(start); d > 2*time.Second {
			t.Fatalf("two logins took %v", d)
		}
		c.cmd("QUIT", "+OK")
	}
}

func TestTimeouts(t *testing.T) {
	inBubble(t, "ends a session that doesn't log in after 2 minutes", func(t *testing.T, _ *fakeStore, b *bubble) {
		c := b.dial()
		c.expect("+OK")
		c.cmd("CAPA", "+OK")
		c.multi()
		if d := took(c.eof); d != 2*time.Minute {
			t.Errorf("it was ended after %v", d)
		}
	})
	inBubble(t, "ends a session that only talks after 10 minutes", func(t *testing.T, _ *fakeStore, b *bubble) {
		c := b.dial()
		c.expect("+OK")
		d := took(func() {
			for range 7 {
				time.Sleep(80 * time.Second)
				c.cmd("USER alice", "+OK")
			}
			c.eof()
		})
		if d != 10*time.Minute {
			t.Errorf("it was ended after %v", d)
		}
	})
	inBubble(t, "ends a session whose command comes in drops", func(t *testing.T, _ *fakeStore, b *bubble) {
		c := b.dial()
		c.expect("+OK")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				if _, err := c.Write([]byte("X")); err != nil {
					return
				}
				time.Sleep(30 * time.Second)
			}
		}()
		if d := took(c.eof); d != 2*time.Minute {
			t.Errorf("it was ended after %v", d)
		}
		<-ended
	})
	inBubble(t, "ends a session that is silent for 10 minutes, deleting nothing", func(t *testing.T, f *fakeStore, b *bubble) {
		c := b.pass()
		c.expect("+OK")
		c.cmd("DELE 1", "+OK")
		if d := took(c.eof); d != 10*time.Minute {
			t.Errorf("it was ended after %v", d)
		}
		if got := f.state(); got != "left 1,2,3,4 collected " {
			t.Errorf("the store has %s", got)
		}
	})
	inBubble(t, "ends a session that reads nothing for 1 minute", func(t *testing.T, f *fakeStore, b *bubble) {
		c := b.pass()
		c.expect("+OK")
		c.send("RETR 1\r\n")
		time.Sleep(61 * time.Second)
		c.eof()
		if got := f.state(); got != "left 1,2,3,4 collected " {
			t.Errorf("the store has %s", got)
		}
	})
}

func TestStop(t *testing.T) {
	inBubble(t, "ends waiting sessions at once", func(t *testing.T, f *fakeStore, b *bubble) {
		lobby, idle := b.dial(), b.pass()
		lobby.expect("+OK")
		idle.expect("+OK")
		idle.cmd("DELE 1", "+OK")
		b.stop()
		if d := took(func() { lobby.eof(); idle.eof() }); d != 0 {
			t.Errorf("it took %v", d)
		}
		if got := f.state(); got != "left 1,2,3,4 collected " {
			t.Errorf("the store has %s", got)
		}
	})
	inBubble(t, "lets a running RETR finish", func(t *testing.T, f *fakeStore, b *bubble) {
		c := b.pass()
		c.expect("+OK")
		c.send("RETR 1\r\n")
		synctest.Wait()
		b.stop()
		time.Sleep(9 * time.Second)
		c.expect("+OK 44")
		if n := len(c.multi()); n != 7 {
			t.Errorf("got %d lines", n)
		}
		c.eof()
	})
	inBubble(t, "gives up a RETR after 10 s", func(t *testing.T, f *fakeStore, b *bubble) {
		c := b.pass()
		c.expect("+OK")
		c.send("RETR 1\r\n")
		synctest.Wait()
		b.stop()
		if d := took(func() { b.done <- <-b.done }); d != 10*time.Second {
			t.Errorf("Serve returned after %v", d)
		}
	})
	inBubble(t, "lets a running QUIT finish", func(t *testing.T, f *fakeStore, b *bubble) {
		f.beforeRemove = func() { time.Sleep(5 * time.Second) }
		c := b.pass()
		c.expect("+OK")
		c.cmd("DELE 1", "+OK")
		c.send("QUIT\r\n")
		synctest.Wait()
		b.stop()
		c.expect("+OK")
		c.eof()
		if got := f.state(); got != "left 2,3,4 collected " {
			t.Errorf("the store has %s", got)
		}
	})
	inBubble(t, "ends a login that waits for the maildrop", func(t *testing.T, _ *fakeStore, b *bubble) {
		b.pass().expect("+OK")
		c := b.pass()
		synctest.Wait()
		b.stop()
		if d := took(func() { c.expect("-ERR [SYS/TEMP]") }); d != 0 {
			t.Errorf("it took %v", d)
		}
		c.eof()
	})
}
