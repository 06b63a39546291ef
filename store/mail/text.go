package mail

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes one line of at most limit octets that a terminal, a log and a
// mail can show, of whatever a stranger has said: control characters become
// blanks, what isn't UTF-8 a "?".
func Printable(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == utf8.RuneError:
			r = '?'
		case unicode.IsSpace(r), !unicode.IsPrint(r):
			r = ' '
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}
