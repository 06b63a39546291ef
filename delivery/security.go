package delivery

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"postroom/delivery/dane"
	"postroom/delivery/route"
	"postroom/delivery/smtpclient"
	"postroom/delivery/sts"
	"postroom/store"
	"postroom/store/mail"
)

// Policies are the MTA-STS policies of domains; *sts.Policies is one.
type Policies interface {
	For(ctx context.Context, domain string) (sts.Policy, error)
}

// An authenticator is a Resolver that knows what DNSSEC vouches for;
// *resolver.Resolver is one. Without it there is no DANE.
type authenticator interface {
	AuthenticNetIP(ctx context.Context, host string) (list []netip.Addr, name string, authentic bool, err error)
	AuthenticAlias(ctx context.Context, name string) (bool, error)
	LookupTLSA(ctx context.Context, name string) (records []dns.TLSA, authentic bool, err error)
}

// security says how connections must be protected.
type security struct {
	sts  Policies      // nil: nobody's
	dane authenticator // nil: no DANE
}

func newSecurity(d *Dispatcher) *security {
	s := &security{sts: d.STS}
	s.dane, _ = d.Resolver.(authenticator)
	return s
}

// A rule is how the connection to one host must be protected.
type rule struct {
	smtpclient.Security
	lax     bool   // less is demanded than for other mail, because the sender wants it so
	note    string // for the trace
	testing string // a policy that isn't enforced yet, in words
}

// A suspect is a host that a rule is wanted for.
type suspect struct {
	next   next
	domain string // the recipients'
	host   route.Host
	ip     netip.Addr
	named  bool // DNSSEC vouches for its name
	wish   mail.TLSWish
}

// A policyError keeps mail from a host that can't be used as policy demands. It
// is temporary.
type policyError struct{ words string }

func (e *policyError) Error() string { return e.words }

// rule decides who decides: the admin, then DANE (RFC 7672), then MTA-STS (RFC
// 8461), and otherwise what the server offers is taken. Its error, a *policyError
// or our own trouble, means that the host must not be used now.
func (s *security) rule(ctx context.Context, h suspect) (rule, error) {
	switch {
	case h.host.Fallback && (!h.next.ruled || h.next.tls == store.TLSNone):
		return rule{}, nil // a domain's servers that can't do TLS say nothing of the relay
	case h.next.ruled || h.next.relay != nil:
		return ruled(h), nil
	case h.wish == mail.TLSOptional: // RFC 8689 section 4.2.2
		return rule{lax: true, note: "its sender wants it delivered even unprotected (TLS-Required: No)"}, nil
	}
	found, err := s.byDANE(ctx, h)
	if found.demands() || err != nil {
		return found, err
	}
	return s.bySTS(ctx, h)
}

func (r rule) demands() bool { return r.Level == smtpclient.Encrypt || r.Level == smtpclient.Verify }

// ruled is what the admin has said. A server on this machine needs no certificate
// that others would trust.
func ruled(h suspect) rule {
	must := smtpclient.Security{Level: smtpclient.Verify, Why: "the administrator's TLS policy"}
	switch {
	case h.next.tls == store.TLSNone:
		return rule{Security: smtpclient.Security{Level: smtpclient.None}}
	case h.next.tls == store.TLSMust && h.ip.IsLoopback():
		must.Level = smtpclient.Encrypt
		return rule{Security: must}
	case h.next.tls == store.TLSMust:
		return rule{Security: must}
	}
	return rule{}
}

// byDANE demands what the TLSA records of a host say, if DNSSEC vouches for
// everything that leads to them.
func (s *security) byDANE(ctx context.Context, h suspect) (rule, error) {
	if s.dane == nil || !h.named || h.host.Literal() {
		return rule{}, nil
	}
	bases, err := s.bases(ctx, h.host.Name)
	if err != nil {
		return rule{}, &policyError{fmt.Sprintf("%s can't be protected by DANE now: %v", h.host.Name, err)}
	}
	for _, base := range bases {
		records, authentic, err := s.dane.LookupTLSA(ctx, fmt.Sprintf("_%d._tcp.%s", h.host.Port, base))
		if err != nil && !route.IsMissing(err) {
			return rule{}, &policyError{fmt.Sprintf("the TLSA records of %s can't be found out, so it can't be trusted: %v", base, err)}
		}
		if err == nil && authentic && len(records) > 0 {
			return daneRule(records, base, h), nil
		}
	}
	return rule{}, nil
}

// daneRule: records that make no sense demand TLS all the same (RFC 7672 section
// 2.2).
func daneRule(records []dns.TLSA, base string, h suspect) rule {
	if len(dane.Usable(records)) == 0 {
		return rule{Security: smtpclient.Security{Level: smtpclient.Encrypt, Why: "DANE, by TLSA records that say no more"}}
	}
	names := []string{base, h.host.Name, h.domain}
	return rule{Security: smtpclient.Security{
		Level: smtpclient.Verify,
		Judge: dane.Judge(records, slices.Compact(names)),
		Why:   "DANE",
		Name:  base,
	}}
}

// bases returns the names under which a host may have TLSA records, the first of
// which that has some counts (RFC 7672 section 2.2.2): where its aliases lead, if
// DNSSEC vouches for all of them, then its own name, if for that alone.
func (s *security) bases(ctx context.Context, host string) ([]string, error) {
	_, name, authentic, err := s.dane.AuthenticNetIP(ctx, host)
	switch alias := !strings.EqualFold(name, host); {
	case err != nil:
		return nil, err
	case authentic && alias:
		return []string{name, host}, nil
	case authentic:
		return []string{host}, nil
	case !alias:
		return nil, nil
	}
	authentic, err = s.dane.AuthenticAlias(ctx, host)
	if err != nil || !authentic {
		return nil, err
	}
	return []string{host}, nil
}

// bySTS demands what the recipients' domain says about its servers.
func (s *security) bySTS(ctx context.Context, h suspect) (rule, error) {
	if s.sts == nil || h.host.Literal() {
		return rule{}, nil
	}
	policy, err := s.sts.For(ctx, h.domain)
	if err != nil {
		return rule{}, fmt.Errorf("look up the MTA-STS policy of %s: %w", h.domain, err)
	}
	words, fits := "MTA-STS policy of "+h.domain, policy.Matches(h.host.Name)
	switch {
	case policy.Enforced() && !fits:
		return rule{}, &policyError{"the " + words + " doesn't name " + h.host.Name}
	case policy.Enforced():
		return rule{Security: smtpclient.Security{Level: smtpclient.Verify, Why: words}}, nil
	case policy.Mode == sts.Testing && !fits:
		return rule{note: "the " + words + ", not enforced yet, doesn't name " + h.host.Name}, nil
	case policy.Mode == sts.Testing:
		return rule{testing: words}, nil
	}
	return rule{}, nil
}

// noteOn adds to a rule's note what a policy that is only tested would have said
// of a connection.
func (r rule) noteOn(conn *smtpclient.Conn) string {
	if r.testing == "" || conn.Verified {
		return r.note
	}
	if conn.Certificate == "" {
		return "the " + r.testing + ", not enforced yet, demands TLS"
	}
	return "the " + r.testing + ", not enforced yet, demands another certificate"
}
