package dsn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"postroom/store/mail"
)

// How much of a message comes back with its report.
const (
	maxDefault = 50 << 10  // whole, if its sender has said nothing
	maxAsked   = 256 << 10 // whole, if its sender has asked for all (RFC 3461 4.3)
	maxHeader  = 100 << 10 // of a header
	maxLine    = 998       // longer lines don't fit into a report
)

// An original is what a report shows of its message.
type original struct {
	text       []byte // with CRLF line ends; nil: nothing
	whole      bool   // else the header alone
	utf8Header bool
	subject    string
}

// readOriginal reads as much of the message as is shown.
func readOriginal(r Report) (original, error) {
	if r.Message == nil {
		return original{}, nil
	}
	limit := int64(maxHeader)
	whole := r.mayShowAll()
	if whole {
		limit = r.Size + 1
	}
	text, err := io.ReadAll(io.LimitReader(r.Message, limit))
	if err != nil && !errors.Is(err, io.EOF) {
		return original{}, fmt.Errorf("read the message to report on: %w", err)
	}
	header := headerOf(text)
	o := original{
		text:       text,
		whole:      whole && len(text) == int(r.Size) && fits(text) && !(r.SevenBit && !isASCII(text)),
		utf8Header: !isASCII(header) && utf8.Valid(header),
		subject:    subjectOf(header),
	}
	if !o.whole {
		o.text = fitting(header)
	}
	return o, nil
}

// mayShowAll reports whether the whole message comes back, if it fits. That is
// for failures alone (RFC 3461 4.3), and who answers for an alias has no business
// with what others write to it.
func (r Report) mayShowAll() bool {
	if r.Action != Failed || r.toOwner() {
		return false
	}
	return r.Return != mail.ReturnHeaders && r.Size <= maxDefault || r.Return == mail.ReturnFull && r.Size <= maxAsked
}

// kind is the type of the part with the message, or its header (RFC 6522 section
// 3, RFC 6533 section 4).
func (o original) kind(global bool) string {
	switch {
	case o.whole && global && o.utf8Header:
		return "message/global"
	case o.whole:
		return "message/rfc822"
	case global && o.utf8Header:
		return "message/global-headers"
	}
	return "text/rfc822-headers"
}

func (o original) description(r Report) string {
	switch {
	case r.toOwner():
		return "Header of the message"
	case o.whole:
		return "Your message"
	}
	return "Header of your message"
}

// headerOf returns the header with its last line end.
func headerOf(text []byte) []byte {
	if i := bytes.Index(text, []byte("\r\n\r\n")); i >= 0 {
		return text[:i+2]
	}
	return text
}

// fits reports whether text can stand in a report as it is: RFC 5321 limits its
// lines, and a lone CR or LF would be refused on the way.
func fits(text []byte) bool {
	for line := range bytes.SplitSeq(text, []byte("\r\n")) {
		if len(line) > maxLine || bytes.ContainsAny(line, "\r\n\x00") {
			return false
		}
	}
	return true
}

// fitting leaves out of a header the lines that can't stand in a report.
func fitting(header []byte) []byte {
	var kept []byte
	for line := range bytes.SplitAfterSeq(header, []byte("\r\n")) {
		if fits(line) && len(line) > 0 {
			kept = append(kept, line...)
		}
	}
	if !bytes.HasSuffix(kept, []byte("\r\n")) {
		kept = append(kept, "\r\n"...)
	}
	return kept
}

// subjectOf returns the decoded Subject, in one line of at most 200 octets.
func subjectOf(header []byte) string {
	unfolded := strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(string(header))
	for line := range strings.SplitSeq(unfolded, "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "Subject") {
			continue
		}
		if decoded, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
			value = decoded
		}
		return mail.Printable(value, 200)
	}
	return ""
}
