// Package smtptest is a mail server for tests: it takes mail as it should, and
// does each wrong thing on demand. It stands in for other people's servers.
package smtptest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// The steps of a session that are no command lines.
const (
	Connected = "CONNECT" // the client waits for the greeting
	EndOfData = "."       // the message is complete
)

// A Step is what the server does after a line from the client.
type Step struct {
	// Say is sent with CRLF at the end; empty: nothing is said.
	Say string
	// Cut leaves out the CRLF.
	Cut bool
	// Pace waits after each octet of Say.
	Pace time.Duration
	// Hangup closes the connection afterwards.
	Hangup bool
}

// Say makes a Step of a reply.
func Say(text string) *Step { return &Step{Say: text} }

// A Server takes mail. The fields are set before it starts.
type Server struct {
	Name string // in the greeting; empty: "mx.remote.test"
	// Extensions are what EHLO offers; nil: PIPELINING, 8BITMIME, SMTPUTF8, SIZE,
	// DSN, ENHANCEDSTATUSCODES.
	Extensions []string
	TLS        *tls.Config // not nil: STARTTLS is offered
	Implicit   bool        // TLS from the first byte instead
	// Users and their passwords, if there are any: then MAIL is only for them.
	Users map[string]string
	// Mechanisms are those of AUTH that are offered; nil: PLAIN LOGIN.
	Mechanisms []string
	// Script, if it isn't nil, is asked about each line first (and about
	// Connected and EndOfData). session counts from 1. What it returns is done
	// instead of the right thing; nil means the right thing.
	Script func(session int, line string) *Step
	// Discard drops the messages, which are only counted.
	Discard bool

	mu       sync.Mutex
	sessions int
	open     map[net.Conn]bool
	messages []Message
	count    int
	lines    []string
	arrived  chan struct{}
	done     sync.WaitGroup
}

// A Message is one that the server has taken.
type Message struct {
	Session int
	TLS     bool
	From    netip.Addr // the client's address
	Hello   string     // the EHLO line
	Mail    string     // the MAIL line
	Rcpt    []string   // the RCPT lines
	Data    string     // dots removed
}

// Start serves on a port of ip (such as "127.0.0.5") that the kernel chooses,
// until the test ends.
func (s *Server) Start(t testing.TB, ip string) netip.AddrPort {
	t.Helper()
	return s.StartAt(t, ip+":0")
}

// StartAt serves on an address until the test ends.
func (s *Server) StartAt(t testing.TB, address string) netip.AddrPort {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.done.Add(1)
			go func() {
				defer s.done.Done()
				s.ServeConn(conn)
			}()
		}
	})
	t.Cleanup(func() {
		l.Close()
		accepting.Wait()
		s.closeAll()
		s.done.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func (s *Server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		conn.Close()
	}
}

// Sessions returns how many connections there have been.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// Count returns how many messages have been taken.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Messages returns what has been taken.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.messages...)
}

// Lines returns the command lines of all sessions in the order they came.
func (s *Server) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.lines...)
}

// Wait waits until n messages have been taken, or ctx ends.
func (s *Server) Wait(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		if s.arrived == nil {
			s.arrived = make(chan struct{})
		}
		enough, arrived := s.count >= n, s.arrived
		s.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) took(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if !s.Discard {
		s.messages = append(s.messages, m)
	}
	if s.arrived != nil {
		close(s.arrived)
		s.arrived = nil
	}
}

// ServeConn serves one connection, such as an end of a net.Pipe.
func (s *Server) ServeConn(conn net.Conn) {
	s.mu.Lock()
	s.sessions++
	v := &session{server: s, number: s.sessions, raw: conn}
	if s.open == nil {
		s.open = make(map[net.Conn]bool)
	}
	s.open[conn] = true
	s.mu.Unlock()
	v.use(conn)
	v.run()
	conn.Close()
	s.mu.Lock()
	delete(s.open, conn)
	s.mu.Unlock()
}

// readData reads a message up to its final dot.
func readData(r *bufio.Reader) (string, error) {
	var b bytes.Buffer
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return b.String(), err
		}
		start := b.Len() == 0 || strings.HasSuffix(string(b.Bytes()[max(0, b.Len()-2):]), "\r\n")
		if start && string(line) == ".\r\n" {
			return b.String(), nil
		}
		if start && line[0] == '.' {
			line = line[1:]
		}
		b.Write(line)
	}
}
