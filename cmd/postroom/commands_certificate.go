package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"postroom/store/admin"
)

type checkCertificate struct{ listing }

// Run shows the certificates, and fails if something is wrong with one.
func (c *checkCertificate) Run(ctx context.Context, s *shell) error {
	conf, err := s.config()
	if err != nil {
		return err
	}
	list, err := ask[[]admin.Certificate](ctx, s, "certificate/list", nothing{})
	if err != nil {
		return err
	}
	if err := showList(s, c.listing, list, "No certificate yet: the first start makes one.", printCertificates); err != nil {
		return err
	}
	var wrong []string
	for _, w := range worries(list, conf.certificateName(), time.Now()) {
		wrong = append(wrong, w.Text)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s", strings.Join(wrong, " "))
	}
	return nil
}

// printCertificates prints a line for each certificate, and what is wrong with it
// below.
func printCertificates(w io.Writer, list []admin.Certificate) {
	t := newTable(w, "FOR", "FROM", "SINCE", "UNTIL", "DAYS LEFT")
	for _, c := range list {
		if c.NotAfter.IsZero() {
			t.row(strings.Join(c.Names, ", "), c.Source, "", "none yet", "")
		} else {
			t.row(strings.Join(c.Names, ", "), certificateOrigin(c), date(c.NotBefore), date(c.NotAfter), fmt.Sprint(c.DaysLeft))
		}
		if c.Error != "" {
			t.note("  " + c.Error + whenTried(c))
		}
	}
	t.flush()
}

// whenTried says when what has failed was tried, and when it is again.
func whenTried(c admin.Certificate) string {
	switch {
	case c.Failed.IsZero():
		return ""
	case c.NextTry.IsZero():
		return " (" + c.Failed.Local().Format(time.DateTime) + ")"
	}
	return " (" + c.Failed.Local().Format(time.DateTime) + "; again " + c.NextTry.Local().Format(time.DateTime) + ")"
}

// certificateOrigin says where a certificate comes from, and who has signed it.
func certificateOrigin(c admin.Certificate) string {
	if c.Source == admin.CertificateSelfSigned {
		return c.Source
	}
	return c.Source + " (" + cmp.Or(c.Issuer, "nobody") + ")"
}
