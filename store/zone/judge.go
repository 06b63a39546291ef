package zone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Judge says what the DNS must say about a domain, and how what was found stands to
// that.
func Judge(f Facts, found Found) Report {
	j := &judge{Facts: f, found: found}
	list := append(j.mx(), j.host()...)
	if !f.Backup {
		list = slices.Concat(list, j.spf(), j.dkim(), j.dmarc(), j.reverse(), j.sts(), j.reports(), j.autoconfig(), j.services())
	}
	r := Report{Domain: f.Domain, Backup: f.Backup, Hostname: f.Hostname, OK: true, Records: list}
	for i := range list {
		rec := &list[i]
		rec.Outside = !within(rec.Name, f.Domain)
		if rec.Found == nil {
			rec.Found = []string{}
		}
		if rec.Level == Required && rec.State != Right && rec.State != Fine {
			r.OK = false
		}
	}
	return r
}

// NotAsked is Judge where the DNS isn't asked; why is such as "not asked in local
// mode".
func NotAsked(f Facts, why string) Report {
	r := Judge(f, Found{})
	r.OK, r.NotAsked = false, why
	for i := range r.Records {
		rec := &r.Records[i]
		rec.State, rec.Do = Unknown, "The DNS was "+why+"."
	}
	return r
}

// A judge compares what is wanted with what was found.
type judge struct {
	Facts
	found Found
}

// within reports whether a name is a domain or in it.
func within(name, domain string) bool { return name == domain || strings.HasSuffix(name, "."+domain) }

// settle fills in a record for which nothing was found, or that couldn't be asked
// for. It reports whether that was so.
func (r *Record) settle(err error) bool {
	switch {
	case err != nil:
		r.State, r.Do = Unknown, "The DNS couldn't be asked: "+reason(err)+". Try again in a moment."
	case len(r.Found) == 0:
		r.State, r.Do = Missing, "Add it."
	default:
		return false
	}
	return true
}

// be sets what comes of a comparison.
func (r *Record) be(s State, do string, args ...any) {
	r.State, r.Do = s, do
	if len(args) > 0 {
		r.Do = fmt.Sprintf(do, args...)
	}
}

// keep makes what is there what should be there.
func (r *Record) keep(s State, value, do string, args ...any) {
	r.Value = value
	r.be(s, do, args...)
}

// reason says in a few words why a question wasn't answered.
func reason(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok && !e.IsTimeout {
		return e.Err
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.Canceled) {
		return "no answer came in time"
	}
	return err.Error()
}

func dotted(name string) string { return strings.TrimSuffix(name, ".") + "." }

// texts returns addresses as words.
func texts(list []netip.Addr) []string {
	var words []string
	for _, ip := range list {
		words = append(words, ip.String())
	}
	return words
}

// and joins words as a person does.
func and(words []string) string {
	switch n := len(words); n {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}

// leadsHere reports whether a name's addresses are those of this server, as far as
// the DNS or the server itself knows them.
func (j *judge) leadsHere(name string) bool {
	list := j.found.IP[name].List
	return len(meeting(list, slices.Concat(j.found.IP[j.Hostname].List, j.Addresses, j.Own))) > 0
}
