package smtpd

import (
	"bytes"
	"time"
)

// How replies are slowed of a client that makes mistakes: not the first ones, then
// each by a step more than the one before. All of a session's bad commands
// together take 3.4 s, and all of its unknown recipients 6.5 s, when it is ended;
// slowing it more would only fill the server with sessions.
const (
	freeCommands   = 3
	commandStep    = 9 * time.Millisecond
	freeRecipients = 5
	recipientStep  = 1400 * time.Microsecond

	// A network of which so many unknown recipients were asked for lately begins
	// its sessions with this much.
	manyUnknown  = 50
	unknownDelay = 40 * time.Millisecond
)

// commandDelay is how long the reply to the nth bad command waits.
func commandDelay(n int) time.Duration { return time.Duration(max(0, n-freeCommands)) * commandStep }

// recipientDelay is how long the reply to the nth refused recipient waits, of a
// network that asked for unknown ones lately.
func recipientDelay(n, lately int) time.Duration {
	d := time.Duration(max(0, n-freeRecipients)) * recipientStep
	if lately >= manyUnknown {
		return max(d, unknownDelay)
	}
	return d
}

var unknownUser = []byte("550 5.1.1 ")

// slowRecipient has the reply to a refused recipient wait, and remembers whose
// network guesses.
func (s *session) slowRecipient(reply []byte) {
	lately := 0
	if s.Unknown != nil {
		lately = s.Unknown.Count(s.client, s.now())
		if bytes.HasPrefix(reply, unknownUser) {
			s.Unknown.Add(s.client, s.now())
		}
	}
	s.owed += recipientDelay(s.badRecipients, lately)
}

// slow makes a slowed client wait for its replies, which are sent only when it is
// heard again.
func (s *session) slow() {
	if s.owed == 0 {
		return
	}
	t := time.NewTimer(s.owed)
	defer t.Stop()
	s.owed = 0
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}
