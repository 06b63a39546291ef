package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// reverse judges the names of the addresses that mail leaves from: many refuse mail
// from one that has none which leads back.
func (j *judge) reverse() []Record {
	var list []Record
	for _, s := range j.senders(j.found.IP[j.Hostname].List) {
		list = append(list, j.reverseOf(s))
	}
	return list
}

func (j *judge) reverseOf(s Source) Record {
	r := Record{
		Purpose: Reverse, Name: reverseName(s.IP), Type: "PTR", Value: dotted(s.Name), Level: Required,
		Why: "The name of " + s.IP.String() + ", which mail leaves from; many refuse mail from an address without a name that leads back to it.",
	}
	if j.Relay != "" {
		r.Level = Optional
	}
	found := j.found.Reverse[s.IP]
	for _, name := range found.List {
		r.Found = append(r.Found, dotted(name))
	}
	if r.settle(found.Err) {
		if r.State == Missing {
			r.Do = "Ask whoever gave you the address to set it; hosters have a page for that."
		}
		return r
	}
	j.judgeReverse(&r, s, found.List[:min(len(found.List), maxHosts)])
	return r
}

func (j *judge) judgeReverse(r *Record, s Source, names []string) {
	var confirmed, named []string
	var failed error
	for _, name := range names {
		name = lower(name)
		named = append(named, name)
		if slices.Contains(j.found.IP[name].List, s.IP) {
			confirmed = append(confirmed, name)
		} else if err := j.found.IP[name].Err; err != nil {
			failed = err
		}
	}
	switch {
	case slices.Contains(confirmed, s.Name):
		r.State = Right
	case len(confirmed) > 0:
		r.keep(Fine, dotted(confirmed[0]), "Its name leads back, but mail from there says at EHLO that it is %s; a few servers want both to be the same.", s.Name)
	case failed != nil:
		r.be(Unknown, "Where %s leads couldn't be looked up: %s. Try again in a moment.", and(named), reason(failed))
	case slices.Contains(named, s.Name):
		r.be(Wrong, "Its name is right, but %s doesn't lead back to %s: add that address to it.", s.Name, s.IP)
	default:
		r.be(Wrong, "Its name is %s, which doesn't lead back to it: ask whoever gave you the address to change it.", and(named))
	}
}

// reverseName returns where the name of an address stands (RFC 1035 section 3.5, RFC
// 3596 section 2.5).
func reverseName(ip netip.Addr) string {
	var labels []string
	if ip.Is4() {
		for _, b := range ip.As4() {
			labels = append(labels, fmt.Sprint(b))
		}
		slices.Reverse(labels)
		return strings.Join(labels, ".") + ".in-addr.arpa"
	}
	for _, b := range ip.As16() {
		labels = append(labels, fmt.Sprintf("%x", b>>4), fmt.Sprintf("%x", b&15))
	}
	slices.Reverse(labels)
	return strings.Join(labels, ".") + ".ip6.arpa"
}
