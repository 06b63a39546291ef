package smtpd

import (
	"errors"
	"fmt"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// withinLimits looks, at RCPT, whether there is room for one more recipient in what
// our user may send to other servers. It is a service to the user, who hears of it
// early: what counts is what the store says in the end.
func (s *session) withinLimits(to store.Resolution) error {
	if !s.submitting() {
		return nil
	}
	n := len(s.mail.outside)
	for _, d := range to.Destinations {
		if d.Account == 0 && !s.mail.outside[d.Remote] {
			n++
		}
	}
	if n == len(s.mail.outside) {
		return nil
	}
	return s.overLimit(s.Server.Mail.WithinLimits(s.ctx, s.account.ID, n))
}

// noteOutside remembers the remote addresses that a recipient leads to.
func (t *transaction) noteOutside(to store.Resolution) {
	for _, d := range to.Destinations {
		if d.Account != 0 {
			continue
		}
		if t.outside == nil {
			t.outside = make(map[mail.Address]bool)
		}
		t.outside[d.Remote] = true
	}
}

// overLimit returns what the client is told of a limit, or any other error as it
// is.
func (s *session) overLimit(err error) error {
	over, ok := errors.AsType[*store.LimitError](err)
	if !ok {
		return err
	}
	whose := "You have"
	switch {
	case over.Owner.Scope == store.ServerScope:
		whose = "This server has"
	case over.Owner.Scope == store.DomainScope, s.device.Account != 0:
		whose = over.Name + " has"
	}
	return mail.Status{Code: 450, Enhanced: [3]int{4, 7, 1}, Text: limitText(over, whose, s.now())}
}

// limitText names a limit, and says when there is room again.
func limitText(over *store.LimitError, whose string, now time.Time) string {
	limit := fmt.Sprintf("%d %s an hour", over.Most, over.Counts)
	if over.Per != time.Hour {
		limit = fmt.Sprintf("%d %s a day", over.Most, over.Counts)
	}
	room := clock(over.Frees, now)
	switch {
	case over.Frees.IsZero():
		return fmt.Sprintf("%s a limit of %s, and this message has more than that; send it to fewer at a time", whose, limit)
	case over.Used < over.Most:
		return fmt.Sprintf("%s a limit of %s, of which %d are left; there is room for this message at %s",
			whose, limit, over.Most-over.Used, room)
	}
	return fmt.Sprintf("%s reached the limit of %s; there is room again at %s", whose, limit, room)
}

// clock writes a time of day, with the day if that isn't today.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return t.Format("15:04 UTC")
	}
	return t.Format("15:04 UTC on 2 January")
}
