package pop3d

import (
	"context"
	"encoding/hex"
	"strconv"

	"postroom/store"
)

// stat is STAT.
func (s *session) stat(context.Context, []string) error {
	s.ok(strconv.Itoa(s.drop.left), " ", strconv.FormatInt(s.drop.octets, 10))
	return nil
}

// list is LIST: the sizes, in octets, that RETR will send.
func (s *session) list(_ context.Context, args []string) error {
	return s.enumerate(args, func(b []byte, e *store.Entry) []byte {
		return strconv.AppendInt(b, e.Size, 10)
	})
}

// uidl is UIDL.
func (s *session) uidl(_ context.Context, args []string) error {
	return s.enumerate(args, func(b []byte, e *store.Entry) []byte {
		return hex.AppendEncode(b, e.UID[:])
	})
}

// enumerate answers with the number and the property of the message that args
// names, or of all messages that aren't marked as deleted.
func (s *session) enumerate(args []string, property func([]byte, *store.Entry) []byte) error {
	if len(args) > 0 {
		i, ok := s.find(args[0])
		if ok {
			s.w.WriteString("+OK ")
			s.item(i, property)
		}
		return nil
	}
	s.ok(strconv.Itoa(s.drop.left), " messages")
	for i := range s.drop.entries {
		if s.drop.gone(i) {
			continue
		}
		if err := s.item(i, property); err != nil {
			return err
		}
	}
	s.w.WriteString(".\r\n")
	return nil
}

// item writes one line of a listing. It is called 100,000 times for a full
// maildrop.
func (s *session) item(i int, property func([]byte, *store.Entry) []byte) error {
	const longest = 64
	if s.w.Available() < longest {
		if err := s.w.Flush(); err != nil {
			return err
		}
	}
	b := strconv.AppendInt(s.w.AvailableBuffer(), int64(i)+1, 10)
	b = append(b, ' ')
	b = property(b, &s.drop.entries[i])
	_, err := s.w.Write(append(b, "\r\n"...))
	return err
}

// find returns the index of the message that a command names, or answers that
// there is none.
func (s *session) find(number string) (i int, ok bool) {
	if i, ok = s.drop.find(number); !ok {
		s.fail("no such message")
	}
	return i, ok
}
