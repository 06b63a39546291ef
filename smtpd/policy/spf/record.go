package spf

import (
	"net/netip"
	"strconv"
	"strings"
)

// A record is a domain's policy.
type record struct {
	terms         []term
	redirect, exp string // domain-specs, empty without
}

// A kind is what a mechanism looks at.
type kind int

const (
	all kind = iota
	include
	host // "a"
	mx
	ptr
	network // "ip4", "ip6"
	exists
)

// A term is a mechanism with what it means if it matches.
type term struct {
	kind         kind
	result       Result
	text         string       // as it stands in the record
	domain       string       // a domain-spec; empty: the record's own domain
	network      netip.Prefix // of ip4 and ip6
	bits4, bits6 int          // of a and mx
}

// parse reads a whole record: a mistake anywhere in it is one of all of it (section
// 4.6).
func parse(text string) (*record, error) {
	r := &record{}
	for _, field := range strings.Split(text, " ")[1:] {
		if field == "" {
			continue
		}
		if !isVisible(field) {
			return nil, permanent("the record holds characters that it must not")
		}
		if err := r.add(field); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *record) add(field string) error {
	if name, value, ok := cutModifier(field); ok {
		return r.addModifier(field, name, value)
	}
	t, ok := parseTerm(field)
	if !ok {
		return permanent("the record holds what isn't a mechanism: " + field)
	}
	r.terms = append(r.terms, t)
	return nil
}

// cutModifier takes a modifier apart; mechanisms have ":" or "/" before any "=".
func cutModifier(field string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(field, "=")
	if !ok || name == "" || !isAlpha(name[0]) {
		return "", "", false
	}
	for i := range len(name) {
		if !isAlphanumeric(name[i]) && strings.IndexByte("-_.", name[i]) < 0 {
			return "", "", false
		}
	}
	return strings.ToLower(name), value, true
}

func (r *record) addModifier(field, name, value string) error {
	into, ok := map[string]*string{"redirect": &r.redirect, "exp": &r.exp}[name]
	switch {
	case !ok && isMacroString(value):
		return nil
	case !ok, *into != "", !isDomainSpec(value):
		return permanent("the record holds a modifier that can't be understood: " + field)
	}
	*into = value
	return nil
}

var qualifiers = map[byte]Result{'+': Pass, '-': Fail, '~': SoftFail, '?': Neutral}

func parseTerm(field string) (t term, ok bool) {
	t = term{result: Pass, text: field, bits4: 32, bits6: 128}
	if result, ok := qualifiers[field[0]]; ok {
		t.result, field = result, field[1:]
	}
	end := strings.IndexAny(field, ":/")
	if end < 0 {
		end = len(field)
	}
	name, rest := strings.ToLower(field[:end]), field[end:]
	value, given := strings.CutPrefix(rest, ":")
	switch name {
	case "all":
		t.kind, ok = all, rest == ""
	case "include":
		t.kind, t.domain, ok = include, value, isDomainSpec(value)
	case "exists":
		t.kind, t.domain, ok = exists, value, isDomainSpec(value)
	case "ptr":
		t.kind, t.domain, ok = ptr, value, rest == "" || given && isDomainSpec(value)
	case "a", "mx":
		t.kind = host
		if name == "mx" {
			t.kind = mx
		}
		ok = t.setHost(rest)
	case "ip4", "ip6":
		t.kind, ok = network, t.setNetwork(value, name == "ip4")
	}
	return t, ok
}

// setHost reads what follows "a" and "mx": ":domain", "/32", "//128" (section 5.3).
func (t *term) setHost(rest string) bool {
	spec, bits := rest, ""
	afterName := len(strings.TrimRight(rest, "0123456789/"))
	if i := strings.IndexByte(rest[afterName:], '/'); i >= 0 {
		spec, bits = rest[:afterName+i], rest[afterName+i:]
	}
	four, six, dual := strings.Cut(bits, "//")
	if dual && !setBits(&t.bits6, six, 128) {
		return false
	}
	if four != "" && !setBits(&t.bits4, four[1:], 32) {
		return false
	}
	domain, given := strings.CutPrefix(spec, ":")
	t.domain = domain
	return spec == "" || given && isDomainSpec(domain)
}

func (t *term) setNetwork(value string, four bool) bool {
	addr, bits, sized := strings.Cut(value, "/")
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Zone() != "" || ip.Is4() != four {
		return false
	}
	n := ip.BitLen()
	if sized && !setBits(&n, bits, n) {
		return false
	}
	if ip.Is4In6() && n >= 96 {
		ip, n = ip.Unmap(), n-96
	}
	t.network, err = ip.Prefix(n)
	return err == nil
}

func setBits(into *int, s string, most int) bool {
	n, err := strconv.Atoi(s)
	if err != nil || strconv.Itoa(n) != s || n < 0 || n > most {
		return false
	}
	*into = n
	return true
}
