package dkim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	netmail "net/mail"
	"strings"

	"postroom/store/mail"
)

// maxHeader is the largest header that is signed. Nobody has such a one on
// purpose, and no receiver takes it.
const maxHeader = 1 << 20

// A Header is a message's header as it was read.
type Header struct {
	fields map[string][]string // by lower-case name, in order, each with its line ends
}

// ErrHeaderSize is the error of a header that is too large to be signed.
var ErrHeaderSize = errors.New("the header is too large to be signed")

// Read reads the header of a message. The rest of what it is read from, the body
// without the empty line before it, is to be read from body. A message without an
// empty line is all header.
func Read(r io.Reader) (h Header, body io.Reader, err error) {
	text := make([]byte, 0, 4<<10)
	for {
		scanned := max(len(text)-3, 0)
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if end, rest, ok := emptyLine(text, scanned); ok {
			return parse(text[:end]), io.MultiReader(bytes.NewReader(text[rest:]), r), nil
		}
		switch {
		case errors.Is(err, io.EOF):
			return parse(text), r, nil
		case err != nil:
			return Header{}, nil, fmt.Errorf("read header: %w", err)
		case len(text) > maxHeader:
			return Header{}, nil, ErrHeaderSize
		}
	}
}

// emptyLine finds the first empty line: where the line before it ends, and where
// the next one begins. What comes before from has been looked at.
func emptyLine(text []byte, from int) (end, rest int, ok bool) {
	if bytes.HasPrefix(text, []byte("\r\n")) {
		return 0, 2, true
	}
	i := bytes.Index(text[from:], []byte("\r\n\r\n"))
	if i < 0 {
		return 0, 0, false
	}
	return from + i + 2, from + i + 4, true
}

// parse splits a header into its fields. A line that is none is left out, and so
// are its continuations.
func parse(text []byte) Header {
	h := Header{fields: make(map[string][]string)}
	for len(text) > 0 {
		n := fieldEnd(text)
		name, _, ok := bytes.Cut(text[:n], []byte(":"))
		if ok && text[0] != ' ' && text[0] != '\t' {
			key := strings.ToLower(string(bytes.TrimRight(name, " \t")))
			h.fields[key] = append(h.fields[key], string(text[:n]))
		}
		text = text[n:]
	}
	return h
}

// fieldEnd returns where the first field of text ends: before a line that doesn't
// begin with white space.
func fieldEnd(text []byte) int {
	for n := 0; ; {
		i := bytes.Index(text[n:], []byte("\r\n"))
		if i < 0 {
			return len(text)
		}
		n += i + 2
		if n == len(text) || text[n] != ' ' && text[n] != '\t' {
			return n
		}
	}
}

// FromDomain returns the domain of the first author, empty if it can't be told.
func (h Header) FromDomain() string {
	if len(h.fields["from"]) != 1 {
		return ""
	}
	_, value, _ := strings.Cut(canonicalField(h.fields["from"][0]), ":")
	domain, err := mail.ParseDomain(firstDomain(value))
	if err != nil {
		return ""
	}
	return domain
}

// firstDomain finds the domain of the first address in a canonical field. What
// the parser can't read, such as a name that isn't UTF-8, doesn't matter where the
// address is in brackets.
func firstDomain(value string) string {
	parser := netmail.AddressParser{WordDecoder: &mime.WordDecoder{
		CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil }, // names don't matter
	}}
	if list, err := parser.ParseList(value); err == nil && len(list) > 0 {
		return list[0].Address[strings.LastIndexByte(list[0].Address, '@')+1:]
	}
	_, address, ok := strings.Cut(value, "<")
	address, _, closed := strings.Cut(address, ">")
	if !ok || !closed {
		return ""
	}
	return address[strings.LastIndexByte(address, '@')+1:]
}

// canonicalField returns a field in its relaxed canonical form (RFC 6376 section
// 3.4.2), without the line end.
func canonicalField(field string) string {
	name, value, _ := strings.Cut(field, ":")
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' })
	return strings.ToLower(strings.TrimRight(name, " \t")) + ":" + strings.Join(words, " ")
}
