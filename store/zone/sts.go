package zone

import (
	"slices"
	"strings"
)

// sts judges whether others find the MTA-STS policy that is served (RFC 8461), and
// know which one it is.
func (j *judge) sts() []Record {
	policy, ok := j.Policy()
	if !ok {
		return j.noPolicy()
	}
	r := Record{
		Purpose: MTASTS, Name: "_mta-sts." + j.Domain, Type: "TXT", Level: Recommended,
		Value: "v=STSv1; id=" + policy.ID(),
		Why:   "Tells other servers that mail for " + j.Domain + " is to come over TLS alone, and which policy says so.",
	}
	if policy.Mode == "testing" {
		r.Why = "Asks other servers to report where mail for " + j.Domain + " couldn't have come over TLS alone, before that is demanded."
	}
	found := j.found.TXT[r.Name]
	r.Found = withVersion(found.List, "STSv1")
	switch {
	case r.settle(found.Err):
	case len(r.Found) > 1:
		r.be(Wrong, "There are %d such records, and senders take that for none: leave this one alone.", len(r.Found))
	case tags(r.Found[0])["id"] == "":
		r.be(Wrong, "The record has no id, so senders pass over it: replace it.")
	case tags(r.Found[0])["id"] != policy.ID():
		r.be(Wrong, "The policy has changed since this id was set, and senders who know the old one don't see that: replace the id.")
	default:
		r.keep(Right, r.Found[0], "")
	}
	if r.State != Unknown && policy.Mode == "enforce" && !j.isCertified(j.Hostname) {
		r.be(Wrong, "No certificate of an authority for %s is shown here, so servers that obey an enforced policy don't deliver: say tls.mta_sts = \"testing\" until there is one.", j.Hostname)
	}
	host := j.lead("mta-sts", MTASTS, "The name under which other servers fetch the MTA-STS policy of "+j.Domain+" from here.")
	host.Level = Recommended
	if host.State == Right && j.Ports.HTTPS != 0 && !j.isCertified(host.Name) {
		host.be(Fine, "No certificate of an authority for this name is shown here yet, so the policy can't be fetched: tls.acme gets one, or tls.cert must have the name.")
	}
	list := []Record{r, host}
	if j.Ports.HTTPS == 0 {
		for i := range list {
			list[i].Level = Optional
			if list[i].State != Unknown {
				list[i].Do = strings.TrimSpace(list[i].Do + " While listen.https is off, a proxy with TLS must hand requests for it on to listen.web.")
			}
		}
	}
	return list
}

// isCertified reports whether a name stands in a certificate that others trust, as
// far as that is known.
func (j *judge) isCertified(name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	return !j.Certificates || slices.Contains(j.Certified, name) || slices.Contains(j.Certified, "*."+parent)
}

// noPolicy judges what is left of a policy that isn't served here.
func (j *judge) noPolicy() []Record {
	r := Record{Purpose: MTASTS, Name: "_mta-sts." + j.Domain, Type: "TXT", Level: Optional, Why: "Tells other servers of an MTA-STS policy."}
	r.Found = withVersion(j.found.TXT[r.Name].List, "STSv1")
	if len(r.Found) == 0 {
		return nil
	}
	r.keep(Fine, r.Found[0], "No policy is served here (tls.mta_sts is off): it must be elsewhere, and name %s, or this record be taken away.", j.Hostname)
	return []Record{r}
}

// reports judges whether others tell of TLS that failed (RFC 8460).
func (j *judge) reports() []Record {
	r := Record{
		Purpose: TLSRPT, Name: "_smtp._tls." + j.Domain, Type: "TXT", Level: Recommended,
		Value: "v=TLSRPTv1; rua=mailto:postmaster@" + j.Domain,
		Why:   "Other servers report there when they can't reach this one over TLS.",
	}
	found := j.found.TXT[r.Name]
	r.Found = withVersion(found.List, "TLSRPTv1")
	switch {
	case r.settle(found.Err):
	case len(r.Found) > 1:
		r.be(Wrong, "There are %d such records, and senders take that for none: leave one alone.", len(r.Found))
	case tags(r.Found[0])["rua"] == "":
		r.be(Wrong, "The record doesn't say where reports go: replace it.")
	default:
		r.keep(Right, r.Found[0], "")
	}
	return []Record{r}
}

// withVersion returns those texts that begin with a version.
func withVersion(list []string, version string) []string {
	var found []string
	for _, text := range list {
		if first, _, _ := strings.Cut(text, ";"); strings.TrimSpace(first) == "v="+version {
			found = append(found, text)
		}
	}
	return found
}

// lead judges a name in the domain that is to lead to this server.
func (j *judge) lead(label string, purpose Purpose, why string) Record {
	name := label + "." + j.Domain
	r := Record{Purpose: purpose, Name: name, Type: "CNAME", Value: dotted(j.Hostname), Level: Optional, Why: why}
	found, host := j.found.IP[name], j.found.IP[j.Hostname]
	r.Found = texts(found.List)
	if alias := j.found.CNAME[name].List; len(alias) > 0 {
		r.Found = []string{dotted(alias[0])}
	}
	switch {
	case r.settle(found.Err):
	case j.leadsHere(name) && len(j.found.CNAME[name].List) == 0:
		r.Type = kind(found.List[0]) // a name that has an address can't be an alias too
		r.keep(Right, found.List[0].String(), "")
	case j.leadsHere(name):
		r.keep(Right, r.Found[0], "")
	case len(found.List) == 0:
		r.be(Wrong, "It leads to a name that has no address: let it lead to %s.", j.Hostname)
	case host.Err != nil:
		r.be(Unknown, "Whether it leads here can't be told, because %s couldn't be looked up: %s. Try again in a moment.", j.Hostname, reason(host.Err))
	default:
		r.be(Wrong, "It leads to another server, which is right only if that one has the file that is served here.")
	}
	return r
}
