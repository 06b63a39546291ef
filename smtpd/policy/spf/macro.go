package spf

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

var errMacro = &problem{PermError, "the record holds a macro that can't be understood"}

// expand replaces the macros in s, a part of the record of domain (section 7).
func (e *evaluation) expand(ctx context.Context, s, domain string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "%")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if rest == "" {
			return "", errMacro
		}
		switch rest[0] {
		case '%':
			b.WriteByte('%')
		case '_':
			b.WriteByte(' ')
		case '-':
			b.WriteString("%20")
		case '{':
			inner, after, ok := strings.Cut(rest[1:], "}")
			value, good := e.macro(ctx, inner, domain)
			if !ok || !good {
				return "", errMacro
			}
			b.WriteString(value)
			s = after
			continue
		default:
			return "", errMacro
		}
		s = rest[1:]
	}
}

// macro returns what stands for one, without its braces: a letter, how many labels
// to take, "r" to turn them round, and what divides them (section 7.1).
func (e *evaluation) macro(ctx context.Context, s, domain string) (string, bool) {
	t, ok := parseTransformer(s)
	if !ok {
		return "", false
	}
	value := t.apply(e.value(ctx, s[0]|0x20, domain))
	if s[0] < 'a' {
		value = escapeURL(value)
	}
	return value, true
}

func (e *evaluation) value(ctx context.Context, letter byte, domain string) string {
	switch letter {
	case 's':
		return e.Local + "@" + e.Domain
	case 'l':
		return e.Local
	case 'o':
		return e.Domain
	case 'd':
		return domain
	case 'i':
		return dotted(e.IP.Unmap())
	case 'p':
		return e.clientName(ctx, domain)
	case 'h':
		return e.Helo
	case 'c':
		return e.IP.Unmap().String()
	case 'r':
		return e.Receiver
	case 't':
		return strconv.FormatInt(e.Now.Unix(), 10)
	}
	if e.IP.Unmap().Is4() {
		return "in-addr"
	}
	return "ip6"
}

// dotted returns an address as %{i} has it: of IPv6 each digit a label.
func dotted(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	const hex = "0123456789ABCDEF"
	var b []byte
	for _, c := range ip.As16() {
		b = append(b, hex[c>>4], '.', hex[c&15], '.')
	}
	return string(b[:len(b)-1])
}

// A transformer is what follows a macro's letter.
type transformer struct {
	labels   int // to take from the right; 0: all
	reverse  bool
	dividers string
}

func parseTransformer(macro string) (t transformer, ok bool) {
	if macro == "" || strings.IndexByte("slodiphvcrt", macro[0]|0x20) < 0 {
		return t, false
	}
	how := macro[1:]
	digits := len(how) - len(strings.TrimLeft(how, "0123456789"))
	if digits > 0 {
		if t.labels, _ = strconv.Atoi(how[:min(digits, 6)]); t.labels == 0 {
			return t, false
		}
	}
	how = how[digits:]
	if t.reverse = how != "" && how[0]|0x20 == 'r'; t.reverse {
		how = how[1:]
	}
	t.dividers = how
	return t, strings.Trim(how, ".-+,/_=") == ""
}

func (t transformer) apply(value string) string {
	if t.dividers == "" {
		t.dividers = "."
	}
	parts := strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(t.dividers, r) })
	if t.reverse {
		slices.Reverse(parts)
	}
	if t.labels > 0 {
		parts = parts[max(0, len(parts)-t.labels):]
	}
	return strings.Join(parts, ".")
}

// escapeURL escapes all but the unreserved characters (section 7.3, RFC 3986 2.3).
func escapeURL(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if isAlphanumeric(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}
