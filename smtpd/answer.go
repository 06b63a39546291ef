package smtpd

import (
	"fmt"
	"slices"
	"strings"

	"postroom/smtpd/policy"
	"postroom/store"
	"postroom/store/mail"
)

// maxAddressed is how many of the addresses in a header are looked at for one
// that is the account's. Who is named later gets no answer.
const maxAddressed = 100

// An absentee is an account that is away, and the address by which a message has
// come to it.
type absentee struct {
	account   store.AccountID
	recipient mail.Address
}

// oweAnswers asks for the vacation notices of those who are away, and says in the
// trace why there are none (RFC 3834).
func (s *session) oweAnswers(a *store.Acceptance, text []byte, h header, verdict policy.Verdict) error {
	away := s.absentees(a)
	if len(away) == 0 { // nearly always
		return nil
	}
	c := readCorrespondence(text, h)
	reason := unanswerableSender(a.Envelope.Sender)
	if reason == "" {
		reason = c.automatic
	}
	if reason == "" {
		reason = distrust(verdict)
	}
	for _, who := range away {
		why := reason
		if why == "" {
			var err error
			if why, err = s.unpersonal(a.Envelope.Sender, c, who); err != nil {
				return err
			}
		}
		result := store.CheckResult{Check: "vacation", Result: "none", Detail: fmt.Sprintf("%s: %s", who.recipient, why)}
		if why == "" {
			result.Result, result.Detail = "owed", who.recipient.String()
			a.Answers = append(a.Answers, store.OwedAnswer{
				Account: who.account, Recipient: who.recipient, Subject: c.subject, History: c.history,
			})
		}
		a.Accepted.Checks = append(a.Accepted.Checks, result)
	}
	return nil
}

// absentees returns the accounts that are away of those that the message comes to
// or that send it on.
func (s *session) absentees(a *store.Acceptance) (away []absentee) {
	add := func(id store.AccountID, recipient mail.Address) {
		known := slices.ContainsFunc(away, func(w absentee) bool { return w.account == id })
		if !known && s.Server.Mail.IsAway(id, a.At) {
			away = append(away, absentee{id, recipient})
		}
	}
	for _, r := range s.mail.recipients {
		for _, d := range r.to.Destinations {
			if d.Account != 0 {
				add(d.Account, r.Address)
			}
		}
		for _, id := range r.to.Forwarders {
			add(id, r.Address)
		}
	}
	return away
}

// distrust says why a sender may not be who it says, by what the checks found
// out: an answer would go to somebody who never wrote. It is empty if nothing
// speaks against the sender.
func distrust(verdict policy.Verdict) string {
	for _, f := range verdict.Fields {
		if strings.HasPrefix(f, "X-Spam: yes") {
			return "it is marked as spam"
		}
	}
	for _, c := range verdict.Checks {
		failed := c.Result == "fail" && (c.Check == "dmarc" || c.Check == "own_domains" || c.Check == "spf" && !strings.HasPrefix(c.Detail, "of EHLO: "))
		if failed {
			return "its sender may be forged (" + c.Check + " fails)"
		}
	}
	return ""
}

// unpersonal says why a message isn't answered in the name of one account. It is
// empty if it is.
func (s *session) unpersonal(sender mail.Address, c correspondence, who absentee) (string, error) {
	own, err := s.Server.Mail.MaySend(s.ctx, who.account, sender)
	switch {
	case err != nil:
		return "", fmt.Errorf("judge who wrote: %w", err)
	case own:
		return "the account itself has sent it", nil
	}
	for _, address := range c.addressed[:min(len(c.addressed), maxAddressed)] {
		named, err := s.Server.Mail.MaySend(s.ctx, who.account, address)
		if err != nil {
			return "", fmt.Errorf("judge who was written to: %w", err)
		}
		if named {
			return "", nil
		}
	}
	return "no address of the account is among To, Cc and Bcc", nil
}
