package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"postroom/store/admin"
	"postroom/store/mail"
)

// A trialMail is one test mail and the connection that it goes over. It speaks as a
// plain mail program does, so that what happens is what happens to people's mail.
type trialMail struct {
	*trials
	address   mail.Address
	password  string
	messageID string // of the header

	conn     net.Conn
	lines    *bufio.Reader
	implicit bool // TLS begins with the first byte
	number   int  // of the message in the maildrop
}

// stages are the whole way.
func (m *trialMail) stages() []trialStage {
	return []trialStage{
		{admin.TrialReachSubmission, m.reachSubmission},
		{admin.TrialSecureSending, m.secureSending},
		{admin.TrialLoginToSend, m.loginToSend},
		{admin.TrialSend, m.handOver},
		{admin.TrialReachPOP3, m.reachPOP3},
		{admin.TrialSecurePOP3, m.securePOP3},
		{admin.TrialLoginToCollect, m.loginToCollect},
		{admin.TrialCollect, m.collect},
		{admin.TrialDelete, m.deleteIt},
	}
}

// hangUp ends the connection, if there is one.
func (m *trialMail) hangUp() {
	if m.conn != nil {
		m.conn.Close()
		m.conn = nil
	}
}

// use goes on with a connection.
func (m *trialMail) use(conn net.Conn) { m.conn, m.lines = conn, bufio.NewReaderSize(conn, 8<<10) }

// note writes down what was said.
func (m *trialMail) note(server bool, text string) {
	m.changeStage(func(s *admin.TrialStage) { s.Said = append(s.Said, admin.TrialLine{Server: server, Text: text}) })
}

// say sends a line and notes what is shown of it.
func (m *trialMail) say(ctx context.Context, line, shown string) error {
	m.note(false, shown)
	return m.write(ctx, line+"\r\n")
}

func (m *trialMail) write(ctx context.Context, text string) error {
	done, err := m.hurry(ctx)
	if err != nil {
		return err
	}
	defer done()
	_, err = m.conn.Write([]byte(text))
	return err
}

// hurry lets the next read or write end in time, and at once when ctx ends. What it
// returns is called behind that.
func (m *trialMail) hurry(ctx context.Context) (done func() bool, err error) {
	conn := m.conn
	if err := conn.SetDeadline(time.Now().Add(trialPatience)); err != nil {
		return nil, err
	}
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }), nil
}

