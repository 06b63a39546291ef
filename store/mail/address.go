// Package mail holds the words every other package speaks: addresses,
// envelopes and status codes. It knows no protocol, no network and no database.
package mail

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// An Address is a mailbox as RFC 5321 writes it. The zero Address is the null
// reverse-path <>, the sender of mail that must never be answered by a bounce.
// An Address with a local part "postmaster" and no domain is the recipient
// <postmaster> of RFC 5321 4.1.1.3.
//
// Two addresses mean the same mailbox of ours if their Keys are equal.
type Address struct {
	Local  string // the meaning, without quotes or escapes, in the case that was given
	Domain string // lower case, A-labels; "[192.0.2.1]" or "[IPv6:2001:db8::1]" for a literal
}

// Limits of RFC 5321 4.5.3.1, in octets.
const (
	maxLocal   = 64
	maxDomain  = 255
	maxAddress = 254 // a path of 256 less its angle brackets
)

// ErrAddress is what ParseAddress returns, wrapped in nothing: the text of a
// stranger's address does not belong in an answer or a log.
var ErrAddress = errors.New("not a valid mail address")

// IsNull reports whether a is the null reverse-path.
func (a Address) IsNull() bool { return a == Address{} }

// IsASCII reports whether a can be sent without SMTPUTF8. Domains always can.
func (a Address) IsASCII() bool {
	for i := range len(a.Local) {
		if a.Local[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// String returns a as it stands between angle brackets in MAIL and RCPT: with
// the local part quoted where it needs quotes. It is the only way an Address
// becomes text for the wire, so that no local part can end the path early.
func (a Address) String() string {
	switch {
	case a.IsNull():
		return ""
	case a.Domain == "":
		return quoteLocal(a.Local)
	}
	return quoteLocal(a.Local) + "@" + a.Domain
}

// Key returns the form under which a mailbox of ours is looked up: local parts
// of our own domains compare without case.
func (a Address) Key() string {
	a.Local = strings.ToLower(a.Local)
	return a.String()
}

// Base returns a without the tag that follows "+" in its local part:
// alice+shop@example.org reaches alice@example.org. A local part that begins
// with "+" has no tag.
func (a Address) Base() Address {
	if i := strings.IndexByte(a.Local, '+'); i > 0 {
		a.Local = a.Local[:i]
	}
	return a
}

// ParseAddress parses a Mailbox (RFC 5321 4.1.2, with RFC 6531 3.3: UTF-8 in
// both parts). It takes no comments, no folding white space and no display
// names; and a local part of more than 64 octets only if a forwarder has made it
// (SRS). The errors it returns all are ErrAddress.
func ParseAddress(s string) (Address, error) {
	if len(s) > maxAddress+2*maxLocal { // quoting may double a local part
		return Address{}, ErrAddress
	}
	local, rest, ok := cutLocal(s)
	if !ok || local == "" && !strings.HasPrefix(s, `""`) || isTooLong(local) || rest == "" || rest[0] != '@' {
		return Address{}, ErrAddress
	}
	domain, err := ParseDomain(rest[1:])
	if err != nil {
		if domain, err = parseLiteral(rest[1:]); err != nil {
			return Address{}, ErrAddress
		}
	}
	if a := (Address{local, domain}); len(a.String()) <= maxAddress {
		return a, nil
	}
	return Address{}, ErrAddress
}

// isTooLong reports whether a local part is longer than we take it. The limit is
// one that every server can bear, not one of what an address can be; those that
// forwarders have rewritten (SRS) are often longer, and bounces must find back.
func isTooLong(local string) bool {
	return len(local) > maxLocal && !isRewritten(local)
}

func isRewritten(local string) bool {
	prefix := strings.ToLower(local[:min(5, len(local))])
	return len(prefix) == 5 && (prefix[:4] == "srs0" || prefix[:4] == "srs1") && strings.IndexByte("=+-", prefix[4]) >= 0
}

// cutLocal takes a Local-part off the front of s and returns its meaning.
func cutLocal(s string) (local, rest string, ok bool) {
	if strings.HasPrefix(s, `"`) {
		return cutQuoted(s)
	}
	i := strings.IndexByte(s, '@')
	if i <= 0 || !isDotString(s[:i]) {
		return "", "", false
	}
	return s[:i], s[i:], true
}

func cutQuoted(s string) (local, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], utf8.ValidString(b.String())
		case c == '\\':
			if i++; i == len(s) || s[i] < ' ' || s[i] > '~' {
				return "", "", false
			}
			b.WriteByte(s[i])
		case c < ' ' || c == 0x7f:
			return "", "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// isDotString reports whether s is atoms joined by single dots.
func isDotString(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := range len(atom) {
			if !isAtext(atom[i]) {
				return false
			}
		}
	}
	return true
}

func isAtext(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c >= utf8.RuneSelf ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func quoteLocal(local string) string {
	if isDotString(local) {
		return local
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(local) {
		if local[i] == '"' || local[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(local[i])
	}
	b.WriteByte('"')
	return b.String()
}

// domains turns U-labels into A-labels, folds case, and refuses what DNS can't
// carry.
var domains = idna.New(
	idna.MapForLookup(),
	idna.BidiRule(),
	idna.StrictDomainName(true),
	idna.VerifyDNSLength(true),
)

// ParseDomain returns the normal form of a domain name: lower case, A-labels,
// no dot at the end. A name of digits and dots alone is refused: it is an
// address without its brackets.
func ParseDomain(s string) (string, error) {
	if len(s) > maxDomain || !utf8.ValidString(s) || strings.HasSuffix(s, ".") {
		return "", ErrAddress
	}
	name, ok := fastDomain(s)
	if !ok {
		var err error
		if name, err = domains.ToASCII(s); err != nil || name == "" {
			return "", ErrAddress
		}
	}
	if strings.Trim(name, "0123456789.") == "" {
		return "", ErrAddress
	}
	return name, nil
}

// fastDomain recognises the common case, a plain lower-case name, which needs
// no mapping.
func fastDomain(s string) (string, bool) {
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			label++
		case c == '-' && label > 0 && label != 2 && label != 3: // "xn--" and its like take the slow way
			label++
		case c == '.' && label > 0 && s[i-1] != '-':
			label = 0
		default:
			return "", false
		}
		if label > 63 {
			return "", false
		}
	}
	return s, label > 0 && s[len(s)-1] != '-' && len(s) <= 253
}

// parseLiteral parses an address-literal (RFC 5321 4.1.3).
func parseLiteral(s string) (string, error) {
	inner, ok := strings.CutPrefix(s, "[")
	if !ok {
		return "", ErrAddress
	}
	if inner, ok = strings.CutSuffix(inner, "]"); !ok {
		return "", ErrAddress
	}
	if len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:") {
		if ip, err := netip.ParseAddr(inner[5:]); err == nil && ip.Is6() && ip.Zone() == "" {
			return "[IPv6:" + ip.String() + "]", nil
		}
		return "", ErrAddress
	}
	if ip, err := netip.ParseAddr(inner); err == nil && ip.Is4() {
		return "[" + ip.String() + "]", nil
	}
	return "", ErrAddress
}
