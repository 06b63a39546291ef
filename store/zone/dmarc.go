package zone

import "strings"

// dmarc judges what others are to do with mail that only says to be from the domain
// (RFC 9989). The domain's own record counts, else the next one above it.
func (j *judge) dmarc() []Record {
	r := Record{
		Purpose: DMARC, Name: "_dmarc." + j.Domain, Type: "TXT", Level: Required,
		Value: "v=DMARC1; p=quarantine; rua=mailto:postmaster@" + j.Domain,
		Why:   "Tells others to put mail aside that only says to be from " + j.Domain + ", and where to report it.",
	}
	own := j.found.TXT[r.Name]
	r.Found = dmarcRecords(own.List)
	switch {
	case r.settle(own.Err):
		if r.State == Missing {
			j.dmarcAbove(&r)
		}
	case len(r.Found) > 1:
		r.be(Wrong, "There are %d DMARC records, and receivers take that for none: leave one alone.", len(r.Found))
	default:
		r.judgeDMARC()
	}
	return []Record{r}
}

func (r *Record) judgeDMARC() {
	record := r.Found[0]
	t := tags(record)
	if t["p"] == "" && t["rua"] != "" {
		t["p"] = "none" // RFC 9989 section 4.7
	}
	switch policy := strings.ToLower(t["p"]); {
	case policy == "none":
		r.keep(Fine, record, "p=none only has reports sent: whoever fakes your name still gets through. Once all your mail is signed, say p=quarantine or p=reject.")
	case policy != "quarantine" && policy != "reject":
		r.be(Wrong, "The record has no policy that receivers understand: p must be none, quarantine or reject.")
	case strings.EqualFold(t["t"], "y"):
		r.keep(Fine, record, "t=y asks receivers to do less than p=%s says: take it out once you are sure.", policy)
	case t["rua"] == "":
		r.keep(Right, record, "Nobody is told of mail that fails: rua=mailto:ADDRESS has reports sent.")
	default:
		r.keep(Right, record, "")
	}
}

// dmarcAbove looks whether the record of a domain above counts.
func (j *judge) dmarcAbove(r *Record) {
	for _, name := range dmarcNames(j.Domain)[1:] {
		above := j.found.TXT[name]
		if above.Err != nil {
			r.be(Unknown, "%s couldn't be looked up: %s. Try again in a moment.", name, reason(above.Err))
			return
		}
		records := dmarcRecords(above.List)
		if len(records) != 1 {
			continue
		}
		t := tags(records[0])
		if policy := strings.ToLower(orElse(t["sp"], t["p"])); policy == "quarantine" || policy == "reject" {
			r.Found = records
			r.be(Fine, "The record of %s counts here, with %s: add one of its own only if it is to be another.", strings.TrimPrefix(name, "_dmarc."), policy)
		}
		return
	}
}

// dmarcRecords returns those texts that are meant for DMARC.
func dmarcRecords(list []string) []string {
	var found []string
	for _, text := range list {
		name, rest, _ := strings.Cut(text, "=")
		version, _, _ := strings.Cut(rest, ";")
		if strings.TrimSpace(name) == "v" && strings.TrimSpace(version) == "DMARC1" {
			found = append(found, text)
		}
	}
	return found
}