// hear reads a line. Of one that is longer than any that we ask for, the beginning is
// all that matters.
func (m *trialMail) hear(ctx context.Context) (string, error) {
	done, err := m.hurry(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	part, err := m.lines.ReadSlice('\n')
	line := string(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = m.lines.ReadSlice('\n')
	}
	if err != nil {
		return "", fmt.Errorf("the connection broke off: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// A refusedError is an answer that isn't the one that was hoped for.
type refusedError string

// Error returns the server's words.
func (e refusedError) Error() string { return string(e) }

// What can be wrong with the mail itself.
const (
	errNotThere = trialError("It was accepted, and is not in the maildrop: it went elsewhere.")
	errNotSame  = trialError("What came is not what was sent.")
)

// reply reads an SMTP reply, which must have a code.
func (m *trialMail) reply(ctx context.Context, want string) (string, error) {
	for {
		line, err := m.hear(ctx)
		if err != nil {
			return "", err
		}
		m.note(true, line)
		switch {
		case len(line) > 3 && line[3] == '-':
		case strings.HasPrefix(line, want):
			return line, nil
		default:
			return "", refusedError(line)
		}
	}
}

// ask sends an SMTP command and reads its reply.
func (m *trialMail) ask(ctx context.Context, command, want string) error {
	if err := m.say(ctx, command, command); err != nil {
		return err
	}
	_, err := m.reply(ctx, want)
	return err
}

func (m *trialMail) reachSubmission(ctx context.Context) error {
	conn, implicit, err := m.reach(ctx, "submissions", "submission")
	if err != nil {
		return err
	}
	m.use(conn)
	if m.implicit = implicit; implicit {
		return nil // the greeting comes after TLS
	}
	_, err = m.reply(ctx, "220")
	return err
}

func (m *trialMail) secureSending(ctx context.Context) error {
	if !m.implicit {
		if err := m.ask(ctx, "EHLO "+m.helo(), "250"); err != nil {
			return err
		}
		if err := m.ask(ctx, "STARTTLS", "220"); err != nil {
			return err
		}
	}
	if err := m.encrypt(ctx); err != nil {
		return err
	}
	if m.implicit {
		if _, err := m.reply(ctx, "220"); err != nil {
			return err
		}
	}
	return m.ask(ctx, "EHLO "+m.helo(), "250")
}

func (m *trialMail) encrypt(ctx context.Context) error {
	conn, err := m.secure(ctx, m.conn)
	if err != nil {
		return err
	}
	m.use(conn)
	return nil
}

// helo is what the client calls itself: it is this machine.
func (m *trialMail) helo() string { return "[127.0.0.1]" }

func (m *trialMail) loginToSend(ctx context.Context) error {
	proof := base64.StdEncoding.EncodeToString([]byte("\x00" + m.address.String() + "\x00" + m.password))
	if err := m.say(ctx, "AUTH PLAIN "+proof, "AUTH PLAIN …"); err != nil {
		return err
	}
	_, err := m.reply(ctx, "235")
	return err
}

// handOver sends the message, and notes the ID that it was accepted as.
func (m *trialMail) handOver(ctx context.Context) error {
	from, utf8 := m.address.String(), ""
	if strings.ContainsFunc(from, func(r rune) bool { return r > '~' }) {
		utf8 = " SMTPUTF8"
	}
	for _, step := range [][2]string{{"MAIL FROM:<" + from + ">" + utf8, "250"}, {"RCPT TO:<" + from + ">", "250"}, {"DATA", "354"}} {
		if err := m.ask(ctx, step[0], step[1]); err != nil {
			return err
		}
	}
	m.messageID = "<" + strings.ToLower(rand.Text()) + "@" + m.hostname() + ">"
	m.note(false, "… the message …")
	if err := m.write(ctx, m.text()+".\r\n"); err != nil {
		return err
	}
	accepted, err := m.reply(ctx, "250")
	if err != nil {
		return err
	}
	if i := strings.LastIndexByte(accepted, ' '); i >= 0 {
		m.change(func(trial *admin.Trial) { trial.Message = accepted[i+1:] })
	}
	err = m.ask(ctx, "QUIT", "221")
	m.hangUp()
	return err
}

// text is the message. It says that no person wrote it (RFC 3834), so that nobody's
// absence is told to it.
func (m *trialMail) text() string {
	return strings.Join([]string{
		"From: <" + m.address.String() + ">",
		"To: <" + m.address.String() + ">",
		"Subject: Test mail of postroom",
		"Date: " + m.now().Format("Mon, 02 Jan 2006 15:04:05 -0700"),
		"Message-ID: " + m.messageID,
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=us-ascii",
		"",
		"This mail went through the server once to see that everything works. It is deleted",
		"as soon as it has arrived; if you read it, something was in the way, and you may",
		"delete it yourself.",
		"",
	}, "\r\n")
}

// answer reads a line of POP3, which must be a good one.
func (m *trialMail) answer(ctx context.Context) (string, error) {
	line, err := m.hear(ctx)
	if err != nil {
		return "", err
	}
	m.note(true, line)
	if !strings.HasPrefix(line, "+OK") {
		return "", refusedError(line)
	}
	return line, nil
}

// order sends a command of POP3 and reads its first line.
func (m *trialMail) order(ctx context.Context, command string) (string, error) {
	if err := m.say(ctx, command, command); err != nil {
		return "", err
	}
	return m.answer(ctx)
}

func (m *trialMail) reachPOP3(ctx context.Context) error {
	conn, implicit, err := m.reach(ctx, "pop3s", "pop3")
	if err != nil {
		return err
	}
	m.use(conn)
	if m.implicit = implicit; implicit {
		return nil
	}
	_, err = m.answer(ctx)
	return err
}

func (m *trialMail) securePOP3(ctx context.Context) error {
	if !m.implicit {
		if _, err := m.order(ctx, "STLS"); err != nil {
			return err
		}
	}
	if err := m.encrypt(ctx); err != nil || !m.implicit {
		return err
	}
	_, err := m.answer(ctx)
	return err
}

func (m *trialMail) loginToCollect(ctx context.Context) error {
	if _, err := m.order(ctx, "USER "+m.address.String()); err != nil {
		return err
	}
	if err := m.say(ctx, "PASS "+m.password, "PASS …"); err != nil {
		return err
	}
	_, err := m.answer(ctx)
	return err
}

// trialSearch is how many messages at a maildrop's end are looked at: what came in
// meanwhile stands behind the test mail.
const trialSearch = 50

// collect finds the message in the maildrop and fetches it.
func (m *trialMail) collect(ctx context.Context) error {
	stat, err := m.order(ctx, "STAT")
	if err != nil {
		return err
	}
	fields := strings.Fields(stat)
	if len(fields) < 2 {
		return refusedError(stat)
	}
	count, err := strconv.Atoi(fields[1])
	if err != nil {
		return refusedError(stat)
	}
	for n := count; n > max(0, count-trialSearch); n-- {
		found, err := m.isIt(ctx, n)
		if err != nil {
			return err
		}
		if found {
			m.number = n
			return m.fetch(ctx)
		}
	}
	return errNotThere
}

// isIt reports whether a message of the maildrop is the test mail.
func (m *trialMail) isIt(ctx context.Context, n int) (bool, error) {
	if err := m.write(ctx, fmt.Sprintf("TOP %d 0\r\n", n)); err != nil {
		return false, err
	}
	line, err := m.hear(ctx)
	if err != nil {
		return false, err
	}
	if !strings.HasPrefix(line, "+OK") {
		return false, nil // it can't be read, so it is another
	}
	_, found, err := m.read(ctx)
	return found, err
}

// fetch collects the message.
func (m *trialMail) fetch(ctx context.Context) error {
	if _, err := m.order(ctx, fmt.Sprintf("RETR %d", m.number)); err != nil {
		return err
	}
	size, found, err := m.read(ctx)
	if err != nil {
		return err
	}
	m.note(true, fmt.Sprintf("… the message, %d octets …", size))
	if !found {
		return errNotSame
	}
	return nil
}

// read reads a multi-line answer to its end, and looks for the Message-ID in it.
func (m *trialMail) read(ctx context.Context) (size int, found bool, err error) {
	for {
		line, err := m.hear(ctx)
		if err != nil {
			return size, found, err
		}
		if line == "." {
			return size, found, nil
		}
		size += len(line) + len("\r\n")
		found = found || line == "Message-ID: "+m.messageID
	}
}

// deleteIt deletes the message, which takes effect at QUIT.
func (m *trialMail) deleteIt(ctx context.Context) error {
	if _, err := m.order(ctx, fmt.Sprintf("DELE %d", m.number)); err != nil {
		return err
	}
	_, err := m.order(ctx, "QUIT")
	m.hangUp()
	return err
}
