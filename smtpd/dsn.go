package smtpd

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"postroom/store/mail"
)

// parseRcptParams parses the parameters of RCPT (RFC 3461 4). Its errors are
// Statuses.
func parseRcptParams(s string, r *mail.Recipient) error {
	return eachParam(s, func(keyword, value string) (err error) {
		ok := false
		switch keyword {
		case "NOTIFY":
			r.Notify, ok = parseNotify(value)
		case "ORCPT":
			r.Original, ok = parseOriginal(value)
		default:
			return statusUnknownParam
		}
		return require(ok)
	})
}

// parseNotify parses NEVER, or a list of the other events, each once.
func parseNotify(s string) (set mail.Notify, ok bool) {
	for word := range strings.SplitSeq(s, ",") {
		var event mail.Notify
		switch strings.ToUpper(word) {
		case "NEVER":
			event = mail.NotifyNever
		case "SUCCESS":
			event = mail.NotifySuccess
		case "FAILURE":
			event = mail.NotifyFailure
		case "DELAY":
			event = mail.NotifyDelay
		default:
			return 0, false
		}
		if set&event != 0 {
			return 0, false
		}
		set |= event
	}
	return set, set&mail.NotifyNever == 0 || set == mail.NotifyNever
}

// parseOriginal parses "type;address" with the address in xtext, or for the
// type utf-8 in one of the forms of RFC 6533 3, and returns it decoded.
func parseOriginal(s string) (original string, ok bool) {
	kind, encoded, ok := strings.Cut(s, ";")
	if !ok || len(s) > 500 || !isKeyword(strings.ToUpper(kind)) || encoded == "" {
		return "", false
	}
	decode := decodeXtext
	if strings.EqualFold(kind, "utf-8") {
		decode = decodeUTF8Address
	}
	address, ok := decode(encoded)
	return strings.ToLower(kind) + ";" + address, ok
}

// decodeXtext decodes xtext (RFC 3461 4). It takes nothing but what decodes to
// printable ASCII: the result goes into reports and other servers' command
// lines.
func decodeXtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+3 > len(s) || !isUpperHex(s[i+1]) || !isUpperHex(s[i+2]) {
				return "", false
			}
			v, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			c = byte(v)
			i += 2
		} else if c == '=' || c == ' ' {
			return "", false
		}
		if c < ' ' || c > '~' {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

func isUpperHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

// decodeUTF8Address decodes utf-8-addr-xtext and utf-8-addr-unitext.
func decodeUTF8Address(s string) (string, bool) {
	if !utf8.ValidString(s) {
		return "", false
	}
	var b strings.Builder
	for s != "" {
		text, escaped, found := strings.Cut(s, `\x{`)
		if strings.ContainsAny(text, "\\+= ") || strings.ContainsFunc(text, isControl) {
			return "", false
		}
		b.WriteString(text)
		if !found {
			break
		}
		hex, rest, closed := strings.Cut(escaped, "}")
		v, err := strconv.ParseUint(hex, 16, 21)
		if r := rune(v); !closed || err != nil || len(hex) < 2 || !utf8.ValidRune(r) || isControl(r) {
			return "", false
		} else {
			b.WriteRune(r)
		}
		s = rest
	}
	return b.String(), true
}

func isControl(r rune) bool { return r < ' ' || 0x7f <= r && r < 0xa0 || r == 0x2028 || r == 0x2029 }

// maxOriginal is the longest address that surely makes an ORCPT of no more than
// 500 octets (RFC 3461 4.2), whatever has to be encoded in it.
const maxOriginal = 160

// originalOf returns the ORCPT for a recipient that came without one and is now
// called otherwise.
func originalOf(a mail.Address) string {
	switch text := a.String(); {
	case len(text) > maxOriginal:
		return ""
	case a.IsASCII():
		return "rfc822;" + text
	default:
		return "utf-8;" + text
	}
}

// withoutSuccess takes the wish to hear of success out of a set. An empty set would
// be "not said", and so mean failures.
func withoutSuccess(n mail.Notify) mail.Notify {
	if n == mail.NotifySuccess {
		return mail.NotifyNever
	}
	return n &^ mail.NotifySuccess
}

// joint returns what is to be reported of two recipients that turn out to be one:
// what is wished for either.
func joint(a, b mail.Notify) mail.Notify {
	const usual = mail.NotifyFailure | mail.NotifyDelay
	switch {
	case a == b, b == mail.NotifyNever:
		return a
	case a == mail.NotifyNever:
		return b
	case a == 0:
		a = usual
	case b == 0:
		b = usual
	}
	return a | b
}
