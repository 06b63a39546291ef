package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// A POP3Error is a -ERR.
type POP3Error struct{ Text string }

// Error returns the reply.
func (e *POP3Error) Error() string { return e.Text }

// A POP3Client is a plain POP3 client that gives back exactly the bytes it got.
// A *POP3Error leaves the connection usable, any other error doesn't.
type POP3Client struct {
	conn net.Conn
	r    *bufio.Reader
}

// OpenMaildrop connects and logs in. While another session holds the maildrop,
// or the server is too busy to check the password, it tries again until ctx ends.
func OpenMaildrop(ctx context.Context, addr, user, password string) (*POP3Client, error) {
	for {
		c, err := openOnce(ctx, addr, user, password)
		refused, ok := err.(*POP3Error)
		if !ok {
			return c, err
		}
		again := strings.Contains(refused.Text, "[IN-USE]") || strings.Contains(refused.Text, "[SYS/TEMP]")
		if !again || !pause(ctx, 20*time.Millisecond) {
			return nil, fmt.Errorf("log in as %s: %w", user, err)
		}
	}
}

func openOnce(ctx context.Context, addr, user, password string) (*POP3Client, error) {
	conn, err := (&net.Dialer{Timeout: ioTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &POP3Client{conn, bufio.NewReaderSize(conn, 64<<10)}
	for _, step := range []func() error{
		func() error { _, err := c.reply(); return err },
		func() error { _, err := c.Command("USER " + user); return err },
		func() error { _, err := c.Command("PASS " + password); return err },
	} {
		if err := step(); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Close closes the connection without a QUIT: nothing is deleted.
func (c *POP3Client) Close() { c.conn.Close() }

// Command sends one line and returns the line that answers it.
func (c *POP3Client) Command(line string) (string, error) {
	if err := c.send(line); err != nil {
		return "", err
	}
	return c.reply()
}

func (c *POP3Client) send(line string) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(ioTimeout))
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// Count returns the number of messages in the maildrop.
func (c *POP3Client) Count() (n int, err error) {
	line, err := c.Command("STAT")
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(line, "+OK %d", &n); err != nil {
		return 0, fmt.Errorf("strange reply %q", line)
	}
	return n, nil
}

// UIDs returns the unique-ids of all messages, the first message's first.
func (c *POP3Client) UIDs() ([]string, error) {
	if _, err := c.Command("UIDL"); err != nil {
		return nil, err
	}
	var text strings.Builder
	if err := c.multiline(&text); err != nil {
		return nil, err
	}
	var uids []string
	for line := range strings.Lines(text.String()) {
		f := strings.Fields(line)
		if len(f) != 2 || f[0] != fmt.Sprint(len(uids)+1) {
			return nil, fmt.Errorf("strange UIDL line %q", line)
		}
		uids = append(uids, f[1])
	}
	return uids, nil
}

// Retrieve returns the bytes of message n, from 1 on.
func (c *POP3Client) Retrieve(n int) ([]byte, error) {
	var content bytes.Buffer
	err := c.RetrieveTo(&content, n)
	return content.Bytes(), err
}

// RetrieveTo writes the bytes of message n, from 1 on, to w as they come in.
func (c *POP3Client) RetrieveTo(w io.Writer, n int) error {
	if _, err := c.Command(fmt.Sprintf("RETR %d", n)); err != nil {
		return err
	}
	return c.multiline(w)
}

// Delete marks message n, from 1 on.
func (c *POP3Client) Delete(n int) error {
	_, err := c.Command(fmt.Sprintf("DELE %d", n))
	return err
}

// Quit ends the session; without an error the marked messages are gone.
func (c *POP3Client) Quit() error {
	_, err := c.Command("QUIT")
	c.Close()
	return err
}

func (c *POP3Client) reply() (string, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(ioTimeout))
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("read reply: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if !strings.HasPrefix(line, "+OK") {
		return line, &POP3Error{line}
	}
	return line, nil
}

// multiline copies up to the lone dot and takes the stuffed dots away.
func (c *POP3Client) multiline(w io.Writer) error {
	atStart := true
	for {
		_ = c.conn.SetReadDeadline(time.Now().Add(ioTimeout))
		b, err := c.r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return fmt.Errorf("read message: %w", err)
		}
		if atStart && string(b) == ".\r\n" {
			return nil
		}
		if atStart && len(b) > 0 && b[0] == '.' {
			b = b[1:]
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		atStart = err == nil
	}
}
