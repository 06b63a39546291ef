package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// An SMTPError is a reply that says no.
type SMTPError struct {
	Code int
	Text string // the whole reply, lines joined by blanks
}

// Error returns the reply.
func (e *SMTPError) Error() string { return e.Text }

// An SMTPClient is a plain SMTP client: it sends exactly the bytes it is given.
// An *SMTPError leaves the connection usable, any other error doesn't.
type SMTPClient struct {
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
}

// DialSMTP connects, reads the greeting and says EHLO.
func DialSMTP(ctx context.Context, addr string) (*SMTPClient, error) {
	conn, err := (&net.Dialer{Timeout: ioTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := NewSMTPClient(conn)
	if _, err := c.reply(); err != nil {
		c.Close()
		return nil, fmt.Errorf("greeting: %w", err)
	}
	if _, err := c.Command("EHLO client.elsewhere.test"); err != nil {
		c.Close()
		return nil, fmt.Errorf("EHLO: %w", err)
	}
	return c, nil
}

// NewSMTPClient speaks over a connection whose greeting has not been read.
func NewSMTPClient(conn net.Conn) *SMTPClient {
	return &SMTPClient{conn, bufio.NewReader(conn), bufio.NewWriterSize(conn, 64<<10)}
}

// Close closes the connection without a QUIT.
func (c *SMTPClient) Close() { c.conn.Close() }

// Login authenticates with AUTH PLAIN.
func (c *SMTPClient) Login(user, password string) error {
	_, err := c.Command("AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)))
	return err
}

// Command sends one line and returns its reply, lines joined by blanks.
func (c *SMTPClient) Command(line string) (string, error) {
	_, _ = c.w.WriteString(line)
	_, _ = c.w.WriteString("\r\n")
	return c.flushed()
}

// Begin sends MAIL and RCPT, and says which recipients were taken. It fails
// with an *SMTPError if the sender or all of the recipients were refused; the
// transaction is over then.
func (c *SMTPClient) Begin(from string, to ...string) (taken []bool, err error) {
	if _, err := c.Command("MAIL FROM:<" + from + ">"); err != nil {
		return nil, err
	}
	taken = make([]bool, len(to))
	var refused error
	for i, rcpt := range to {
		_, err := c.Command("RCPT TO:<" + rcpt + ">")
		switch err.(type) {
		case nil:
			taken[i] = true
		case *SMTPError:
			refused = err
		default:
			return nil, err
		}
	}
	for _, t := range taken {
		if t {
			return taken, nil
		}
	}
	if _, err := c.Command("RSET"); err != nil {
		return nil, err
	}
	return nil, refused
}

// Data sends a message as DotStuff returns it and gives the last reply.
// latency runs from the end of the message to that reply.
func (c *SMTPClient) Data(stuffed []byte) (reply string, latency time.Duration, err error) {
	if _, err := c.Command("DATA"); err != nil {
		return "", 0, err
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(ioTimeout))
	if _, err := c.w.Write(stuffed); err != nil {
		return "", 0, fmt.Errorf("send message: %w", err)
	}
	if err := c.w.Flush(); err != nil {
		return "", 0, fmt.Errorf("send message: %w", err)
	}
	sent := time.Now()
	reply, err = c.reply()
	return reply, time.Since(sent), err
}

// Quit ends the session politely.
func (c *SMTPClient) Quit() {
	_, _ = c.Command("QUIT")
	c.Close()
}

func (c *SMTPClient) flushed() (string, error) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(ioTimeout))
	if err := c.w.Flush(); err != nil {
		return "", fmt.Errorf("send: %w", err)
	}
	return c.reply()
}

func (c *SMTPClient) reply() (string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(ioTimeout))
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return "", fmt.Errorf("read reply: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	text := strings.Join(lines, " ")
	code, err := strconv.Atoi(text[:min(3, len(text))])
	if err != nil {
		return "", fmt.Errorf("strange reply %q", text)
	}
	if code >= 400 {
		return text, &SMTPError{code, text}
	}
	return text, nil
}

// DotStuff returns message as it goes over the wire in DATA, with the line that
// ends it. message's lines end with CRLF.
func DotStuff(message []byte) []byte {
	b := make([]byte, 0, len(message)+len(message)/50+5)
	for len(message) > 0 {
		if message[0] == '.' {
			b = append(b, '.')
		}
		end := bytes.IndexByte(message, '\n') + 1
		if end == 0 {
			end = len(message)
		}
		b, message = append(b, message[:end]...), message[end:]
	}
	return append(b, ".\r\n"...)
}
