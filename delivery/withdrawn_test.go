package delivery

import (
	"context"
	"errors"
	"testing"

	"postroom/delivery/smtpclient/smtptest"
	"postroom/store"
)

// A forgetful is a queue that can't tell what was withdrawn.
type forgetful struct{ Queue }

func (forgetful) Withdrawn(context.Context, []store.QueueID) ([]store.QueueID, error) {
	return nil, errors.New("disk I/O error")
}

func TestNothingIsSentThatMayBeWithdrawn(t *testing.T) {
	s, remote := newSite(t), &smtptest.Server{}
	s.mx("there.test", remote.Start(t, "127.0.0.5"))
	s.Queue = forgetful{s.store}
	s.run()
	e := s.await(s.put(letter, "bob@there.test"), store.Postponed, 1)
	if n := remote.Count(); n != 0 || e.Reply != "internal error, see the log" {
		t.Errorf("%d messages were sent, and the trace says %q", n, e.Reply)
	}
}
