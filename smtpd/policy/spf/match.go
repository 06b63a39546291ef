package spf

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// matches reports whether a term of the record of domain is about the client
// (section 5).
func (e *evaluation) matches(ctx context.Context, t term, domain string) (bool, error) {
	switch t.kind {
	case all:
		return true, nil
	case network:
		return t.network.Contains(e.IP), nil
	}
	target, err := e.target(ctx, t.domain, domain)
	if err == nil {
		err = e.count()
	}
	if err != nil {
		return false, err
	}
	switch t.kind {
	case include:
		return e.matchesInclude(ctx, target)
	case host:
		return e.matchesHost(ctx, t, target)
	case mx:
		return e.matchesMX(ctx, t, target)
	case exists:
		found, err := e.addresses(ctx, "ip4", target)
		return len(found) > 0, err
	}
	return e.matchesName(ctx, target)
}

// target returns the domain that a domain-spec means, with the labels in front
// taken off that are too many for a name (section 7.3).
func (e *evaluation) target(ctx context.Context, spec, domain string) (string, error) {
	if spec == "" {
		return domain, nil
	}
	target, err := e.expand(ctx, spec, domain)
	target = plain(target)
	for err == nil && len(target) > 253 {
		_, after, ok := strings.Cut(target, ".")
		if !ok {
			return "", permanent("a domain in the record is too long")
		}
		target = after
	}
	return target, err
}

func (e *evaluation) matchesInclude(ctx context.Context, target string) (bool, error) {
	switch o := e.check(ctx, target); o.Result {
	case Pass:
		return true, nil
	case TempError:
		return false, &problem{TempError, o.Problem}
	case PermError, None:
		return false, permanent("include: " + o.Problem)
	}
	return false, nil
}

// family is which addresses are like the client's.
func (e *evaluation) family() string {
	if e.IP.Is4() {
		return "ip4"
	}
	return "ip6"
}

// addresses returns the addresses of a host, none if it doesn't exist.
func (e *evaluation) addresses(ctx context.Context, network, name string) ([]netip.Addr, error) {
	found, err := e.dns.LookupNetIP(ctx, network, name)
	if err != nil && !isMissing(err) {
		return nil, err
	}
	found = slices.DeleteFunc(slices.Clone(found), func(ip netip.Addr) bool { return ip.Unmap().Is4() != (network == "ip4") })
	return found, e.countVoid(len(found))
}

func (e *evaluation) contains(t term, list []netip.Addr) bool {
	bits := t.bits4
	if !e.IP.Is4() {
		bits = t.bits6
	}
	return slices.ContainsFunc(list, func(ip netip.Addr) bool {
		network, err := ip.Unmap().WithZone("").Prefix(bits)
		return err == nil && network.Contains(e.IP)
	})
}

func (e *evaluation) matchesHost(ctx context.Context, t term, target string) (bool, error) {
	found, err := e.addresses(ctx, e.family(), target)
	return err == nil && e.contains(t, found), err
}

func (e *evaluation) matchesMX(ctx context.Context, t term, target string) (bool, error) {
	list, err := e.dns.LookupMX(ctx, target)
	if err != nil && !isMissing(err) {
		return false, err
	}
	if err := e.countVoid(len(list)); err != nil {
		return false, err
	}
	if len(list) > maxHosts {
		return false, permanent(target + " has more MX records than can be looked at")
	}
	for _, m := range list {
		found, err := e.dns.LookupNetIP(ctx, e.family(), plain(m.Host))
		if err != nil && !isMissing(err) {
			return false, err
		}
		if e.contains(t, found) {
			return true, nil
		}
	}
	return false, nil
}

// matchesName reports whether the client has a name in a domain. What goes wrong in
// finding out is not the domain's fault (section 5.5).
func (e *evaluation) matchesName(ctx context.Context, target string) (bool, error) {
	return slices.ContainsFunc(e.clientNames(ctx), func(name string) bool { return isWithin(name, lower(target)) }), nil
}

// clientName returns a name of the client for %{p}: the domain itself if it is one,
// else one in it, else any; "unknown" if there is none (section 7.3).
func (e *evaluation) clientName(ctx context.Context, domain string) string {
	names := e.clientNames(ctx)
	if slices.Contains(names, lower(domain)) {
		return lower(domain)
	}
	if i := slices.IndexFunc(names, func(name string) bool { return isWithin(name, lower(domain)) }); i >= 0 {
		return names[i]
	}
	if len(names) > 0 {
		return names[0]
	}
	return "unknown"
}

// clientNames returns the names of the client's address that lead back to it.
func (e *evaluation) clientNames(ctx context.Context) []string {
	if e.named {
		return e.names
	}
	e.named = true
	list, err := e.dns.LookupAddr(ctx, e.IP.String())
	if err != nil {
		return nil
	}
	for _, name := range list[:min(len(list), maxHosts)] {
		found, err := e.dns.LookupNetIP(ctx, e.family(), plain(name))
		if err == nil && slices.ContainsFunc(found, func(ip netip.Addr) bool { return ip.Unmap() == e.IP }) {
			e.names = append(e.names, lower(name))
		}
	}
	return e.names
}

func isWithin(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

func plain(name string) string { return strings.TrimSuffix(name, ".") }
func lower(name string) string { return strings.ToLower(plain(name)) }

func isMissing(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}
