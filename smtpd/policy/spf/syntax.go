package spf

import "strings"

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isAlphanumeric(c byte) bool { return isAlpha(c) || '0' <= c && c <= '9' }

// isVisible reports whether s is of visible ASCII characters alone.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isDomainSpec reports whether s names a domain, macros and all (section 7.1).
// Macros that only an explanation may hold are none here.
func isDomainSpec(s string) bool {
	if !isMacroString(s) {
		return false
	}
	if strings.HasSuffix(s, "}") {
		return true
	}
	name := s[strings.LastIndexByte(s, '}')+1:]
	i := strings.LastIndexByte(plain(name), '.')
	return i >= 0 && isTopLabel(plain(name)[i+1:])
}

// isMacroString reports whether all that begins with a percent sign in s is a macro
// that a record may hold.
func isMacroString(s string) bool {
	for {
		_, rest, found := strings.Cut(s, "%")
		switch {
		case !found:
			return true
		case rest == "":
			return false
		case strings.IndexByte("%_-", rest[0]) >= 0:
			s = rest[1:]
			continue
		case rest[0] != '{':
			return false
		}
		macro, after, ok := strings.Cut(rest[1:], "}")
		if _, good := parseTransformer(macro); !ok || !good || strings.IndexByte("crt", macro[0]|0x20) >= 0 {
			return false
		}
		s = after
	}
}

// isTopLabel reports whether s can be the last label of a domain: no number.
func isTopLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' || strings.Trim(s, "0123456789") == "" {
		return false
	}
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// isQualified reports whether s can be a domain of more than one label (section
// 4.3).
func isQualified(s string) bool {
	labels := strings.Split(plain(s), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return len(labels) > 1 && len(s) <= 254
}
