package sts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"postroom/store"
)

// The modes of a policy. Under any but Enforce mail is sent as if there were none.
const (
	Enforce = "enforce"
	Testing = "testing"
	None    = "none"
)

// maxMaxAge is how long a policy may be kept, in seconds (RFC 8461 section 3.2).
const maxMaxAge = 31557600

// A Policy is what a domain says about its servers. The zero Policy is none.
type Policy store.STSPolicy

// Enforced reports whether mail may go only to servers that the policy names, over
// TLS with a valid certificate.
func (p Policy) Enforced() bool { return p.Mode == Enforce }

// Matches reports whether the policy names a host (RFC 8461 section 4.1). The
// wildcard stands for one label.
func (p Policy) Matches(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	label, parent, _ := strings.Cut(host, ".")
	for _, pattern := range p.MX {
		suffix, wild := strings.CutPrefix(pattern, "*.")
		if wild && label != "" && suffix == parent || pattern == host {
			return true
		}
	}
	return false
}

// parsePolicy reads the text of a policy file. The result's Expires is maxAge
// after the time at which it was fetched. Empty lines are passed over.
func parsePolicy(text string) (p Policy, maxAge time.Duration, err error) {
	first := make(map[string]string)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n \t")
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		value = strings.TrimLeft(value, " \t")
		if !ok || !isName(key) || !isText(value) {
			return Policy{}, 0, fmt.Errorf("a line is not a field: %.60q", line)
		}
		if key == "mx" {
			p.MX = append(p.MX, strings.ToLower(value))
		} else if _, again := first[key]; !again { // the first counts
			first[key] = value
		}
	}
	p.Mode = first["mode"]
	maxAge, err = seconds(first["max_age"])
	return p, maxAge, errors.Join(err, p.check(first["version"]))
}

func (p Policy) check(version string) error {
	switch {
	case version != "STSv1":
		return fmt.Errorf("its version is %.20q, not STSv1", version)
	case p.Mode != Enforce && p.Mode != Testing && p.Mode != None:
		return fmt.Errorf("its mode is %.20q", p.Mode)
	case len(p.MX) == 0 && p.Mode != None:
		return errors.New("it names no server")
	}
	for _, pattern := range p.MX {
		if !isPattern(pattern) {
			return fmt.Errorf("it names %.100q as a server", pattern)
		}
	}
	return nil
}

func seconds(text string) (time.Duration, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > maxMaxAge || len(text) > 10 {
		return 0, fmt.Errorf("its max_age is %.20q", text)
	}
	return time.Duration(n) * time.Second, nil
}

func isLetterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// isName: the name of a field.
func isName(s string) bool {
	for i := range len(s) {
		if !isLetterOrDigit(s[i]) && (i == 0 || !strings.Contains("_-.", s[i:i+1])) {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// isText: the value of a field in a policy.
func isText(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// isPattern: a host name, or one with "*." in front.
func isPattern(s string) bool {
	name := strings.TrimPrefix(s, "*.")
	for label := range strings.SplitSeq(name, ".") {
		for i := range len(label) {
			if !isLetterOrDigit(label[i]) && (label[i] != '-' || i == 0 || i == len(label)-1) {
				return false
			}
		}
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return len(s) <= 253
}
