package dsn

import (
	"fmt"
	"strings"
)

// advice says what the reader can do.
func (r Report) advice(to Recipient) string {
	switch {
	case r.Action == Delayed:
		return "You need not do anything: we keep trying " + r.until(to) + ", and tell you if we give up."
	case r.Action.IsSuccess():
		return r.meaning()
	case r.toOwner():
		return r.adviceToOwner(to)
	case r.forwarded(to) && isForForwarder(to.Cause):
		return fmt.Sprintf("Please tell the recipient in another way, or write to postmaster@%s: the forwarding has to be corrected there.", shownDomain(to.Via.Domain))
	}
	return r.adviceOn(to)
}

// isForForwarder reports whether only who forwards a message can mend what was
// in its way.
func isForForwarder(c Cause) bool {
	return c == NoAddress || c == Disabled || c == Loop || c == Unproven
}

func (r Report) adviceOn(to Recipient) string {
	switch to.Cause {
	case Spam:
		return "Please look for what could give that impression, such as links and attachments, and send it again without them, or reach the recipient in another way. Only the people who run that server can change its mind."
	case Listed:
		return fmt.Sprintf("This is not about you or your message. Please tell the administrator of %s, who can have that put right; until then, reach the recipient in another way.", r.Hostname)
	case Unproven:
		return fmt.Sprintf("Please show this report to the administrator of the mail for %s: what proves that mail comes from there (SPF, DKIM, DMARC) has to be put right.", shownDomain(r.To.Domain))
	case Forbidden:
		return "Please reach the recipient in another way, and ask to be let through: only the people on that side can allow it."
	case TooMuch:
		return "Please send it again later, and not to very many people at once."
	case NoAddress:
		return "Please check the address for a mistake, and send the message again."
	case Disabled:
		return "Please reach the recipient in another way: the mailbox may have been given up."
	case Full:
		return "Please tell the recipient in another way, who alone can make room, or try again later."
	case Unreachable:
		return "We have given up. If the address is right, please try again later, or reach the recipient in another way."
	case NoTLS:
		return fmt.Sprintf("Please show this report to the administrator of %s, or reach the recipient in another way.", r.Hostname)
	case Unfit:
		return adviceOnForm(to.Status)
	case Loop:
		return "Please reach the recipient in another way: that domain is set up wrongly."
	case Returned:
		return "Please ask your administrator why."
	case Misconfigured:
		return fmt.Sprintf("This is not about you or your message. Please show this report to the administrator of %s, who has to put that right; until then, reach the recipient in another way.", r.Hostname)
	}
	return "Please read what the server says; only the people who run it can change its mind."
}

func adviceOnForm(status [3]int) string {
	switch {
	case status[1] == 3 || status[1] == 2:
		return "Please make it smaller, by leaving out attachments or sending them one by one, or reach the recipient in another way."
	case status[1] == 6 && status[2] == 7:
		return "Please use another address of the recipient, and one of your own, that has only the letters a to z before the @, or reach the recipient in another way."
	case status[1] == 7:
		return "Please send it again without that demand, if you may, or reach the recipient in another way."
	}
	return "Please send it in another form, such as plain text without attachments, or reach the recipient in another way."
}

// adviceToOwner is for who answers for an alias, and says why its reader is not
// the sender.
func (r Report) adviceToOwner(to Recipient) string {
	advice := "You get this because mail to that address is forwarded by this server. "
	if to.Cause != Unproven && isForForwarder(to.Cause) {
		advice += fmt.Sprintf("Please correct the alias %s if it leads to a wrong address. ", shown(to.Via))
	}
	return advice + fmt.Sprintf("%s has not been told: nothing proves that the message comes from there, and a report may then reach somebody who never wrote it.", shown(r.Sender))
}

// meaning says what a success is worth.
func (r Report) meaning() string {
	switch r.Action {
	case Relayed:
		return "You asked to be told when it arrives. That server took it, but does not report what it does with it: you will hear of it again only if something goes wrong."
	case Expanded:
		return "You asked to be told when it arrives. You will not hear from each of those who get it."
	}
	return "You asked to be told when it arrives. It is in the mailbox now, which does not mean that anybody has read it."
}

func (r Report) until(to Recipient) string {
	if !to.RetryUntil.After(r.At) {
		return "for now"
	}
	return "until" + strings.TrimPrefix(r.at(to.RetryUntil), " at")
}
