package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"postroom/store/zone"
)

type checkDNS struct {
	Domain string `arg:"" optional:"" help:"The domain; all of them without."`
	JSON   bool   `name:"json" xor:"form" help:"Print JSON for programs to read."`
	Zone   bool   `xor:"form" help:"Print the records as a piece of a zone file."`
}

// Help is shown by check dns --help.
func (*checkDNS) Help() string {
	return "Shows each record that the DNS should have for a domain, what it has now, and what to do about the difference. " +
		"The exit status is 0 if all records that are required are right, else 1. In local mode nobody is asked: it only shows what the " +
		"records must be."
}

// Run looks at a domain, or at all of them.
func (c *checkDNS) Run(ctx context.Context, s *shell) error {
	reports, err := c.reports(ctx, s)
	if err != nil {
		return err
	}
	switch {
	case c.JSON && c.Domain != "":
		err = printJSON(s.out, reports[0])
	case c.JSON:
		err = printJSON(s.out, reports)
	case len(reports) == 0:
		_, err = fmt.Fprintln(s.out, "No domains yet: postroom domain add example.org")
	default:
		for i, r := range reports {
			if i > 0 {
				fmt.Fprintln(s.out)
			}
			c.print(s.out, r)
		}
	}
	if err != nil {
		return err
	}
	return dnsVerdict(reports)
}

func (c *checkDNS) reports(ctx context.Context, s *shell) ([]zone.Report, error) {
	if c.Domain == "" {
		return ask[[]zone.Report](ctx, s, "dns/list", nothing{})
	}
	r, err := ask[zone.Report](ctx, s, "dns/show", nameRequest{c.Domain})
	return []zone.Report{r}, err
}

// dnsVerdict fails if a domain's DNS was asked and isn't right.
func dnsVerdict(reports []zone.Report) error {
	var wrong []string
	for _, r := range reports {
		if !r.OK && r.NotAsked == "" {
			wrong = append(wrong, r.Domain)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New("required records aren't right yet: " + strings.Join(wrong, ", "))
}

func (c *checkDNS) print(w io.Writer, r zone.Report) {
	if c.Zone {
		fmt.Fprint(w, r.File())
		return
	}
	fmt.Fprintf(w, "%s: %s\n\n", r.Domain, dnsSummary(r))
	for _, rec := range r.Records {
		printRecord(w, rec, r.NotAsked != "")
	}
}

// dnsSummary says in a sentence how a domain's DNS stands.
func dnsSummary(r zone.Report) string {
	var wrong, unknown int64
	for _, rec := range r.Records {
		switch {
		case rec.Level != zone.Required:
		case rec.State == zone.Unknown:
			unknown++
		case rec.State == zone.Missing || rec.State == zone.Wrong:
			wrong++
		}
	}
	switch {
	case r.NotAsked != "":
		return "what the DNS must say (" + r.NotAsked + ")"
	case wrong > 0:
		return plural(wrong, "required record") + " missing or wrong"
	case unknown > 0:
		return plural(unknown, "required record") + " couldn't be looked up"
	}
	return "all that is required is right"
}

// printRecord prints a line for what is right, and what to know about the rest.
func printRecord(w io.Writer, rec zone.Record, unasked bool) {
	state := string(rec.State)
	if unasked {
		state = string(rec.Level)
	}
	fmt.Fprintf(w, "%-11s  %-5s  %s\n", state, rec.Type, printable(rec.Name))
	if rec.State == zone.Right && rec.Do == "" {
		return
	}
	line := func(name, text string) {
		fmt.Fprintf(w, "             %-8s %s\n", name, printable(text))
	}
	value := rec.Value
	if value == "" {
		value = "(it can't be seen from here)"
	}
	line("value", value)
	for _, found := range rec.Found {
		line("found", found)
	}
	note := rec.Why
	if !unasked {
		note = fmt.Sprintf("%s (%s)", strings.TrimSpace(rec.Why+" "+rec.Do), rec.Level)
	}
	line("", note)
}
