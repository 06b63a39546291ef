package sts

import "strings"

// parseRecord returns the id of a TXT record. ours is false if the record is about
// something else.
func parseRecord(text string) (id string, ours bool) {
	rest, ok := strings.CutPrefix(text, "v=STSv1")
	if !ok {
		return "", false
	}
	rest = strings.TrimLeft(rest, " \t")
	if rest, ok = strings.CutPrefix(rest, ";"); !ok {
		return "", false
	}
	fields := strings.Split(rest, ";")
	if last := len(fields) - 1; strings.Trim(fields[last], " \t") == "" && last > 0 {
		fields = fields[:last]
	}
	for _, field := range fields {
		name, value, ok := strings.Cut(strings.Trim(field, " \t"), "=")
		if !ok || !isName(name) || !isValue(value) || name == "id" && (id != "" || !isID(value)) {
			return "", true
		}
		if name == "id" {
			id = value
		}
	}
	return id, true
}

// pick returns the id that a domain's TXT records give, or nothing if it isn't
// exactly one record that does (RFC 8461 section 3.1).
func pick(records []string) string {
	var found []string
	for _, text := range records {
		if id, ours := parseRecord(text); ours {
			found = append(found, id)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

func isID(s string) bool {
	for i := range len(s) {
		if !isLetterOrDigit(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// isValue: the value of a field in a TXT record.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == ';' || c == '=' {
			return false
		}
	}
	return s != ""
}
