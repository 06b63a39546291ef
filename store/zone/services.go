package zone

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// autoconfig judges the names at which mail programs look for their settings.
func (j *judge) autoconfig() []Record {
	thunderbird := j.lead("autoconfig", Autoconfig, "Thunderbird and others find the settings for "+j.Domain+" there.")
	if j.Ports.HTTP == 0 && j.Ports.HTTPS == 0 && thunderbird.State != Unknown {
		thunderbird.Do = strings.TrimSpace(thunderbird.Do + " While listen.http and listen.https are off, a proxy must hand requests for them on to listen.web.")
	}
	outlook := j.lead("autodiscover", Autoconfig, "Outlook finds the settings for "+j.Domain+" there.")
	switch {
	case j.Ports.HTTPS == 0 && outlook.State != Unknown:
		outlook.Do = strings.TrimSpace(outlook.Do + " While listen.https is off, a proxy with TLS must hand requests for it on to listen.web.")
	case outlook.State == Right && !j.isCertified(outlook.Name):
		outlook.be(Fine, "No certificate of an authority for this name is shown here yet, and Outlook asks under no other: tls.acme gets one, or tls.cert must have the name.")
	}
	return []Record{thunderbird, outlook}
}

// A srv is a service as mail programs look for it.
type srv struct {
	name, what string
	port       int
}

// services are what mail programs may look for (RFC 6186 section 3, RFC 8314 section
// 5.1), whether it is there or not, and where Outlook asks.
func services(f Facts) []srv {
	list := []srv{
		{"_submissions._tcp." + f.Domain, "send over TLS", f.Ports.Submissions},
		{"_submission._tcp." + f.Domain, "send with STARTTLS", f.Ports.Submission},
		{"_pop3s._tcp." + f.Domain, "collect over TLS", f.Ports.POP3S},
		{"_pop3._tcp." + f.Domain, "collect with STLS", f.Ports.POP3},
	}
	if f.Ports.HTTPS != 0 { // a proxy that answers instead of it isn't known here
		list = append(list, srv{"_autodiscover._tcp." + f.Domain, "ask for all these settings (Outlook)", f.Ports.HTTPS})
	}
	return list
}

// services judges the records of those services that there are, and of others that
// are announced.
func (j *judge) services() []Record {
	var list []Record
	for _, s := range services(j.Facts) {
		r := Record{
			Purpose: Services, Name: s.name, Type: "SRV", Level: Optional,
			Value: fmt.Sprintf("0 1 %d %s", s.port, dotted(j.Hostname)),
			Why:   "Mail programs find by it where to " + s.what + ".",
		}
		found := j.found.SRV[s.name]
		for _, f := range found.List {
			r.Found = append(r.Found, srvText(f))
		}
		switch {
		case s.port == 0 && len(found.List) == 0:
			continue
		case s.port == 0:
			j.closedService(&r, found.List)
		case !r.settle(found.Err):
			j.judgeService(&r, found.List, s.port)
		}
		list = append(list, r)
	}
	return list
}

func (j *judge) judgeService(r *Record, list []*net.SRV, port int) {
	ours := slices.IndexFunc(list, func(s *net.SRV) bool { return lower(s.Target) == j.Hostname })
	switch {
	case list[0].Target == ".":
		r.be(Wrong, "The record says that there is no such service: replace it.")
	case ours < 0:
		r.be(Wrong, "It leads mail programs to %s, not here.", list[0].Target)
	case int(list[ours].Port) != port:
		r.be(Wrong, "It names the port %d, and the service is on %d.", list[ours].Port, port)
	default:
		r.keep(Right, srvText(list[ours]), "")
	}
}

// closedService judges the records of a service that isn't there.
func (j *judge) closedService(r *Record, list []*net.SRV) {
	r.Value = "0 0 0 ."
	here := slices.ContainsFunc(list, func(s *net.SRV) bool { return lower(s.Target) == j.Hostname })
	if here {
		r.be(Wrong, "There is no such service here: take the record away, or let it say so.")
		return
	}
	r.keep(Fine, r.Found[0], "There is no such service here.")
}

func srvText(s *net.SRV) string {
	return fmt.Sprintf("%d %d %d %s", s.Priority, s.Weight, s.Port, dotted(s.Target))
}
