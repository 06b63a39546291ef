package zone

import (
	"net/netip"
	"slices"
	"strings"
)

// spf judges who may send in the name of the domain (RFC 7208), and in the names
// that the server gives at EHLO: bounces have no other sender.
func (j *judge) spf() []Record {
	senders := j.senders(j.found.IP[j.Hostname].List)
	var ips []netip.Addr
	byName := make(map[string][]netip.Addr)
	names := []string{j.Hostname}
	for _, s := range senders {
		ips = append(ips, s.IP)
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
		byName[s.Name] = append(byName[s.Name], s.IP)
	}
	list := []Record{j.spfOf(spfWanted{j.Domain, ips, "mx", "~all"}, Required,
		"Says that this server may send mail in the name of "+j.Domain+".")}
	for _, name := range names {
		if name != j.Domain && strings.Contains(name, ".") {
			list = append(list, j.spfOf(spfWanted{name, byName[name], "a", "-all"}, Recommended,
				"Says the same of mail without a sender, such as bounces, for which the name "+name+" counts."))
		}
	}
	return list
}

// A spfWanted is what a record must come to.
type spfWanted struct {
	domain string
	ips    []netip.Addr // may send
	base   string       // the mechanism that a new record begins with
	all    string       // and what it ends with
}

func (j *judge) spfOf(w spfWanted, level Level, why string) Record {
	r := Record{Purpose: SPF, Name: w.domain, Type: "TXT", Level: level, Why: why}
	found := j.found.TXT[w.domain]
	for _, text := range found.List {
		if isSPF(text) {
			r.Found = append(r.Found, text)
		}
	}
	r.Value = j.newSPF(w)
	switch {
	case r.settle(found.Err):
		if j.Relay != "" && w.domain == j.Domain {
			r.Do += " All mail leaves through " + j.Relay + ": add what its operator says, usually an include."
		}
	case len(r.Found) > 1:
		r.Value = mergeSPF(r.Found, w.ips, w)
		r.be(Wrong, "There are %d SPF records, and receivers take that for none: leave this one alone.", len(r.Found))
	default:
		j.judgeSPF(&r, w)
	}
	return r
}

// newSPF returns the record for a name that has none yet.
func (j *judge) newSPF(w spfWanted) string {
	terms := []string{"v=spf1", w.base}
	host := j.found.IP[j.Hostname].List
	if len(host) == 0 {
		host = j.Addresses
	}
	for _, ip := range w.ips {
		covered := slices.Contains(host, ip)
		if w.base == "a" && w.domain != j.Hostname {
			covered = true // a source's name leads to its address
		}
		if !covered {
			terms = append(terms, ipTerm(ip))
		}
	}
	return strings.Join(append(terms, w.all), " ")
}

// judgeSPF judges a single record by what it says of the addresses.
func (j *judge) judgeSPF(r *Record, w spfWanted) {
	record := r.Found[0]
	var refused []netip.Addr
	var result string
	for _, ip := range w.ips {
		got := j.found.SPF[Sender{ip, w.domain}]
		switch {
		case got.Result == "temperror" || got.Result == "":
			r.be(Unknown, "What the record refers to couldn't be looked up: %s. Try again in a moment.", orElse(plainWhy(got.Why), "no answer came in time"))
			return
		case got.Result == "permerror":
			r.Value = mergeSPF(r.Found, w.ips, w)
			r.be(Wrong, "Receivers can't use this record: %s. Mend it, keeping what you need of it.", orElse(plainWhy(got.Why), "its syntax is wrong"))
			return
		case got.Result != "pass" && j.Relay == "":
			refused, result = append(refused, ip), got.Result
		}
	}
	switch all := allOf(record); {
	case len(refused) > 0:
		r.Value = mergeSPF(r.Found, refused, w)
		r.be(Wrong, "Mail from %s gets the result %s: use this record, which has that added.", and(texts(refused)), result)
	case all == "+all":
		r.Value = mergeSPF(r.Found, nil, w)
		r.be(Wrong, "The record lets anybody send in your name: end it with %s.", w.all)
	case all == "" || all == "?all":
		r.keep(Fine, record, "The record says nothing against others who send in your name: end it with %s.", w.all)
	case len(w.ips) == 0 && w.domain == j.Domain:
		r.keep(Fine, record, "Whether this server's mail passes can't be seen, because its addresses aren't known.")
	default:
		r.keep(Right, record, "")
	}
}

// plainWhy leaves out the way to what is wrong.
func plainWhy(why string) string {
	for strings.HasPrefix(why, "include: ") {
		why = strings.TrimPrefix(why, "include: ")
	}
	return why
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func isSPF(text string) bool {
	version, _, _ := strings.Cut(text, " ")
	return strings.EqualFold(version, "v=spf1")
}

// allOf returns how a record ends for everybody whom it doesn't name, "+all" and the
// like; empty if it says nothing. A redirect leaves that to another record, and is
// taken for an end of the usual kind.
func allOf(record string) string {
	for _, term := range strings.Fields(strings.ToLower(record))[1:] {
		switch {
		case term == "all":
			return "+all"
		case len(term) == 4 && term[1:] == "all":
			return term
		case strings.HasPrefix(term, "redirect="):
			return "~all"
		}
	}
	return ""
}

// mergeSPF makes one record of those that are there, with more addresses that may
// send: before everything else, because the first match counts, and by number, so
// that the lookups that a record may need (RFC 7208 section 4.6.4) don't become
// more. It ends as the strictest of them does. What no receiver understands is left
// out.
func mergeSPF(records []string, ips []netip.Addr, w spfWanted) string {
	all := w.all
	terms := []string{"v=spf1"}
	add := func(term string) {
		if !slices.ContainsFunc(terms, func(t string) bool { return strings.EqualFold(t, term) }) {
			terms = append(terms, term)
		}
	}
	for _, ip := range ips {
		add(ipTerm(ip))
	}
	redirect := ""
	for _, record := range records {
		if isStricter(allOf(record), all) {
			all = allOf(record)
		}
		for _, term := range strings.Fields(record)[1:] {
			name := strings.ToLower(strings.TrimLeft(term, "+-~?"))
			switch {
			case name == "all" || !isTerm(name) || name == "include:"+w.domain || name == "redirect="+w.domain:
			case strings.HasPrefix(name, "redirect="):
				redirect = orElse(redirect, term)
			default:
				add(term)
			}
		}
	}
	if redirect != "" {
		return strings.Join(append(terms, redirect), " ")
	}
	return strings.Join(append(terms, all), " ")
}

// isTerm reports whether a term has a name that the standard knows, or is of a kind
// that is passed over where it isn't (RFC 7208 section 6).
func isTerm(term string) bool {
	end := strings.IndexAny(term, ":/=")
	if end < 0 {
		end = len(term)
	}
	return end < len(term) && term[end] == '=' || slices.Contains([]string{"include", "a", "mx", "ptr", "ip4", "ip6", "exists"}, term[:end])
}

func isStricter(a, b string) bool { return a == "-all" && b != "-all" }

func ipTerm(ip netip.Addr) string {
	if ip.Is4() {
		return "ip4:" + ip.String()
	}
	return "ip6:" + ip.String()
}
