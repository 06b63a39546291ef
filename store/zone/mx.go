package zone

import (
	"fmt"
	"net"
	"slices"
)

// Preferences of the records that are proposed.
const (
	ownPreference    = 10
	backupPreference = 20
)

// mx judges where mail for the domain goes (RFC 5321 section 5.1).
func (j *judge) mx() []Record {
	r := Record{
		Purpose: MX, Name: j.Domain, Type: "MX", Level: Required,
		Value: fmt.Sprintf("%d %s", ownPreference, dotted(j.Hostname)),
		Why:   "Leads mail for " + j.Domain + " to this server.",
	}
	if j.Backup {
		r.Value = fmt.Sprintf("%d %s", backupPreference, dotted(j.Hostname))
		r.Why = "Leads mail for " + j.Domain + " here while its own server, which must have a lower number, can't be reached."
	}
	found := j.found.MX[j.Domain]
	for _, mx := range found.List {
		r.Found = append(r.Found, fmt.Sprintf("%d %s", mx.Pref, dotted(mx.Host)))
	}
	switch {
	case r.settle(found.Err):
		if r.State == Missing && !j.Backup && j.leadsHere(j.Domain) {
			r.be(Fine, "Mail comes here by the address of %s itself; an MX record says it in plain words.", j.Domain)
		}
	case j.Backup:
		j.backupMX(&r, found.List)
	default:
		j.ownMX(&r, found.List)
	}
	return []Record{r}
}

func (j *judge) ownMX(r *Record, list []*net.MX) {
	best := slices.MinFunc(list, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	ours := j.ourMX(list)
	if ours == nil {
		j.foreignMX(r, list)
		return
	}
	others := slices.DeleteFunc(slices.Clone(list), func(mx *net.MX) bool { return lower(mx.Host) == j.Hostname })
	value := fmt.Sprintf("%d %s", ours.Pref, dotted(ours.Host))
	switch {
	case ours.Pref > best.Pref:
		r.keep(Fine, value, "%s has the lower number, so mail goes there first: right if that server hands it on to this one.", best.Host)
	case len(others) > 0 && j.STS == "enforce":
		r.keep(Fine, value, "The MTA-STS policy served here names this server alone: who obeys it doesn't use %s.", others[0].Host)
	default:
		r.keep(Right, value, "")
	}
}

// foreignMX judges records that don't name this server.
func (j *judge) foreignMX(r *Record, list []*net.MX) {
	first := list[0].Host
	if first == "." || first == "" {
		r.be(Wrong, "The record says that %s takes no mail at all (RFC 7505): replace it.", j.Domain)
		return
	}
	for _, mx := range list[:min(len(list), maxHosts)] {
		host := lower(mx.Host)
		if err := j.found.IP[host].Err; err != nil {
			r.be(Unknown, "The address of %s couldn't be looked up: %s. Try again in a moment.", mx.Host, reason(err))
			return
		}
		if !j.leadsHere(host) {
			continue
		}
		if _, ok := j.Policy(); ok {
			r.be(Wrong, "%s leads here, but the MTA-STS policy names this server %s: use that name.", mx.Host, j.Hostname)
			return
		}
		r.keep(Fine, fmt.Sprintf("%d %s", mx.Pref, dotted(mx.Host)), "%s leads here too, under another name than the server's own.", mx.Host)
		return
	}
	r.be(Wrong, "Mail for %s goes to %s, not here: change the record if it is to come here.", j.Domain, first)
}

func (j *judge) ourMX(list []*net.MX) *net.MX {
	for _, mx := range list {
		if lower(mx.Host) == j.Hostname {
			return mx
		}
	}
	return nil
}

// backupMX judges the records of a domain that we only hold mail for.
func (j *judge) backupMX(r *Record, list []*net.MX) {
	ours := j.ourMX(list)
	if ours == nil {
		r.be(Missing, "Add it beside the records of its own server, with a higher number than theirs.")
		return
	}
	value := fmt.Sprintf("%d %s", ours.Pref, dotted(ours.Host))
	if !slices.ContainsFunc(list, func(mx *net.MX) bool { return mx.Pref < ours.Pref }) {
		r.be(Wrong, "No other server has a lower number than this one, so the mail that is held here can't be handed on: add the domain's own server.")
		return
	}
	r.keep(Right, value, "")
}
