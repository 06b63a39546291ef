package mail

import (
	"errors"
	"fmt"
)

// A Status is an SMTP answer: a reply code, an RFC 3463 enhanced code and one
// line of text that is safe to show to a stranger. A Status is an error, so any
// layer can choose the answer by returning one, wrapped or not.
type Status struct {
	Code     int
	Enhanced [3]int
	Text     string
}

// Error returns the status as a reply line without its line ending.
func (s Status) Error() string {
	return fmt.Sprintf("%d %d.%d.%d %s", s.Code, s.Enhanced[0], s.Enhanced[1], s.Enhanced[2], s.Text)
}

// Temporary reports whether trying again later may succeed.
func (s Status) Temporary() bool { return s.Code/100 == 4 }

// Permanent reports whether trying again is pointless.
func (s Status) Permanent() bool { return s.Code/100 == 5 }

// StatusOf returns the Status inside err. An error without one is our own
// fault, and so temporary: a bug of ours must never bounce a message.
func StatusOf(err error) Status {
	if s, ok := errors.AsType[Status](err); ok {
		return s
	}
	return Status{451, [3]int{4, 3, 0}, "Local error, please try again later"}
}
