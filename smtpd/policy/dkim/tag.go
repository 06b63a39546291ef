package dkim

import "strings"

// A tag is one "name=value" (RFC 6376 section 3.2).
type tag struct {
	name, value string
	at          int // where the value begins, with the white space around it
	end         int
}

// tags are a list of them, in their order.
type tags []tag

// maxTags is how many tags a list may have; some dozen are known.
const maxTags = 50

// parseTags takes a list apart; one that names a tag twice is wrong.
func parseTags(s string) (list tags, ok bool) {
	list = make(tags, 0, 12)
	for at := 0; at < len(s); {
		end := len(s)
		if i := strings.IndexByte(s[at:], ';'); i >= 0 {
			end = at + i
		}
		name, value, found := strings.Cut(s[at:end], "=")
		start := at + len(name) + 1
		name = strings.Trim(name, space)
		_, twice := list.get(name)
		switch {
		case !found && name == "": // a semicolon at the end, or two in a row
		case !found, twice, name == "", len(list) == maxTags:
			return nil, false
		default:
			list = append(list, tag{name, strings.Trim(value, space), start, end})
		}
		at = end + 1
	}
	return list, true
}

const space = " \t\r\n"

// get returns a tag's value.
func (list tags) get(name string) (value string, ok bool) {
	for _, t := range list {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}

// withoutSpace takes the white space out of base64.
func withoutSpace(s string) string {
	if !strings.ContainsAny(s, space) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if !isSpace(s[i]) {
			b = append(b, s[i])
		}
	}
	return string(b)
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
