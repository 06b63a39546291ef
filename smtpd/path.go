package smtpd

import (
	"strings"

	"postroom/store/mail"
)

// cutPath takes the path of a MAIL or RCPT off the front of s and returns its
// mailbox as it was written, without brackets and source route, and the
// parameters that follow. Old devices leave the brackets out; we let them.
func cutPath(s string) (mailbox, params string, ok bool) {
	s = strings.TrimLeft(s, " ")
	if !strings.HasPrefix(s, "<") {
		mailbox, params, _ = strings.Cut(s, " ")
		return mailbox, params, mailbox != ""
	}
	end := closingBracket(s)
	if end < 0 {
		return "", "", false
	}
	mailbox, params = s[1:end], s[end+1:]
	if params != "" && params[0] != ' ' {
		return "", "", false
	}
	mailbox, ok = cutRoute(mailbox)
	return mailbox, params, ok
}

// closingBracket returns where the path ends: at the first > outside quotes.
func closingBracket(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return i
		}
	}
	return -1
}

// cutRoute drops a source route, "@a.example,@b.example:" (RFC 5321 appendix C).
func cutRoute(s string) (mailbox string, ok bool) {
	if !strings.HasPrefix(s, "@") {
		return s, true
	}
	route, mailbox, ok := strings.Cut(s, ":")
	if !ok {
		return "", false
	}
	for hop := range strings.SplitSeq(route, ",") {
		name, at := strings.CutPrefix(hop, "@")
		if _, err := mail.ParseDomain(name); !at || err != nil {
			return "", false
		}
	}
	return mailbox, true
}

// parseSender parses the mailbox of a reverse-path; the empty one is null.
func parseSender(s string) (mail.Address, error) {
	if s == "" {
		return mail.Address{}, nil
	}
	return mail.ParseAddress(s)
}

// parseRecipient parses the mailbox of a forward-path. "postmaster" alone is
// one (RFC 5321 4.1.1.3).
func parseRecipient(s string) (mail.Address, error) {
	if strings.EqualFold(s, "postmaster") {
		return mail.Address{Local: "postmaster"}, nil
	}
	return mail.ParseAddress(s)
}
