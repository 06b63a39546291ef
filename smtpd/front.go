package smtpd

import (
	"strings"
	"time"

	"postroom/smtpd/policy"
	"postroom/store"
)

// headerID is what the message's field Message-ID is, or will be.
func (s *session) headerID(id store.MessageID, h header) string {
	if !h.hasID && s.submitting() {
		return s.newHeaderID(id)
	}
	return h.messageID
}

func (s *session) newHeaderID(id store.MessageID) string { return id.String() + "@" + s.Hostname }

// front returns the header lines that go in front of a message.
func (s *session) front(at time.Time, id store.MessageID, h header, verdict policy.Verdict) []byte {
	b := make([]byte, 0, 512)
	b = s.appendResults(b, verdict.Results)
	for _, field := range verdict.Fields {
		b = append(b, field...)
	}
	b = s.appendReceived(b, at, id)
	if s.submitting() && !h.date {
		b = append(at.AppendFormat(append(b, "Date: "...), rfc5322), "\r\n"...)
	}
	if s.submitting() && !h.hasID {
		b = append(append(append(b, "Message-ID: <"...), s.newHeaderID(id)...), ">\r\n"...)
	}
	return b
}

const rfc5322 = "Mon, 2 Jan 2006 15:04:05 -0700"

// appendReceived appends the trace field of RFC 5321 4.4. It has no FOR clause,
// so that the message is the same for all of its recipients.
func (s *session) appendReceived(b []byte, at time.Time, id store.MessageID) []byte {
	b = append(append(b, "Received: from "...), receivedName(s.helo)...)
	b = append(append(b, " (["...), s.literal()...)
	b = append(append(b, "])\r\n\tby "...), s.Hostname...)
	b = append(append(b, " (postroom) with "...), s.protocol(s.mail.envelope.UTF8)...)
	b = append(append(b, "\r\n\tid "...), id.String()...)
	if s.conn.tls != nil {
		b = append(append(append(b, " ("...), tlsVersion(s.conn.tls)...), ')')
	}
	return append(at.AppendFormat(append(b, ";\r\n\t"...), rfc5322), "\r\n"...)
}

// literal returns the client's address as an address-literal without brackets.
func (s *session) literal() string {
	if s.client.Is6() {
		return "IPv6:" + s.client.String()
	}
	return s.client.String()
}

// receivedName returns what the client calls itself, if that can stand in a
// header field as it is.
func receivedName(helo string) string {
	for i := range len(helo) {
		switch c := helo[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._:[]", c) >= 0:
		default:
			return "unknown"
		}
	}
	return helo
}

// appendResults appends what the checks found out (RFC 8601).
func (s *session) appendResults(b []byte, results []string) []byte {
	if len(results) == 0 {
		return b
	}
	b = append(append(b, "Authentication-Results: "...), s.Hostname...)
	for _, r := range results {
		b = appendFolded(append(b, ";\r\n\t"...), r)
	}
	return append(b, "\r\n"...)
}

// appendFolded appends text in lines of 78 characters (RFC 5322 2.1.1), as far as
// it has blanks outside of quotes to fold it at. A tab is in front of it.
func appendFolded(b []byte, text string) []byte {
	const width = 78
	column, quoted, blank := 8, false, -1
	start := 0
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ' ' && !quoted:
			blank = i
		}
		if column += 1; column > width && blank >= 0 {
			b = append(append(b, text[start:blank]...), "\r\n\t "...)
			start, column, blank = blank+1, 9+i-blank, -1
		}
	}
	return append(b, text[start:]...)
}
