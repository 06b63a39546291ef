package smtptest

import (
	"bufio"
	"crypto/tls"
	"net"
	"strings"
	"time"
)

// A session is one connection.
type session struct {
	server *Server
	number int
	raw    net.Conn
	conn   net.Conn
	r      *bufio.Reader
	w      *bufio.Writer
	tls    bool
	user   bool // logged in
	hello  string
	now    Message
}

func (v *session) use(conn net.Conn) {
	v.conn = conn
	v.r, v.w = bufio.NewReaderSize(conn, 16<<10), bufio.NewWriterSize(conn, 16<<10)
}

func (v *session) run() {
	if v.server.Implicit && !v.handshake() {
		return
	}
	if !v.step(Connected, "220 "+v.server.name()+" ESMTP ready") {
		return
	}
	for {
		line, err := v.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		if !v.server.Discard {
			v.server.mu.Lock()
			v.server.lines = append(v.server.lines, line)
			v.server.mu.Unlock()
		}
		if !v.command(line) {
			return
		}
	}
}

func (s *Server) name() string {
	if s.Name == "" {
		return "mx.remote.test"
	}
	return s.Name
}

func (v *session) scripted(line string) *Step {
	if v.server.Script == nil {
		return nil
	}
	return v.server.Script(v.number, line)
}

// step does what the script wants, or says the right thing, and reports whether
// the session goes on.
func (v *session) step(line, right string) bool {
	s := v.scripted(line)
	if s == nil {
		s = Say(right)
	}
	return v.do(s)
}

func (v *session) do(s *Step) bool {
	if s.Say != "" {
		v.say(s)
	}
	if v.r.Buffered() == 0 || s.Hangup {
		if v.w.Flush() != nil {
			return false
		}
	}
	return !s.Hangup
}

func (v *session) say(s *Step) {
	end := "\r\n"
	if s.Cut {
		end = ""
	}
	if s.Pace == 0 {
		v.w.WriteString(s.Say + end)
		return
	}
	for i := range len(s.Say) {
		v.w.WriteByte(s.Say[i])
		if v.w.Flush() != nil {
			return
		}
		time.Sleep(s.Pace)
	}
	v.w.WriteString(end)
}

func (v *session) command(line string) bool {
	verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
	switch verb {
	case "EHLO":
		v.hello = line
		return v.step(line, v.ehlo())
	case "AUTH":
		return v.auth(line)
	case "MAIL":
		return v.mail(line)
	case "RCPT":
		return v.rcpt(line)
	case "DATA":
		return v.data(line)
	case "STARTTLS":
		return v.startTLS(line)
	case "QUIT":
		v.step(line, "221 2.0.0 bye")
		return false
	case "HELO", "RSET", "NOOP":
		return v.step(line, "250 2.0.0 ok")
	}
	return v.step(line, "500 5.5.2 unknown command")
}

func (v *session) ehlo() string {
	list := v.server.Extensions
	if list == nil {
		list = []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000", "DSN", "ENHANCEDSTATUSCODES"}
	}
	if v.server.Users != nil {
		mechanisms := v.server.Mechanisms
		if mechanisms == nil {
			mechanisms = []string{"PLAIN", "LOGIN"}
		}
		list = append([]string{"AUTH " + strings.Join(mechanisms, " ")}, list...)
	}
	if v.server.TLS != nil && !v.tls {
		list = append([]string{"STARTTLS"}, list...)
	}
	list = append([]string{v.server.name()}, list...)
	last := len(list) - 1
	for i, word := range list {
		list[i] = "250-" + word
	}
	list[last] = "250 " + list[last][4:]
	return strings.Join(list, "\r\n")
}

func (v *session) mail(line string) bool {
	v.now = Message{Session: v.number, TLS: v.tls, Hello: v.hello, Mail: line}
	if at, ok := v.raw.RemoteAddr().(*net.TCPAddr); ok {
		v.now.From = at.AddrPort().Addr().Unmap()
	}
	if v.server.Users != nil && !v.user {
		return v.step(line, "530 5.7.0 log in first")
	}
	return v.step(line, "250 2.1.0 sender ok")
}

func (v *session) rcpt(line string) bool {
	s := v.scripted(line)
	if s == nil {
		s = Say("250 2.1.5 recipient ok")
	}
	if strings.HasPrefix(s.Say, "25") {
		v.now.Rcpt = append(v.now.Rcpt, line)
	}
	return v.do(s)
}

func (v *session) data(line string) bool {
	s := v.scripted(line)
	if s == nil {
		s = Say("354 go on")
		if len(v.now.Rcpt) == 0 {
			s = Say("503 5.5.1 no recipients")
		}
	}
	if !v.do(s) || !strings.HasPrefix(s.Say, "354") {
		return !s.Hangup
	}
	if v.w.Flush() != nil {
		return false
	}
	data, err := readData(v.r)
	if err != nil {
		return false
	}
	v.now.Data = data
	s = v.scripted(EndOfData)
	if s == nil {
		s = Say("250 2.0.0 taken")
	}
	if strings.HasPrefix(s.Say, "250") {
		v.server.took(v.now)
	}
	v.now = Message{}
	return v.do(s)
}

func (v *session) startTLS(line string) bool {
	s := v.scripted(line)
	if s == nil && v.server.TLS == nil {
		s = Say("502 5.5.1 no TLS here")
	}
	if s != nil {
		return v.do(s)
	}
	if !v.do(Say("220 2.0.0 go ahead")) {
		return false
	}
	return v.handshake()
}

func (v *session) handshake() bool {
	conn := tls.Server(v.raw, v.server.TLS)
	if conn.Handshake() != nil {
		return false
	}
	v.use(conn)
	v.tls = true
	return true
}
