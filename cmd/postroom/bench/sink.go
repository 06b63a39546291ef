package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// A sink is the mail server of everybody else, on loopback. The local part of a
// recipient says how it is treated: defer… is put off twice, reject… is refused
// for ever, anything else is taken. Now and then it hangs up in the middle of a
// message.
type sink struct {
	Addr string

	listener net.Listener
	took     func(content []byte, recipients []string) // called before the message is answered 250
	inData   func()                                    // a message is half in
	answered func()                                    // a message was answered 250
	sessions sync.WaitGroup

	mu       sync.Mutex
	open     map[net.Conn]bool
	deferred map[string]int
	messages int
	closed   bool
}

// hangUpEvery is how many messages pass between two on which the sink hangs up.
const hangUpEvery = 23

func startSink(took func([]byte, []string), inData, answered func()) (*sink, error) {
	// Not the address that the server itself listens on: it would know itself.
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		return nil, fmt.Errorf("start sink: %w", err)
	}
	s := &sink{
		Addr: l.Addr().String(), listener: l, took: took, inData: inData, answered: answered,
		open: make(map[net.Conn]bool), deferred: make(map[string]int),
	}
	s.sessions.Add(1)
	go s.accept()
	return s, nil
}

// Close ends all sessions.
func (s *sink) Close() {
	s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for conn := range s.open {
		conn.Close()
	}
	s.mu.Unlock()
	s.sessions.Wait()
}

func (s *sink) accept() {
	defer s.sessions.Done()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		if !s.admit(conn) {
			conn.Close()
			return
		}
		go func() {
			defer s.sessions.Done()
			(&sinkSession{sink: s, r: bufio.NewReaderSize(conn, 64<<10), w: conn}).run()
			s.mu.Lock()
			delete(s.open, conn)
			s.mu.Unlock()
			conn.Close()
		}()
	}
}

func (s *sink) admit(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Minute))
	s.open[conn] = true
	s.sessions.Add(1)
	return true
}

// verdict judges one recipient.
func (s *sink) verdict(recipient string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case strings.HasPrefix(recipient, "reject"):
		return "550 5.1.1 nobody of that name here"
	case strings.HasPrefix(recipient, "defer") && s.deferred[recipient] < 2:
		s.deferred[recipient]++
		return "451 4.2.0 come back later"
	}
	return "250 2.1.5 ok"
}

// hangsUp counts a message and says whether it is one to hang up on.
func (s *sink) hangsUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages++
	return s.messages%hangUpEvery == 0
}

type sinkSession struct {
	sink       *sink
	r          *bufio.Reader
	w          io.Writer
	recipients []string
}

func (s *sinkSession) run() {
	if !s.say("220 mx.remote.test ESMTP sink") {
		return
	}
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		if verb == "QUIT" {
			s.say("221 2.0.0 bye")
			return
		}
		if !s.command(verb, line) {
			return
		}
	}
}

// command answers one command; false ends the session.
func (s *sinkSession) command(verb, line string) bool {
	switch verb {
	case "EHLO":
		return s.say("250-mx.remote.test\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 100000000")
	case "MAIL", "RSET":
		s.recipients = nil
		return s.say("250 2.1.0 ok")
	case "RCPT":
		_, rest, _ := strings.Cut(line, "<")
		recipient, _, _ := strings.Cut(rest, ">")
		reply := s.sink.verdict(recipient)
		if strings.HasPrefix(reply, "250") {
			s.recipients = append(s.recipients, recipient)
		}
		return s.say(reply)
	case "DATA":
		return s.data()
	case "NOOP", "HELO":
		return s.say("250 2.0.0 ok")
	}
	return s.say("500 5.5.1 what?")
}

func (s *sinkSession) data() bool {
	if len(s.recipients) == 0 {
		return s.say("503 5.5.1 no recipients")
	}
	if !s.say("354 go on") {
		return false
	}
	hangUp := s.sink.hangsUp()
	content, err := readData(s.r, func() bool { s.sink.inData(); return !hangUp })
	if err != nil {
		return false
	}
	s.sink.took(content, s.recipients)
	s.recipients = nil
	ok := s.say("250 2.0.0 got it")
	s.sink.answered()
	return ok
}

func (s *sinkSession) say(line string) bool {
	_, err := io.WriteString(s.w, line+"\r\n")
	return err == nil
}

// readData reads a message up to its lone dot. After its first line it asks
// goOn whether to read the rest.
func readData(r *bufio.Reader, goOn func() bool) ([]byte, error) {
	var content []byte
	atStart := true
	for first := true; ; first = false {
		b, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return nil, err
		}
		if atStart && bytes.Equal(b, []byte(".\r\n")) {
			return content, nil
		}
		if atStart && len(b) > 0 && b[0] == '.' {
			b = b[1:]
		}
		content, atStart = append(content, b...), err == nil && (len(b) < 2 || b[len(b)-2] == '\r')
		if first && !goOn() {
			return nil, io.ErrUnexpectedEOF
		}
	}
}
