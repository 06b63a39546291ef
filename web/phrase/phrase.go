// Package phrase holds what the pages say where it depends on what they show:
// numbers, times and whole sentences, in one place, so that they sound alike and
// can be put into another language. What doesn't depend on anything stands in the
// templates; what a person did wrong, for the command line too, in store/admin.
package phrase

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Relative says how far t is from now, in the largest unit that isn't zero.
func Relative(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	switch {
	case d > -time.Second && d < 10*time.Second:
		return "just now"
	case d < 0:
		return "in " + Span(-d)
	}
	return Span(d) + " ago"
}

// Span writes a duration in its largest unit, and in two where it is days.
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < day:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	}
	return Plural(int64(d/day), "day", "days")
}

// Elapsed writes how long a step on a message's way took after the one before.
func Elapsed(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return ""
	case d < time.Second:
		return "+" + strconv.Itoa(int(d/time.Millisecond)) + " ms"
	}
	return "+" + Span(d)
}

// Octets writes a size for people: 1 KB is 1000 octets, as in the configuration.
func Octets(n int64) string {
	units := []string{"B", "KB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if i == 0 || f >= 99.95 {
		return fmt.Sprintf("%.0f %s", f, units[i])
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + units[i]
}

// Number groups the digits of n by thousands, with a narrow space that doesn't
// break.
func Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// Plural returns n with the word that fits it.
func Plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// Sentence makes one of what was written to stand in the middle of another.
func Sentence(text string) string {
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}

// IsAre returns the form of "to be" that fits n things.
func IsAre(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
