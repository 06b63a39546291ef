package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is one step of a scale.
type unit struct {
	name  string
	times int64
}

// Sizes are decimal, as disks and networks count: 1MB is 1,000,000 octets. Who
// wants powers of two writes MiB.
var sizes = []unit{
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"B", 1},
	{"", 1},
}

var errUnit = errors.New("not a number with a unit")

// parseSize reads a size such as "50MB", "1.5 GiB" or "4096" in octets.
func parseSize(s string) (int64, error) {
	s = strings.TrimSpace(s)
	digits := strings.TrimRight(s, "BKMGTikmgtb ")
	name := strings.TrimSpace(s[len(digits):])
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || strings.ContainsAny(digits, "+-eExXpPnN_") {
		return 0, errUnit
	}
	for _, u := range sizes {
		if strings.EqualFold(u.name, name) {
			if n *= float64(u.times); n >= math.MaxInt64 {
				return 0, errUnit
			}
			return int64(math.Round(n)), nil
		}
	}
	return 0, errUnit
}

// formatSize is exact: parseSize gives back n.
func formatSize(n int64) string {
	for _, u := range sizes {
		if n != 0 && u.name != "B" && n%u.times == 0 {
			return strconv.FormatInt(n/u.times, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// humanSize is for people: two digits or so are enough.
func humanSize(n int64) string {
	for _, u := range sizes[:4] {
		if n >= u.times {
			f := float64(n) / float64(u.times)
			if f < 10 {
				return fmt.Sprintf("%.1f %s", f, u.name)
			}
			return fmt.Sprintf("%.0f %s", f, u.name)
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}

const day = 24 * time.Hour

// parseDuration reads what time.ParseDuration reads, days ("5d", "1d12h") and a
// plain "0".
func parseDuration(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		days, rest = "0", s
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, errUnit
	}
	d := time.Duration(n) * day
	if ok && rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 {
		return 0, errUnit
	}
	return d + more, nil
}

// formatDuration is exact: parseDuration gives back d.
func formatDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d%day == 0:
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ago says how long before now t was, in one unit.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return inOneUnit(now.Sub(t)) + " ago"
}

// in says how long after now t is, in one unit.
func in(now, t time.Time) string {
	if !t.After(now) {
		return "now"
	}
	return "in " + inOneUnit(t.Sub(now))
}

func inOneUnit(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/day)
}
