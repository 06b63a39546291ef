package web

import (
	"strings"
	"time"

	"postroom/store"
	"postroom/web/phrase"
)

// factsOf lists the details of an event, who first and how after.
func factsOf(e store.Event, now time.Time) []fact {
	var facts []fact
	add := func(name, value string, code bool) {
		if value != "" {
			facts = append(facts, fact{Name: name, Value: value, Code: code})
		}
	}
	if whose(e) == e.Account && e.Recipient != e.Account {
		add("Sent to", e.Recipient, false)
	}
	if whose(e) != e.Account {
		if e.Device == "" {
			add("Signed in as", e.Account, false)
		} else {
			add("Sent as", e.Account, false)
		}
	}
	add("Device", e.Device, true)
	add("Client", e.Client, true)
	add("Called itself", e.Helo, true)
	add("Protocol", strings.ToUpper(e.Protocol), false)
	if e.Via != "" {
		add("Sent on", e.Via+" → "+e.Recipient, false)
	}
	add("Host", e.Host, true)
	add("At address", e.IP, true)
	add("From our address", e.Source, true)
	add("Encryption", encryption(e), false)
	add("Certificate", certificate(e), false)
	add("DKIM signature", e.Signed, false)
	if e.Size > 0 {
		add("Size", phrase.Octets(e.Size), false)
	}
	add(reasonName(e), e.Reason, false)
	if e.Next != nil {
		add("Next attempt", planned(*e.Next, now), false)
	}
	return facts
}

// encryption says how a connection was protected, nothing for an event that had
// none.
func encryption(e store.Event) string {
	switch {
	case e.TLS == "none" && e.Outcome == "sent", e.Kind == store.Accepted && e.TLS == "" && plain(e.Protocol):
		return "none: anybody on the way could read it"
	case e.Kind == store.Rejected && e.TLS == "" && plain(e.Protocol):
		return "none"
	}
	return e.TLS
}

// certificate says how the other server's certificate was judged, and what that
// meant.
func certificate(e store.Event) string {
	judged, rule := e.Certificate, ""
	if i := strings.LastIndex(judged, " ("); i > 0 && strings.HasSuffix(judged, ")") {
		judged, rule = judged[:i], judged[i+2:len(judged)-1]
	}
	trouble, bad := strings.CutPrefix(judged, "not trusted: ")
	match, byDNS := strings.CutPrefix(judged, "matches ")
	switch {
	case bad && rule == "" && e.Outcome == "sent":
		return "doesn’t prove who it was: " + trouble + ". Nothing demands a better one, so it was good enough for encryption"
	case bad:
		judged = "doesn’t prove who it was: " + trouble
	case byDNS:
		judged = "the one that its domain names in signed DNS (" + match + ")"
	case judged == "trusted":
		judged = "valid for this host"
	}
	if rule == "" {
		return judged
	}
	return judged + "; decided by " + rule
}

// reasonName says what the reason of an event is a reason for.
func reasonName(e store.Event) string {
	switch e.Kind {
	case store.Attempt:
		return "Note"
	case store.Bounced, store.Delayed, store.Reported:
		return phrase.WhoHears
	}
	return "Because"
}

// planned says when something is to happen, or was.
func planned(at, now time.Time) string {
	m := newMoment(at, now)
	text := m.Clock()
	if !sameDay(m.At, now) {
		text = m.Exact()
	}
	if at.After(now) {
		text += " (" + m.Short + ")"
	}
	return text
}

// plain reports whether a protocol word says that there was no TLS
// (RFC 3848 for those of SMTP).
func plain(protocol string) bool {
	switch strings.ToUpper(protocol) {
	case "SMTP", "ESMTP", "ESMTPA", "UTF8SMTP", "UTF8SMTPA":
		return true
	}
	return false
}
