package smtpd

import (
	"errors"
	"slices"

	"postroom/store"
	"postroom/store/mail"
)

// protocol returns the word for how this session speaks (RFC 3848, RFC 6531 4.3).
func (s *session) protocol(utf8 bool) string {
	word := "ESMTP"
	switch {
	case utf8:
		word = "UTF8SMTP"
	case !s.esmtp && s.conn.tls == nil && !s.loggedIn():
		return "SMTP"
	}
	if s.conn.tls != nil {
		word += "S"
	}
	if s.loggedIn() {
		word += "A"
	}
	return word
}

// event returns an event with what is known of the client.
func (s *session) event(kind store.Kind) store.Event {
	e := store.Event{
		Time:     s.now(),
		Kind:     kind,
		Client:   s.client.String(),
		Helo:     s.helo,
		Protocol: s.protocol(s.mail != nil && s.mail.envelope.UTF8),
		TLS:      tlsVersion(s.conn.tls),
	}
	if s.submitting() {
		e.Account = s.account.Address.String()
	}
	e.Device = s.deviceNetwork()
	return e
}

// rejection is the event of an answer that was a refusal.
func (s *session) rejection(recipient string, answer mail.Status, reason string) store.Event {
	e := s.event(store.Rejected)
	e.Recipient, e.Reply, e.Reason = recipient, answer.Error(), reason
	return e
}

// reasonOf says more for the admin than the client was told.
func reasonOf(err error) string {
	var o objection
	if errors.As(err, &o) {
		return o.Error()
	}
	var status mail.Status
	if errors.As(err, &status) {
		return ""
	}
	return err.Error()
}

// checksOf returns what was found out by the checks of which one has objected.
func checksOf(err error) []store.CheckResult {
	if o, ok := errors.AsType[objection](err); ok {
		return o.Checks
	}
	return nil
}

// isQuiet reports objections that the trace has one of already.
func isQuiet(err error) bool {
	o, ok := errors.AsType[objection](err)
	return ok && o.Quiet
}

// isSyntax reports answers to what isn't mail at all, which nobody looks for.
func isSyntax(answer mail.Status) bool {
	return answer.Code/10 == 50 || answer == statusUnknownParam
}

// noteRefusal notes that a sender, or with recipients a message, wasn't taken.
func (s *session) noteRefusal(sender string, err error) {
	answer := statusFor(err)
	if isSyntax(answer) || isQuiet(err) {
		return
	}
	e := s.rejection("", answer, reasonOf(err))
	e.Checks = checksOf(err)
	s.refuse(sender, []store.Event{e})
}

// rejectRecipient notes a recipient that wasn't taken. It goes into the trace of
// the message, or of the refusal if no message follows.
func (s *session) rejectRecipient(address mail.Address, err error) {
	s.mail.tried = true
	answer := statusFor(err)
	if isSyntax(answer) || len(s.mail.rejected) >= maxRefusals {
		return
	}
	e := s.rejection(address.String(), answer, reasonOf(err))
	e.Checks = checksOf(err)
	s.mail.rejected = append(s.mail.rejected, e)
}

// refuse hands a refusal to the trace. One session can fill only so much of it.
func (s *session) refuse(sender string, events []store.Event) {
	if s.refusals++; s.refusals > maxRefusals {
		return
	}
	r := store.Refusal{ID: s.Server.Mail.NewMessageID(), From: sender, Events: events}
	for _, e := range events {
		if e.Recipient != "" && !slices.Contains(r.To, e.Recipient) {
			r.To = append(r.To, e.Recipient)
		}
	}
	s.Server.Mail.Refused(r)
}

// refuseMessage notes that a message wasn't taken for any of its recipients.
func (s *session) refuseMessage(id store.MessageID, headerID string, err error) {
	if s.refusals++; s.refusals > maxRefusals {
		return
	}
	r := store.Refusal{ID: id, HeaderID: headerID, From: s.mail.envelope.Sender.String()}
	for _, to := range s.mail.recipients {
		r.To = append(r.To, to.Address.String())
	}
	rejection := s.rejection("", statusFor(err), reasonOf(err))
	rejection.Checks = slices.Concat(s.mail.checks, checksOf(err))
	r.Events = append(s.mail.rejected, rejection)
	s.mail.rejected = nil
	s.Server.Mail.Refused(r)
}
