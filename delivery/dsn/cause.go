package dsn

import (
	"fmt"
	"strings"
)

// A Cause is what went wrong, in the classes that a sender can act on.
type Cause uint8

// The causes. The zero Cause is that the receiver refused the message, and
// nothing tells why.
const (
	Refused       Cause = iota
	Spam                // … for its content
	Listed              // … because our server is on a blocklist, or has a bad name
	Unproven            // … because SPF, DKIM or DMARC don't prove the sender
	Forbidden           // … because the sender may not write there
	TooMuch             // … because too much has come from us or the sender
	NoAddress           // the address, or its domain, doesn't exist
	Disabled            // the mailbox takes nothing
	Full                // the mailbox is full
	Unreachable         // no server could be reached, or none would answer
	NoTLS               // the connection can't be protected as it must be
	Unfit               // the message can't be sent that way: size, 8-bit, UTF-8
	Loop                // the domain's servers lead back to us
	Returned            // our administrator returned it
	Misconfigured       // our own settings are in the way, such as the password for a relay
)

// isRefusal reports whether the receiver's own words are the whole reason.
func (c Cause) isRefusal() bool { return c <= TooMuch }

// reason says why a message has not arrived, as the end of a sentence, without
// the remote's words. Recipients with one reason can share a sentence.
func (r Report) reason(to Recipient, several bool) string {
	switch to.Cause {
	case NoAddress:
		return r.missing(to, several)
	case Disabled:
		return pick(several, "the mailboxes take no mail at present", "the mailbox takes no mail at present")
	case Full:
		return pick(several, "the mailboxes are full", "the mailbox is full")
	case Unreachable:
		return r.waiting(to, several)
	case NoTLS:
		return "the receiving server offers no connection that is protected as it must be"
	case Unfit:
		return unfit(to.Status)
	case Loop:
		return fmt.Sprintf("the mail servers of %s lead back to this one", r.domain(to))
	case Returned:
		return "the administrator of this mail system returned it"
	case Misconfigured:
		return "this mail system is not set up to send it"
	}
	if to.Words == "" && to.Detail != "" {
		return strings.TrimSuffix(to.Detail, ".")
	}
	return refusal(to.Cause)
}

func refusal(c Cause) string {
	switch c {
	case Spam:
		return "the receiving server refused it as spam or harmful"
	case Listed:
		return "the receiving server refused it, because our mail server is on a blocklist or has a bad name"
	case Unproven:
		return "the receiving server refused it, because it sees no proof of who sent it"
	case Forbidden:
		return "the receiving server refused it, because the sender may not write there"
	case TooMuch:
		return "the receiving server refused it, because it gets too much mail from here"
	}
	return "the receiving server refused it"
}

func (r Report) missing(to Recipient, several bool) string {
	switch to.Status {
	case [3]int{5, 1, 2}:
		return r.domain(to) + " does not exist"
	case [3]int{5, 1, 10}:
		return r.domain(to) + " takes no mail at all"
	case [3]int{5, 4, 4}:
		return r.domain(to) + " has no mail server"
	}
	if r.forwarded(to) {
		return pick(several, "these other addresses do not exist", "that other address does not exist")
	}
	return pick(several, "these addresses do not exist there", "this address does not exist there")
}

// domain names a recipient's domain, unless that is not for the reader to know.
func (r Report) domain(to Recipient) string {
	if r.forwarded(to) {
		return "the domain of that other address"
	}
	return "the domain " + shownDomain(to.Address.Domain)
}

// tried says for how long something has not changed.
func (r Report) tried(to Recipient) string {
	if !to.GivenUp || to.Cause == Unreachable { // that says it itself
		return ""
	}
	return ", and we have tried for " + duration(r.At.Sub(to.Since))
}

// waiting says for how long nothing has helped, and whose server it is.
func (r Report) waiting(to Recipient, several bool) string {
	server, have := pick(several, "their mail servers", "its mail server"), pick(several, "have", "has")
	switch {
	case to.Relay != "":
		server, have = "the mail server through which we send, "+shownDomain(to.Relay)+",", "has"
	case to.Backup:
		server, have = "the mail server of "+r.domain(to)+", whose mail we keep meanwhile,", "has"
	}
	long := duration(r.At.Sub(to.Since))
	if to.Words != "" {
		return fmt.Sprintf("%s %s not taken it for %s", server, have, long)
	}
	return fmt.Sprintf("%s could not be reached for %s", server, long)
}

func unfit(status [3]int) string {
	switch {
	case status[1] == 3 && status[2] == 4 || status[1] == 2 && status[2] == 3:
		return "it is too large for the receiving server"
	case status[1] == 6 && status[2] == 3:
		return "it has 8-bit content, which the receiving server does not take"
	case status[1] == 6 && status[2] == 7:
		return "it needs internationalized mail (SMTPUTF8), which the receiving server does not take"
	case status[1] == 7:
		return "it was to be sent over protected connections only (REQUIRETLS), which the receiving server does not promise"
	}
	return "the receiving server does not take it"
}

func pick(several bool, many, one string) string {
	if several {
		return many
	}
	return one
}
