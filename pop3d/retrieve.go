package pop3d

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"postroom/smtpd/wire"
	"postroom/store"
)

// bodyBuffer is how much of a message is in memory at once, besides the store's
// own chunk.
const bodyBuffer = 16 << 10

// retr is RETR.
func (s *session) retr(ctx context.Context, args []string) error {
	i, ok := s.find(args[0])
	if !ok {
		return nil
	}
	e := s.drop.entries[i]
	body, err := s.fetch(ctx, e)
	if body == nil {
		return err
	}
	defer body.Close()
	s.ok(strconv.FormatInt(body.Size, 10), " octets")
	if err := s.send(body, body.Size); err != nil {
		return fmt.Errorf("retrieve message %v: %w", e.Message, err)
	}
	s.drop.retrieved++
	s.unsent = append(s.unsent, store.Collection{
		Message:  e.Message,
		Account:  s.drop.account,
		At:       s.server.now(),
		Client:   s.client.String(),
		Protocol: s.server.Name,
	})
	return nil
}

// top is TOP: the header, the blank line behind it, and the first lines of the
// body.
func (s *session) top(ctx context.Context, args []string) error {
	lines, ok := parseNumber(args[1])
	if !ok {
		return s.reject("the number of lines must be 0 or more")
	}
	i, ok := s.find(args[0])
	if !ok {
		return nil
	}
	e := s.drop.entries[i]
	body, err := s.fetch(ctx, e)
	if body == nil {
		return err
	}
	defer body.Close()
	s.ok("the top of it")
	if err := s.send(&topReader{r: body, lines: lines}, -1); err != nil {
		return fmt.Errorf("retrieve top of message %v: %w", e.Message, err)
	}
	return nil
}

// fetch opens the message of an entry. If that fails it answers, and returns nil.
func (s *session) fetch(ctx context.Context, e store.Entry) (*store.Body, error) {
	body, err := s.server.Maildrops.OpenEntry(ctx, s.drop.account, e.Message)
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.fail("this message has been removed meanwhile")
		return nil, nil
	case err != nil:
		s.trouble("cannot open a message", err)
		return nil, nil
	}
	return body, nil
}

// send sends a message as a multi-line reply. size, if it isn't negative, is how
// many octets it must have. When send fails the session must end, without the
// final dot: the client would take what it has for the whole message.
func (s *session) send(message io.Reader, size int64) error {
	if s.buf == nil {
		s.buf = make([]byte, bodyBuffer)
	}
	w := wire.NewDotWriter(s.w)
	sent := int64(0)
	for {
		n, err := message.Read(s.buf)
		sent += int64(n)
		if _, err := w.Write(s.buf[:n]); err != nil {
			return err
		}
		switch {
		case errors.Is(err, io.EOF) && size >= 0 && sent != size:
			return fmt.Errorf("it has %d octets instead of %d", sent, size)
		case errors.Is(err, io.EOF):
			return w.Close()
		case err != nil:
			return err
		}
	}
}
