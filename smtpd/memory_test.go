package smtpd

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"postroom/store"
)

// memory returns how many octets are in use, for the heap and for stacks.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestIdleTLSSessions holds many sessions open. What it measures includes the
// clients' side of each.
func TestIdleTLSSessions(t *testing.T) {
	const sessions, limit = 500, 96 << 10
	h := serve(t, submission, func(s *Server) { s.ImplicitTLS = true })
	before := memory()
	all := make([]*client, sessions)
	var dials sync.WaitGroup
	for i := range all {
		dials.Go(func() {
			conn, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Error(err)
				return
			}
			all[i] = newClient(t, conn)
			if s := all[i].line(); !strings.HasPrefix(s, "220") {
				t.Errorf("got %q", s)
			}
		})
	}
	dials.Wait()
	if each := (memory() - before) / sessions; each > limit {
		t.Errorf("a session and its client take %d octets", each)
	} else {
		t.Logf("a session and its client take %d octets", each)
	}
	for _, c := range all {
		c.conn.Close()
	}
}

// A pacedMail reads bodies as a store would, and looks at the memory meanwhile.
type pacedMail struct {
	fakeMail
	all  *sync.WaitGroup
	peak chan int64
}

func (p *pacedMail) Accept(_ context.Context, a store.Acceptance) error {
	p.all.Done()
	p.all.Wait() // all messages are spooled now
	p.peak <- memory()
	_, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{a.Body}, make([]byte, 64<<10))
	return err
}

func TestTenLargeMessagesAtOnce(t *testing.T) {
	const messages, size = 10, 45_000_000
	var all sync.WaitGroup
	all.Add(messages)
	paced := &pacedMail{all: &all, peak: make(chan int64, messages)}
	h := serve(t, func(s *Server) { s.Mail = paced })
	before := memory()
	line := bytes.Repeat([]byte(strings.Repeat("x", 76)+"\r\n"), 1000)
	var clients sync.WaitGroup
	for range messages {
		clients.Go(func() {
			conn, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(time.Minute))
			_, _ = io.WriteString(conn, "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\na: b\r\n\r\n")
			for sent := 0; sent < size; sent += len(line) {
				if _, err := conn.Write(line); err != nil {
					t.Error(err)
					return
				}
			}
			_, _ = io.WriteString(conn, ".\r\nQUIT\r\n")
			b, _ := io.ReadAll(conn)
			if !bytes.Contains(b, []byte("250 2.0.0 accepted as")) {
				t.Errorf("got %q", b)
			}
		})
	}
	clients.Wait()
	close(paced.peak)
	for peak := range paced.peak {
		if used := peak - before; used > 20<<20 {
			t.Errorf("%d MB in use", used>>20)
		}
	}
}
