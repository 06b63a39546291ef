package web

import (
	"fmt"
	"strings"
	"time"

	"postroom/store/admin"
	"postroom/web/phrase"
)

type certificatePage struct{ Certificates []certificateRow }

// A certificateRow is a certificate as pages show it.
type certificateRow struct {
	admin.Certificate
	Title   string // its names
	Left    string // "64 days left"
	Tone    string
	Renewed string // how, in one sentence
	From    moment
	Until   moment
	Tried   *moment // when getting it failed
	Next    *moment
}

// endsSoon is how many days before its end a certificate is marked: one that
// renews itself has done so long before.
const endsSoon, endsNow = 21, 7

func (p *pages) showCertificate(v *visit) error {
	rows, err := p.certificates(v)
	if err != nil {
		return err
	}
	return v.show("certificate", "Certificate", certificatePage{rows})
}

func (p *pages) certificates(v *visit) ([]certificateRow, error) {
	all, err := p.Admin.Certificates(v.r.Context())
	if err != nil {
		return nil, err
	}
	rows := make([]certificateRow, len(all))
	for i, c := range all {
		rows[i] = certificateRowOf(c, p.Now())
	}
	return rows, nil
}

func certificateRowOf(c admin.Certificate, now time.Time) certificateRow {
	row := certificateRow{
		Certificate: c, Title: strings.Join(c.Names, ", "), Renewed: renewal(c),
		From: newMoment(c.NotBefore, now), Until: newMoment(c.NotAfter, now),
	}
	row.Left, row.Tone = timeLeft(c)
	if !c.Failed.IsZero() {
		failed := newMoment(c.Failed, now)
		row.Tried = &failed
	}
	if !c.NextTry.IsZero() {
		next := newMoment(c.NextTry, now)
		row.Next = &next
	}
	return row
}

// Short says how it is renewed in few words.
func (r certificateRow) Short() string {
	switch r.Source {
	case admin.CertificateACME:
		return phrase.RenewedByItself
	case admin.CertificateFile:
		return phrase.RenewedInFile
	case admin.CertificateSelfSigned:
		return phrase.SelfSignedWarns
	}
	return ""
}

// timeLeft says how long a certificate is good for. What nobody else has signed
// is never more than a stopgap.
func timeLeft(c admin.Certificate) (left, tone string) {
	switch {
	case c.DaysLeft < 0:
		return "it has ended", "bad"
	case c.DaysLeft == 0:
		left = "it ends today"
	default:
		left = phrase.Plural(int64(c.DaysLeft), "day left", "days left")
	}
	switch {
	case c.DaysLeft < endsNow:
		return left, "bad"
	case c.DaysLeft < endsSoon || c.Source == admin.CertificateSelfSigned || c.Error != "":
		return left, "warn"
	}
	return left, "good"
}

// renewal says how a certificate is renewed.
func renewal(c admin.Certificate) string {
	switch c.Source {
	case admin.CertificateACME:
		return phrase.ItIsRenewed
	case admin.CertificateFile:
		return fmt.Sprintf(phrase.ItIsOfFile, c.File)
	case admin.CertificateSelfSigned:
		if c.Error != "" {
			return phrase.ItStandsIn
		}
		return phrase.ItIsSelfSigned
	}
	return ""
}
