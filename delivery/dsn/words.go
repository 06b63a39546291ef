package dsn

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"postroom/store/mail"
)

// shown is an address as people read it.
func shown(a mail.Address) string {
	text := a.String()
	if a.Domain != "" {
		text = strings.TrimSuffix(text, a.Domain) + shownDomain(a.Domain)
	}
	return mail.Printable(text, 400)
}

// shownDomain is a domain or host with its U-labels, if they say the same.
func shownDomain(domain string) string {
	if !strings.Contains(domain, "xn--") {
		return mail.Printable(domain, 255)
	}
	name, err := idna.Display.ToUnicode(domain)
	if err != nil {
		return domain
	}
	if back, err := mail.ParseDomain(name); err != nil || back != domain || mail.Printable(name, 1000) != name {
		return domain
	}
	return name
}

// at says when something was, in the zone of the report.
func (r Report) at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = r.in(t)
	zone := "UTC"
	if _, offset := t.Zone(); offset != 0 {
		zone = t.Format("UTC-07:00")
	}
	return t.Format(" at 15:04 on 2 January 2006 (") + zone + ")"
}

// duration says a time in words: its largest unit, or hours up to two days.
func duration(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return count(int(d.Round(24*time.Hour)/(24*time.Hour)), "day")
	case d >= 90*time.Minute:
		return count(int(d.Round(time.Hour)/time.Hour), "hour")
	case d >= time.Minute:
		return count(int(d.Round(time.Minute)/time.Minute), "minute")
	}
	return count(max(1, int(d/time.Second)), "second")
}

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// paragraph writes s, and an empty line before it, in lines of at most 76 octets
// where it has blanks.
func paragraph(b *strings.Builder, s string) {
	b.WriteString("\r\n")
	for _, line := range wrap(mail.Printable(s, 2000), 76) {
		b.WriteString(line + "\r\n")
	}
}

func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		for len(word) > maxWord {
			cut := runeStart(word, maxWord)
			lines, word = append(lines, word[:cut]), word[cut:]
		}
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
