package smtpd

import (
	"errors"
	"fmt"
	"slices"

	smtp "github.com/emersion/go-smtp"

	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/mail"
)

var (
	statusSenderOK    = mail.Status{Code: 250, Enhanced: [3]int{2, 1, 0}, Text: "Sender ok"}
	statusRecipientOK = mail.Status{Code: 250, Enhanced: [3]int{2, 1, 5}, Text: "Recipient ok"}
)

// Mail handles MAIL in the client's own words, not in go-smtp's. It is part of
// smtp.Session.
func (s *session) Mail(string, *smtp.MailOptions) (err error) {
	defer s.guard(&err)
	p, err := s.judgeSender(s.argument[len("FROM:"):])
	if s.mailRefused = err != nil; err != nil {
		s.noteRefusal(p.envelope.Sender.String(), err)
		return s.reply(err, mail.Status{})
	}
	s.mail = &transaction{envelope: p.envelope, declared: p.size}
	return s.reply(nil, statusSenderOK)
}

// Rcpt handles RCPT. It is part of smtp.Session.
func (s *session) Rcpt(string, *smtp.RcptOptions) (err error) {
	defer s.guard(&err)
	r, err := s.judgeRecipient(s.argument[len("TO:"):])
	if err != nil {
		s.rejectRecipient(r.Address, err)
		return s.reply(err, mail.Status{})
	}
	s.mail.recipients = append(s.mail.recipients, r)
	if s.submitting() {
		s.mail.noteOutside(r.to)
	}
	return s.reply(nil, statusRecipientOK)
}

func (s *session) judgeSender(argument string) (mailParams, error) {
	mailbox, params, ok := cutPath(argument)
	if !ok {
		return mailParams{}, statusMailSyntax
	}
	sender, err := parseSender(mailbox)
	if err != nil {
		return mailParams{}, statusBadSender
	}
	p, err := parseMailParams(params, s.limits.MessageBytes)
	p.envelope.Sender = sender
	switch {
	case err != nil:
		return p, err
	case !p.envelope.UTF8 && !isASCII(mailbox):
		return p, statusNeedsUTF8
	case p.envelope.TLS == mail.TLSRequired && s.conn.tls == nil:
		return p, statusNeedsTLS
	case s.Server.Mail.Full():
		return p, statusDiskFull
	case s.isBarred():
		return p, statusBarredDevice
	}
	if err := s.maySend(sender); err != nil && !sender.IsNull() {
		return p, err
	}
	return p, judge(s, s.Rules.Sender, sender)
}

// maySend returns nil if the client may send in the name of address: anybody
// may who is none of our users, since such mail is for ourselves alone.
func (s *session) maySend(address mail.Address) error {
	if !s.submitting() {
		return nil
	}
	ok, err := s.Server.Mail.MaySend(s.ctx, s.account.ID, address)
	switch {
	case err != nil:
		return fmt.Errorf("judge a sender: %w", err)
	case !ok:
		return s.mayNotSend(address.String())
	}
	return nil
}

func (s *session) judgeRecipient(argument string) (r recipient, err error) {
	mailbox, params, ok := cutPath(argument)
	if !ok {
		return r, statusRcptSyntax
	}
	if r.Address, err = parseRecipient(mailbox); err != nil {
		return r, statusBadRecipient
	}
	switch err := parseRcptParams(params, &r.Recipient); {
	case err != nil:
		return r, err
	case !s.mail.envelope.UTF8 && !isASCII(argument):
		return r, statusNeedsUTF8
	case len(s.mail.recipients) >= s.limits.Recipients:
		return r, statusTooManyRecipients
	}
	if r.to, err = s.resolve(r.Address); err != nil {
		return r, err
	}
	if isOver(r.to, s.mail.declared) {
		return r, statusMailboxFull
	}
	if err := s.withinLimits(r.to); err != nil {
		return r, err
	}
	verdict, err := ask(s, s.Rules.Recipient, policy.Recipient{
		Sender: s.mail.envelope.Sender, Address: r.Address, Ours: r.to.Ours,
	})
	if err == nil {
		s.mail.note(verdict.Checks)
	}
	return r, err
}

// note remembers what checks have found out about a recipient that is taken, for
// the trace; about all of them that is nearly always the same.
func (t *transaction) note(checks []store.CheckResult) {
	for _, c := range checks {
		if !slices.Contains(t.checks, c) {
			t.checks = append(t.checks, c)
		}
	}
}

// resolve finds where mail for address goes, and decides whether this client
// may send there: the one place where relaying is permitted.
func (s *session) resolve(address mail.Address) (store.Resolution, error) {
	to, err := s.lookUp(address)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return to, statusNoSuchUser
	case errors.Is(err, store.ErrRefused):
		return to, statusTakesNone
	case err != nil:
		return to, fmt.Errorf("resolve a recipient: %w", err)
	case !to.Ours && !s.submitting():
		return to, statusRelay
	}
	return to, nil
}

// isOver reports whether size octets, 0 if unknown, are too many for the account
// that was addressed.
func isOver(to store.Resolution, size int64) bool {
	return to.Direct != 0 && to.Room != store.Unlimited && (to.Room <= 0 || size > to.Room)
}

// judge asks a chain, and returns its objection as an error.
func judge[T any](s *session, chain policy.Chain[T], step T) error {
	if len(chain) == 0 {
		return nil
	}
	_, err := ask(s, chain, step)
	return err
}

// ask is judge for those who want to know what the checks found out.
func ask[T any](s *session, chain policy.Chain[T], step T) (policy.Verdict, error) {
	verdict, err := chain.Judge(s.ctx, s.who(), step)
	switch {
	case err != nil:
		return verdict, fmt.Errorf("check %s: %w", verdict.Check, err)
	case !verdict.Pass():
		return verdict, objection{verdict}
	}
	return verdict, nil
}

// An objection is a check's verdict on its way to the client.
type objection struct{ policy.Verdict }

func (o objection) Error() string { return o.Check + ": " + o.Reason }
func (o objection) Unwrap() error { return o.Answer }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
