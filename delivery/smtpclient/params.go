package smtpclient

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"postroom/store/mail"
)

// mailLine is the MAIL command, with the parameters that the server knows.
func (t *transaction) mailLine() string {
	var b strings.Builder
	b.WriteString("MAIL FROM:<" + t.message.From.String() + ">")
	if t.conn.Offers("SIZE") && t.message.Size > 0 {
		fmt.Fprintf(&b, " SIZE=%d", t.message.Size)
	}
	envelope := t.message.Envelope
	if t.conn.Offers("8BITMIME") && (envelope.EightBit || t.utf8) {
		b.WriteString(" BODY=8BITMIME")
	}
	if t.utf8 {
		b.WriteString(" SMTPUTF8")
	}
	if envelope.TLS == mail.TLSRequired {
		b.WriteString(" REQUIRETLS")
	}
	if !t.conn.Offers("DSN") {
		return b.String()
	}
	switch envelope.Return {
	case mail.ReturnHeaders:
		b.WriteString(" RET=HDRS")
	case mail.ReturnFull:
		b.WriteString(" RET=FULL")
	}
	if envelope.ID != "" {
		b.WriteString(" ENVID=" + xtext(envelope.ID))
	}
	return b.String()
}

// rcptLine is the RCPT command (RFC 3461 section 4).
func (t *transaction) rcptLine(r mail.Recipient) string {
	var b strings.Builder
	b.WriteString("RCPT TO:<" + r.Address.String() + ">")
	if !t.conn.Offers("DSN") {
		return b.String()
	}
	if words := notifyWords(r.Notify); words != "" {
		b.WriteString(" NOTIFY=" + words)
	}
	if kind, address, ok := strings.Cut(r.Original, ";"); ok && isAtom(kind) {
		b.WriteString(" ORCPT=" + kind + ";" + originalAddress(r, address))
	}
	return b.String()
}

func originalAddress(r mail.Recipient, address string) string {
	if isUTF8Type(r) {
		return utf8Text(address)
	}
	return xtext(address)
}

func notifyWords(n mail.Notify) string {
	if n&mail.NotifyNever != 0 {
		return "NEVER"
	}
	var words []string
	for _, w := range []struct {
		bit  mail.Notify
		word string
	}{{mail.NotifySuccess, "SUCCESS"}, {mail.NotifyFailure, "FAILURE"}, {mail.NotifyDelay, "DELAY"}} {
		if n&w.bit != 0 {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, ",")
}

func isAtom(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != ""
}

// xtext encodes a parameter (RFC 3461 section 4).
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < '!' || c > '~' || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// utf8Text encodes an address as utf-8-addr-xtext (RFC 6533 section 3), which
// any server can take.
func utf8Text(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < '!' || r > '~' || r == '+' || r == '=' || r == '\\' {
			if r != utf8.RuneError {
				fmt.Fprintf(&b, `\x{%02X}`, r)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
