package admin

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// Bounds of an entry.
const (
	maxNote   = 500 // octets
	maxAccess = 100 * 365 * 24 * time.Hour
)

func (a *Admin) parseAccess(request AddAccess) (e store.AccessEntry, err error) {
	if e.Action, err = parseAction(request.Action); err != nil {
		return e, err
	}
	if e.What, err = parseWhat(request.What); err != nil {
		return e, err
	}
	if network, err := netip.ParsePrefix(e.What); err == nil && network.Bits() == 0 && e.Action == store.Block {
		return e, invalid("%s is everybody. To take no mail at all, turn listen.smtp off.", e.What)
	}
	if e.Note, err = parseNote(request.Note); err != nil {
		return e, err
	}
	e.Created = a.Now()
	e.Expires, err = endAfter(request.Expires, e.Created)
	return e, err
}

// parseAccessChange reads what is to be different about an entry.
func (a *Admin) parseAccessChange(request ChangeAccess) (change store.AccessChange, err error) {
	if request.Note == nil && request.Expires == nil {
		return change, invalid("Say what is to be different: the note, or when the entry ends.")
	}
	if request.Note != nil {
		note, err := parseNote(*request.Note)
		if err != nil {
			return change, err
		}
		change.Note = &note
	}
	if request.Expires != nil {
		expires, err := endAfter(*request.Expires, a.Now())
		if err != nil {
			return change, err
		}
		change.Expires = &expires
	}
	return change, nil
}

func parseNote(text string) (string, error) {
	note := mail.Printable(text, maxNote+1)
	if len(note) > maxNote {
		return "", invalid("The note is too long: %d octets at most.", maxNote)
	}
	return note, nil
}

// endAfter returns when what begins now ends after a span; zero: never.
func endAfter(span string, now time.Time) (time.Time, error) {
	ends, err := parseSpan(span)
	if err != nil || ends == 0 {
		return time.Time{}, err
	}
	return now.Add(ends), nil
}

func parseAction(text string) (store.AccessAction, error) {
	for action, word := range accessWords {
		if text == word {
			return action, nil
		}
	}
	return 0, invalid("%q is neither block nor allow.", text)
}

// parseWhat reads what an entry is about, and returns it as store.AccessEntry has
// it. "@example.org" and "*.example.org" are the domain.
func parseWhat(text string) (string, error) {
	text = strings.TrimSpace(text)
	text = strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">")
	if network, ok := parseNetwork(text); ok {
		return network.String(), nil
	}
	if at := strings.LastIndexByte(text, '@'); at > 0 && text[:at] != "*" {
		address, err := mail.ParseAddress(text)
		if err != nil {
			return "", invalid("%q is not a mail address. It should look like eve@example.org.", text)
		}
		return address.Key(), nil
	}
	name := text
	for _, prefix := range []string{"*@", "@", "*.", "."} {
		name = strings.TrimPrefix(name, prefix)
	}
	domain, err := mail.ParseDomain(strings.TrimSuffix(name, "."))
	if last := domain[strings.LastIndexByte(domain, '.')+1:]; err != nil || strings.Trim(last, "0123456789") == "" { // no top-level domain is a number
		return "", invalid("%q is no address (192.0.2.1), network (192.0.2.0/24, 2001:db8::/32), domain (example.org) or mail address (eve@example.org).", text)
	}
	return domain, nil
}

// parseNetwork reads an address, also in the brackets of mail, or a network in
// CIDR notation, whose host part doesn't matter.
func parseNetwork(text string) (netip.Prefix, bool) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		text = strings.TrimSuffix(inner, "]")
		if len(text) > 5 && strings.EqualFold(text[:5], "IPv6:") {
			text = text[5:]
		}
	}
	address, length, hasLength := strings.Cut(text, "/")
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Zone() != "" {
		return netip.Prefix{}, false
	}
	bits := ip.BitLen()
	if hasLength {
		if bits, err = strconv.Atoi(length); err != nil || length != strconv.Itoa(bits) {
			return netip.Prefix{}, false
		}
	}
	if ip.Is4In6() {
		ip, bits = ip.Unmap(), bits-96
	}
	network, err := ip.Prefix(bits)
	return network, err == nil
}

func isNetwork(what string) bool {
	_, ok := parseNetwork(what)
	return ok
}

// shownWhat is what people read: a single address without its length.
func shownWhat(what string) string {
	if network, err := netip.ParsePrefix(what); err == nil && network.IsSingleIP() {
		return network.Addr().String()
	}
	return what
}

// parseSpan reads how long something lasts: what time.ParseDuration reads, with
// weeks and days in front; nothing, or "0", is 0.
func parseSpan(text string) (span time.Duration, err error) {
	rest := strings.TrimSpace(text)
	if rest == "" || rest == "0" {
		return 0, nil
	}
	bad := invalid("%q is not a length of time. It should look like 12h, 30d or 2w, and be no longer than a hundred years.", text)
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		number, after, found := strings.Cut(rest, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || time.Duration(n) > maxAccess/unit.long {
			return 0, bad
		}
		span, rest = span+time.Duration(n)*unit.long, after
	}
	more := time.Duration(0)
	if rest != "" {
		if more, err = time.ParseDuration(rest); err != nil || more <= 0 || more > maxAccess {
			return 0, bad
		}
	}
	if span += more; span <= 0 || span > maxAccess {
		return 0, bad
	}
	return span, nil
}
