package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sentField is a header field that holds when a message was sent, in
// nanoseconds since 1970.
const sentField = "X-Bench-Sent: "

// A receiver is the mail servers of everybody else, as fast as they can be: it
// counts and throws away.
type receiver struct {
	port      string
	listeners []net.Listener
	sessions  sync.WaitGroup

	mu         sync.Mutex
	open       map[net.Conn]bool
	closed     bool
	recipients map[string]int // how often each was taken
	latencies  []time.Duration
	last       time.Time
	grey       map[string]bool // has been put off
}

// The addresses of the receiver, one for each kind of server.
const (
	quickIP   = "127.0.0.2"
	hangingIP = "127.0.0.3" // takes connections and says nothing
	refusedIP = "127.0.0.4" // nobody listens
	greyIP    = "127.0.0.5" // puts each recipient off once
)

// startReceiver listens on one port of all its addresses.
func startReceiver() (*receiver, error) {
	r := &receiver{open: make(map[net.Conn]bool), recipients: make(map[string]int), grey: make(map[string]bool)}
	serve := map[string]func(net.Conn){
		quickIP:   func(c net.Conn) { r.serve(c, false) },
		greyIP:    func(c net.Conn) { r.serve(c, true) },
		hangingIP: func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
	}
	port := "0"
	for _, ip := range []string{quickIP, hangingIP, greyIP} {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, port))
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("start receiver: %w", err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		r.listeners = append(r.listeners, l)
		r.sessions.Go(func() { r.accept(l, serve[ip]) })
	}
	r.port = port
	return r, nil
}

// Close ends all sessions.
func (r *receiver) Close() {
	for _, l := range r.listeners {
		l.Close()
	}
	r.mu.Lock()
	r.closed = true
	for c := range r.open {
		c.Close()
	}
	r.mu.Unlock()
	r.sessions.Wait()
}

func (r *receiver) accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		if r.closed {
			c.Close()
		} else {
			r.open[c] = true
			r.sessions.Go(func() {
				serve(c)
				c.Close()
				r.mu.Lock()
				delete(r.open, c)
				r.mu.Unlock()
			})
		}
		r.mu.Unlock()
	}
}

// serve speaks SMTP until the client quits.
func (r *receiver) serve(c net.Conn, grey bool) {
	_ = c.SetDeadline(time.Now().Add(time.Hour))
	in, out := bufio.NewReaderSize(c, 64<<10), bufio.NewWriter(c)
	fmt.Fprint(out, "220 receiver ESMTP\r\n")
	var to []string
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		reply := "250 2.0.0 ok"
		switch verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " "); verb {
		case "EHLO":
			reply = "250-receiver\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 100000000"
		case "MAIL", "RSET":
			to = nil
		case "RCPT":
			_, rest, _ := strings.Cut(line, "<")
			recipient, _, _ := strings.Cut(rest, ">")
			if grey && r.putsOff(recipient) {
				reply = "451 4.7.1 greylisted, come back later"
			} else {
				to = append(to, recipient)
			}
		case "DATA":
			if len(to) == 0 {
				reply = "503 5.5.1 no recipients"
				break
			}
			fmt.Fprint(out, "354 go on\r\n")
			if out.Flush() != nil {
				return
			}
			sent, err := skipData(in)
			if err != nil {
				return
			}
			r.took(to, sent)
			to = nil
		case "QUIT":
			fmt.Fprint(out, "221 2.0.0 bye\r\n")
			_ = out.Flush()
			return
		}
		fmt.Fprint(out, reply+"\r\n")
	}
}

func (r *receiver) putsOff(recipient string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.grey[recipient]
	r.grey[recipient] = true
	return first
}

func (r *receiver) took(to []string, sent time.Time) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, recipient := range to {
		r.recipients[recipient]++
	}
	if !sent.IsZero() {
		r.latencies = append(r.latencies, now.Sub(sent))
	}
	r.last = now
}

// state returns how many of some recipients have been taken, how many of them
// more than once, and when the last message of any came.
func (r *receiver) state(of func(recipient string) bool) (taken, doubled int, last time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for recipient, n := range r.recipients {
		if of(recipient) {
			taken++
			if n > 1 {
				doubled++
			}
		}
	}
	return taken, doubled, r.last
}

// has reports whether a recipient has got its message.
func (r *receiver) has(recipient string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.recipients[recipient] > 0
}

// skipData reads a message to its lone dot, and returns when it was sent if it
// says so.
func skipData(in *bufio.Reader) (sent time.Time, err error) {
	for start := true; ; {
		b, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return sent, err
		}
		if start && bytes.Equal(b, []byte(".\r\n")) {
			return sent, nil
		}
		if start && sent.IsZero() {
			if text, ok := bytes.CutPrefix(b, []byte(sentField)); ok {
				n, _ := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
				sent = time.Unix(0, n)
			}
		}
		start = err == nil
	}
}
