package web

import (
	"bytes"
	"fmt"
	"net/url"
	"time"

	"postroom/store/zone"
	"postroom/web/phrase"
)

// A dnsPage shows what the DNS must say about a domain, and what it says.
type dnsPage struct {
	Domain, URL string
	Verdict     dnsVerdict
	NotAsked    string
	Backup      bool
	Groups      []dnsGroup
	Zone        string // what to put into the domain's zone
	ZoneURL     string
}

// A dnsGroup is what is needed for one purpose.
type dnsGroup struct {
	Title   string
	Records []dnsRecord
}

// A dnsRecord is a record as the page shows it.
type dnsRecord struct {
	zone.Record
	Sign, Word, Tone string
}

// dnsTitles name the purposes.
var dnsTitles = map[zone.Purpose]string{
	zone.MX:         phrase.RecordMX,
	zone.Host:       phrase.RecordHost,
	zone.SPF:        phrase.RecordSPF,
	zone.DKIM:       phrase.RecordDKIM,
	zone.DMARC:      phrase.RecordDMARC,
	zone.Reverse:    phrase.RecordReverse,
	zone.MTASTS:     phrase.RecordSTS,
	zone.TLSRPT:     phrase.RecordTLSRPT,
	zone.Autoconfig: phrase.RecordAutoconfig,
	zone.Services:   phrase.RecordServices,
}

// showDNS asks the DNS, which may take some seconds.
func (p *pages) showDNS(v *visit) error {
	name := v.r.PathValue("name")
	report, err := p.lookAt(v, name)
	if err != nil {
		return err
	}
	page := dnsPage{
		Domain: report.Domain, URL: domainURL(name), Verdict: dnsVerdictOf(report), NotAsked: phrase.Sentence(report.NotAsked), Backup: report.Backup,
		Groups: dnsGroups(report.Records), Zone: report.File(), ZoneURL: dnsURL(name) + "/zone",
	}
	return v.show("dns", "DNS of "+name, page)
}

// lookAt asks the DNS about a domain of ours.
func (p *pages) lookAt(v *visit, name string) (zone.Report, error) {
	if _, err := p.domain(v, name); err != nil {
		return zone.Report{}, err
	}
	return p.Admin.DNS(v.r.Context(), name)
}

// dnsGroups sorts records by purpose, in the order of the report.
func dnsGroups(records []zone.Record) []dnsGroup {
	var groups []dnsGroup
	index := make(map[zone.Purpose]int)
	for _, r := range records {
		i, ok := index[r.Purpose]
		if !ok {
			i = len(groups)
			index[r.Purpose] = i
			title := dnsTitles[r.Purpose]
			if title == "" {
				title = string(r.Purpose)
			}
			groups = append(groups, dnsGroup{Title: title})
		}
		groups[i].Records = append(groups[i].Records, dnsRecordOf(r))
	}
	return groups
}

func dnsRecordOf(r zone.Record) dnsRecord {
	row := dnsRecord{Record: r, Sign: "?", Word: "not known", Tone: "quiet"}
	switch r.State {
	case zone.Right:
		row.Sign, row.Word, row.Tone = "✓", "right", "good"
	case zone.Fine:
		row.Sign, row.Word, row.Tone = "✓", "will do", "good"
	case zone.Wrong:
		row.Sign, row.Word, row.Tone = "✗", "wrong", toneOfLevel(r.Level)
	case zone.Missing:
		row.Sign, row.Word, row.Tone = "✗", "missing", toneOfLevel(r.Level)
	}
	return row
}

// toneOfLevel says how bad it is that a record isn't right.
func toneOfLevel(l zone.Level) string {
	switch l {
	case zone.Required:
		return "bad"
	case zone.Recommended:
		return "warn"
	}
	return "info"
}

// A dnsVerdict is how a domain's DNS stands in one sentence.
type dnsVerdict struct {
	Text, Tone string
	At         moment // when it was looked at
}

func dnsVerdictOf(r zone.Report) dnsVerdict {
	var wrong, better, unknown int64
	for _, record := range r.Records {
		switch {
		case record.State == zone.Unknown:
			unknown++
		case record.State == zone.Right || record.State == zone.Fine:
		case record.Level == zone.Required:
			wrong++
		default:
			better++
		}
	}
	switch {
	case r.NotAsked != "":
		return dnsVerdict{Text: phrase.DNSNotAsked, Tone: "info"}
	case wrong > 0:
		return dnsVerdict{Text: fmt.Sprintf(phrase.RecordsWrong, phrase.Plural(wrong, "required record is", "required records are")), Tone: "bad"}
	case unknown > 0:
		return dnsVerdict{Text: fmt.Sprintf(phrase.RecordsUnknown, phrase.Plural(unknown, "record", "records")), Tone: "warn"}
	case better > 0:
		return dnsVerdict{Text: fmt.Sprintf(phrase.RecordsCouldBeBetter, phrase.Plural(better, "other record", "other records")), Tone: "good"}
	}
	return dnsVerdict{Text: phrase.RecordsRight, Tone: "good"}
}

// lastDNS tells without asking the DNS what was last heard of a domain's: by somebody
// who looked, or by the server itself, which has a concern if something was wrong before
// it was started. Nil if neither knows anything.
func (p *pages) lastDNS(v *visit, name string) (*dnsVerdict, error) {
	verdicts, err := p.lastVerdicts(v, name)
	return verdicts[name], err
}

// lastVerdicts is lastDNS for several domains; those of which nothing is known are
// missing.
func (p *pages) lastVerdicts(v *visit, names ...string) (map[string]*dnsVerdict, error) {
	concerns, err := p.Admin.Concerns(v.r.Context())
	if err != nil {
		return nil, err
	}
	verdicts := make(map[string]*dnsVerdict)
	for _, name := range names {
		if look, ok := p.Admin.LastDNS(name); ok {
			verdict := dnsVerdictOf(look.Report)
			verdict.At = newMoment(look.At, p.Now())
			verdicts[name] = &verdict
			continue
		}
		for _, c := range concerns {
			if c.Cure == dnsURL(name) {
				verdicts[name] = &dnsVerdict{Text: c.Text, Tone: "bad", At: newMoment(c.Seen, p.Now())}
			}
		}
	}
	return verdicts, nil
}

// downloadZone gives the records as a piece of a zone file.
func (p *pages) downloadZone(v *visit) error {
	name := v.r.PathValue("name")
	if _, err := p.domain(v, name); err != nil {
		return err
	}
	look, known := p.Admin.LastDNS(name)
	report := look.Report
	if !known || p.Now().Sub(look.At) >= lookFresh {
		var err error
		if report, err = p.Admin.DNS(v.r.Context(), name); err != nil {
			return err
		}
	}
	v.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	v.w.Header().Set("Content-Disposition", `attachment; filename="`+url.PathEscape(name)+`.zone"`)
	_, _ = bytes.NewBufferString(report.File()).WriteTo(v.w) // fails only if the browser has gone
	return nil
}

func dnsURL(name string) string { return domainURL(name) + "/dns" }

// lookFresh is how long a look counts as one of now.
const lookFresh = 10 * time.Minute

// Word is the verdict in one word.
func (d dnsVerdict) Word() string {
	switch d.Tone {
	case "good":
		return "right"
	case "bad":
		return "wrong"
	}
	return "not known"
}
