package zone

import (
	"net/netip"
	"slices"
	"strings"
)

// host judges the addresses of the server's name, and of other names that it gives
// itself when it sends.
func (j *judge) host() []Record {
	list := j.hostname()
	if j.Backup {
		return list
	}
	seen := map[string]bool{j.Hostname: true}
	for _, s := range j.Sources {
		if s.Name == "" || seen[s.Name] {
			continue
		}
		seen[s.Name] = true
		r := address(s.Name, s.IP, "The name that is given at EHLO when mail leaves from "+s.IP.String()+" must lead there.")
		r.Found = texts(j.found.IP[s.Name].List)
		r.judgeAddress(j.found.IP[s.Name], s.IP)
		list = append(list, r)
	}
	return list
}

// hostname judges the server's own name, one record for each address.
func (j *judge) hostname() []Record {
	const why = "Other servers and mail programs find this server by its name."
	found := j.found.IP[j.Hostname]
	if !strings.Contains(j.Hostname, ".") {
		return []Record{{
			Purpose: Host, Name: j.Hostname, Type: "A", Level: Required, State: Wrong, Why: why,
			Do: "The server has no full name: set hostname in the configuration to one such as mail." + j.Domain + ".",
		}}
	}
	var list []Record
	for _, ip := range j.Addresses {
		r := address(j.Hostname, ip, why)
		r.Found = texts(sameKind(found.List, ip))
		r.judgeAddress(found, ip)
		if own := meeting(sameKind(found.List, ip), j.Own); r.State == Wrong && len(own) > 0 {
			r.keep(Right, own[0].String(), "")
		}
		list = append(list, r)
	}
	if len(list) == 0 {
		list = append(list, j.unknownAddress(found, why))
	}
	others := slices.DeleteFunc(slices.Clone(found.List), func(ip netip.Addr) bool {
		return slices.Contains(j.Addresses, ip) || slices.Contains(j.Own, ip)
	})
	if len(others) > 0 && list[0].State == Right && len(j.Addresses) > 0 {
		list[0].be(Fine, "The name also leads to %s, which this server doesn't know as its own: mail that goes there is lost unless it is.", and(texts(others)))
	}
	if alias := j.found.CNAME[j.Hostname].List; len(alias) > 0 && list[0].State != Unknown {
		list[0].be(Wrong, "%s is an alias (CNAME) of %s, and an MX record must not lead to one (RFC 2181 section 10.3): give it an address instead.", j.Hostname, alias[0])
	}
	return list
}

// unknownAddress judges the server's name where its address isn't known here, such
// as behind a router: then the DNS is believed.
func (j *judge) unknownAddress(found Answer[netip.Addr], why string) Record {
	r := Record{Purpose: Host, Name: j.Hostname, Type: "A", Level: Required, Why: why, Found: texts(found.List)}
	switch {
	case r.settle(found.Err):
		if r.State == Missing {
			r.Do = "Add one with the address at which this server is reached from outside; it can't be seen from here."
		}
	case slices.ContainsFunc(found.List, isPublic):
		ip := found.List[slices.IndexFunc(found.List, isPublic)]
		r.Type = kind(ip)
		r.keep(Right, ip.String(), "Whether that address leads to this server can't be seen from here: its own ones are private.")
	default:
		r.keep(Fine, found.List[0].String(), "Nobody outside of your network can reach that address.")
	}
	return r
}

func address(name string, ip netip.Addr, why string) Record {
	return Record{Purpose: Host, Name: name, Type: kind(ip), Value: ip.String(), Level: Required, Why: why}
}

// judgeAddress judges a name that must lead to an address, and may lead to others.
func (r *Record) judgeAddress(found Answer[netip.Addr], ip netip.Addr) {
	switch {
	case slices.Contains(found.List, ip):
		r.State = Right
	case r.settle(found.Err):
	default:
		r.be(Wrong, "It leads to %s, and this server has the address %s.", and(r.Found), ip)
	}
}

func kind(ip netip.Addr) string {
	if ip.Is4() {
		return "A"
	}
	return "AAAA"
}

// sameKind returns those of some addresses that are IPv4 or IPv6 as ip is.
func sameKind(list []netip.Addr, ip netip.Addr) []netip.Addr {
	var same []netip.Addr
	for _, other := range list {
		if other.Is4() == ip.Is4() {
			same = append(same, other)
		}
	}
	return same
}

// meeting returns those of some addresses that are among others.
func meeting(list, others []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(list), func(ip netip.Addr) bool { return !slices.Contains(others, ip) })
}

func isPublic(ip netip.Addr) bool { return ip.IsGlobalUnicast() && !ip.IsPrivate() }
