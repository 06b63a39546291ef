package smtpd

import (
	"bytes"
	"io"
	"mime"
	netmail "net/mail"
	"strings"

	"postroom/store/mail"
)

// A header is what we need to know of a message's header.
type header struct {
	size      int    // octets, without the empty line
	ended     bool   // by an empty line, or by the end of the message
	junk      bool   // by a line that is no field
	shown     int    // octets that some programs take for the header: they pass over such a line
	unended   bool   // what they do so has no end
	received  int    // fields of that name
	from      []span // values of the fields From, as far as something is shown
	messageID string // without its brackets
	date      bool
	hasID     bool
	cut       []span // fields that are taken away

	tlsOptional bool // "TLS-Required: No" (RFC 8689 3)
}

// A headerRule says which fields are taken away whole.
type headerRule struct {
	submission bool   // Bcc and Resent-Bcc; else Return-Path and results in our name
	hostname   string // our name
}

// parseHeader reads the header at the front of b, in which every line ends with
// CRLF; b is the whole message, or a part of it from its start.
func parseHeader(b []byte, rule headerRule) (h header) {
	for h.size < len(b) {
		line, whole := cutLine(b[h.size:])
		if string(line) == "\r\n" {
			h.ended = true
			return h
		}
		name, at, ok := fieldName(line)
		if !ok {
			h.junk = whole
			h.ended = whole
			h.readOn(b)
			return h
		}
		end := fieldEnd(b, h.size+len(line))
		h.field(b, name, span{h.size, end}, h.size+at, rule)
		h.size = end
	}
	return h
}

// readOn reads what follows a line that is no field, up to an empty line: whom a
// reader may take for the author. It is text all the same, and nothing is taken
// away from it.
func (h *header) readOn(b []byte) {
	h.unended = true
	for h.shown = h.size; h.shown < len(b); {
		line, _ := cutLine(b[h.shown:])
		if h.unended = string(line) != "\r\n"; !h.unended {
			return
		}
		end := h.shown + len(line)
		if name, at, ok := fieldName(line); ok {
			end = fieldEnd(b, end)
			if bytes.EqualFold(name, []byte("from")) {
				h.from = append(h.from, span{h.shown + at, end})
			}
		}
		h.shown = end
	}
}

// cutLine returns the first line of b with its CRLF; whole is false if that has
// yet to come.
func cutLine(b []byte) (line []byte, whole bool) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i+1], true
	}
	return b, false
}

// fieldName returns the name at the front of a line and where its value begins.
// White space before the colon is obsolete, and understood by many.
func fieldName(line []byte) (name []byte, value int, ok bool) {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return nil, 0, false
	}
	name = bytes.TrimRight(line[:colon], " \t")
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return nil, 0, false
		}
	}
	return name, colon + 1, len(name) > 0
}

// fieldEnd returns where the field ends whose first line ends at i.
func fieldEnd(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		line, _ := cutLine(b[i:])
		i += len(line)
	}
	return i
}

// field notes one field, which lies at whole and has its value from value on.
func (h *header) field(b, name []byte, whole span, value int, rule headerRule) {
	var lower [24]byte
	if len(name) > len(lower) {
		return
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(name)]) {
	case "received":
		h.received++
	case "from":
		h.from = append(h.from, span{value, whole.to})
	case "date":
		h.date = true
	case "message-id":
		if !h.hasID {
			h.hasID, h.messageID = true, idOf(b[value:whole.to])
		}
	case "tls-required":
		h.tlsOptional = h.tlsOptional || bytes.EqualFold(bytes.TrimSpace(b[value:whole.to]), []byte("no"))
	case "bcc", "resent-bcc":
		if rule.submission {
			h.cut = append(h.cut, whole)
		}
	case "return-path":
		if !rule.submission {
			h.cut = append(h.cut, whole)
		}
	case "authentication-results":
		if !rule.submission && isResultOf(b[value:whole.to], rule.hostname) {
			h.cut = append(h.cut, whole)
		}
	}
}

// authors returns the addresses of all fields From, nil if one can't be read. b is
// what the header was read from.
func (h *header) authors(b []byte) (list []mail.Address) {
	for _, f := range h.from {
		found, err := addresses(b[f.from:f.to])
		if err != nil {
			return nil
		}
		list = append(list, found...)
	}
	return list
}

// cutSize returns how many octets are taken away.
func (h *header) cutSize() (n int) {
	for _, s := range h.cut {
		n += s.to - s.from
	}
	return n
}

// idOf returns the value of a Message-ID field without its brackets.
func idOf(value []byte) string {
	s := strings.TrimSpace(strings.ToValidUTF8(string(value[:min(len(value), 1000)]), "?"))
	if inner, ok := strings.CutPrefix(s, "<"); ok {
		s, _, _ = strings.Cut(inner, ">")
	}
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, s)
}

// isResultOf reports whether the value of an Authentication-Results field claims
// to be by hostname (RFC 8601 2.2): its first word, comments aside.
func isResultOf(value []byte, hostname string) bool {
	s := skipComments(string(value))
	if quoted, ok := strings.CutPrefix(s, `"`); ok {
		s, _, _ = strings.Cut(quoted, `"`)
		s = strings.ReplaceAll(s, `\`, "")
	} else if i := strings.IndexAny(s, " \t\r\n;("); i >= 0 {
		s = s[:i]
	}
	return strings.EqualFold(strings.TrimSuffix(s, "."), hostname)
}

// skipComments takes white space and comments off the front of s.
func skipComments(s string) string {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0:
			i++
		case depth == 0 && !strings.ContainsRune(" \t\r\n", rune(c)):
			return s[i:]
		}
	}
	return ""
}

// addresses returns the mail addresses of a field such as From (RFC 5322 3.4).
// It fails if any part of the value isn't one.
func addresses(value []byte) ([]mail.Address, error) {
	s := strings.ReplaceAll(string(value), "\r\n", "")
	parser := netmail.AddressParser{WordDecoder: &mime.WordDecoder{
		CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil }, // names don't matter
	}}
	list, err := parser.ParseList(strings.ToValidUTF8(s, "?"))
	if err != nil {
		return nil, mail.ErrAddress
	}
	found := make([]mail.Address, 0, len(list))
	for _, entry := range list {
		at := strings.LastIndexByte(entry.Address, '@')
		if at < 0 {
			return nil, mail.ErrAddress
		}
		// The parser has taken the quotes away; String puts them back.
		whole := mail.Address{Local: entry.Address[:at], Domain: entry.Address[at+1:]}.String()
		a, err := mail.ParseAddress(whole)
		if err != nil {
			return nil, err
		}
		found = append(found, a)
	}
	return found, nil
}
