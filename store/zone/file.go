package zone

import (
	"fmt"
	"slices"
	"strings"
)

// Zone file values.
const (
	ttl        = 3600
	maxStrings = 255 // octets of one string of a TXT record (RFC 1035 section 3.3)
)

// File returns the records as a fragment of a zone file (RFC 1035 section 5). What
// belongs into another zone, and what is said by others already, is there as a
// comment.
func (r Report) File() string {
	var b strings.Builder
	fmt.Fprintf(&b, "; What the DNS must say so that mail for %s works with %s.\n", r.Domain, r.Hostname)
	b.WriteString("; A line behind \";\" belongs into another zone, or is there to be read.\n")
	for _, rec := range r.Records {
		rec.writeTo(&b, r.NotAsked == "")
	}
	return b.String()
}

func (r Record) writeTo(b *strings.Builder, asked bool) {
	fmt.Fprintf(b, "\n; %s, %s: %s\n", r.Level, r.State, comment(r.Why))
	if r.Do != "" {
		fmt.Fprintf(b, "; %s\n", comment(r.Do))
	}
	for _, found := range r.Found {
		if found != r.Value {
			fmt.Fprintf(b, "; there is now: %s\n", comment(found))
		}
	}
	if r.Value == "" {
		return
	}
	if r.Outside || asked && !r.isNeeded() {
		b.WriteString("; ")
	}
	fmt.Fprintf(b, "%s %d IN %s %s\n", dotted(r.Name), ttl, r.Type, r.data())
}

// isNeeded reports whether the line can stand in the zone: whether it is there
// already, or nothing is that will do. What can't be seen may be there in other
// words.
func (r Record) isNeeded() bool {
	return r.State == Missing || r.State == Wrong || slices.Contains(r.Found, r.Value)
}

// data returns the value as a zone file has it.
func (r Record) data() string {
	if r.Type != "TXT" {
		return r.Value
	}
	var parts []string
	for rest := r.Value; ; {
		n := min(len(rest), maxStrings)
		parts = append(parts, quote(rest[:n]))
		if rest = rest[n:]; rest == "" {
			return strings.Join(parts, " ")
		}
	}
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// comment keeps a stranger's text in its line.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
