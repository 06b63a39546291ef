package smtpd

import (
	"fmt"
	"io"
	"slices"
	"time"

	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/mail"
)

// maxReceived is how many Received fields a message may have: one with more is
// going round in circles (RFC 5321 6.3).
const maxReceived = 99

// Data handles a message. It reads it past go-smtp, which would run on into the
// text after an error, and then lets go-smtp see an empty one. It is part of
// smtp.Session.
func (s *session) Data(io.Reader) (err error) {
	defer s.guard(&err)
	sp := newSpool(s.SpoolDir, s.limits.MessageBytes, &s.memory)
	defer sp.close()
	read, err := s.conn.receive(sp)
	if err != nil {
		return errStopped
	}
	s.conn.feed = feedDot
	id := s.Server.Mail.NewMessageID()
	if err := s.take(id, sp, read); err != nil {
		return s.reply(err, mail.Status{})
	}
	s.badRecipients = 0
	return s.reply(nil, mail.Status{Code: 250, Enhanced: [3]int{2, 0, 0}, Text: "accepted as " + id.String()})
}

// receive reads a message into sp, up to its final dot. It fails with errEnded:
// whatever goes wrong in the middle of a message ends the session, because what
// follows can't be told from commands.
func (c *conn) receive(sp *spool) (*dotReader, error) {
	c.receiving.Store(true)
	defer c.receiving.Store(false)
	c.in.grow(c.memory)
	d := &dotReader{sink: sp}
	begun := time.Now()
	for {
		n, done := d.take(c.in.pending())
		if c.in.r += n; done {
			return d, nil
		}
		if sp.size > sp.limit+c.limits.ExcessBytes {
			c.end(statusTooLarge)
			return nil, errEnded
		}
		deadline, late := c.limits.deadline(begun, time.Now(), sp.size)
		if err := c.fill(deadline, late); err != nil {
			return nil, err
		}
	}
}

// deadline returns until when the next octet of a message must arrive, and what
// its client is told otherwise.
func (l *Limits) deadline(begun, now time.Time, received int64) (time.Time, mail.Status) {
	idle := now.Add(l.Idle)
	whole := begun.Add(l.Message)
	rate := begun.Add(l.RateGrace + time.Duration(received)*time.Second/time.Duration(l.MinRate))
	if rate.Before(whole) {
		whole = rate
	}
	if idle.Before(whole) {
		return idle, statusIdle
	}
	return whole, statusSlow
}

// take judges a message that was read to its end and makes it durable.
func (s *session) take(id store.MessageID, sp *spool, read *dotReader) error {
	h, err := s.judgeText(sp, read)
	if err == nil {
		err = s.accept(id, sp, h)
	}
	if err != nil {
		s.refuseMessage(id, h.messageID, err)
	}
	return err
}

// judgeText looks at what every message must be like.
func (s *session) judgeText(sp *spool, read *dotReader) (header, error) {
	switch {
	case sp.tooLarge():
		return header{}, statusTooLarge
	case sp.err != nil:
		return header{}, sp.err
	case read.bare:
		return header{}, statusBareLine
	case read.long:
		return header{}, statusLongBodyLine
	}
	h := parseHeader(sp.head, headerRule{submission: s.submitting(), hostname: s.Hostname})
	switch {
	case (!h.ended || h.unended) && sp.file != nil:
		return h, statusLargeHeader
	case h.received > maxReceived:
		return h, statusLoop
	case s.mail.allOver(sp.size):
		return h, statusMailboxFull
	}
	return h, s.judgeSubmission(h, sp.head)
}

// allOver reports whether the message fits into no recipient's maildrop.
func (t *transaction) allOver(size int64) bool {
	for _, r := range t.recipients {
		if !isOver(r.to, size) {
			return false
		}
	}
	return true
}

// judgeSubmission looks at what a message of our own users must be like.
func (s *session) judgeSubmission(h header, b []byte) error {
	switch {
	case !s.submitting():
		return nil
	case h.junk && len(h.from) > 0:
		return statusBadHeader
	case len(h.from) != 1: // also of what has no header at all
		return statusFromCount
	}
	from, err := addresses(b[h.from[0].from:h.from[0].to])
	if err != nil || len(from) == 0 {
		return statusFromUnreadable
	}
	for _, address := range from {
		if err := s.maySend(address); err != nil {
			return err
		}
	}
	return nil
}

// accept asks the last checks and makes the message durable.
func (s *session) accept(id store.MessageID, sp *spool, h header) error {
	if h.tlsOptional && s.mail.envelope.TLS != mail.TLSRequired { // RFC 8689 4.1
		s.mail.envelope.TLS = mail.TLSOptional
	}
	verdict, err := s.judgeMessage(id, sp, h)
	if err != nil {
		return err
	}
	at := s.now()
	front := s.front(at, id, h, verdict)
	a := store.Acceptance{
		ID:       id,
		At:       at,
		Envelope: s.mail.envelope,
		HeaderID: s.headerID(id, h),
		Account:  s.account.ID,
		Body:     sp.reader(front, h.cut),
		Size:     int64(len(front)) + sp.size - int64(h.cutSize()),
		Accepted: s.event(store.Accepted),
		Events:   s.mail.rejected,
	}
	a.Accepted.Checks = slices.Concat(s.mail.checks, verdict.Checks)
	a.Authentic = verdict.Authentic
	if s.submitting() {
		a.Origin = store.FromAccount
	}
	if s.device.Account != 0 {
		a.Device = s.client
	}
	if err := s.address(&a); err != nil {
		return err
	}
	if err := s.oweAnswers(&a, sp.head, h, verdict); err != nil {
		return err
	}
	if err := s.Server.Mail.Accept(s.ctx, a); err != nil {
		return fmt.Errorf("accept a message: %w", s.overLimit(err))
	}
	s.mail.rejected = nil // they are in the message's trace
	s.log.Debug("message accepted", "message", id.String(), "from", a.Envelope.Sender.String(), "size", a.Size)
	return nil
}

func (s *session) judgeMessage(id store.MessageID, sp *spool, h header) (policy.Verdict, error) {
	if len(s.Rules.Message) == 0 {
		return policy.Verdict{}, nil
	}
	m := &policy.Message{
		ID:         id,
		Envelope:   s.mail.envelope,
		Forwards:   s.mail.forwards(),
		Header:     sp.head[:h.size],
		Shown:      sp.head[:max(h.size, h.shown)],
		From:       h.authors(sp.head),
		FromFields: len(h.from),
		Size:       sp.size,
		Open:       func() io.Reader { return sp.reader(nil, nil) },
	}
	for _, r := range s.mail.recipients {
		m.Recipients = append(m.Recipients, r.Address)
	}
	return ask(s, s.Rules.Message, m)
}
