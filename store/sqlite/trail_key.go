package sqlite

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"postroom/store"
	"postroom/store/mail"
)

// A trailHead is what a trail is found by.
type trailHead struct {
	id         store.MessageID
	first      int64 // the event from which on it is looked at; the envelope belongs to the event 0
	last       int64 // the last event that was looked at
	headerID   string
	sender     string
	recipients []string // of the envelope, and of the events
	ips, hosts []string
	kinds      []store.Kind
}

// eventKeys is what of an event's detail a trail is found by.
type eventKeys struct {
	Client string `json:"client"`
	Helo   string `json:"helo"`
	Host   string `json:"host"`
	IP     string `json:"ip"`
}

// add takes what an event tells.
func (h *trailHead) add(seq int64, kind store.Kind, recipient, detail string) error {
	h.last = max(h.last, seq)
	if recipient != "" && !slices.Contains(h.recipients[max(0, len(h.recipients)-8):], recipient) {
		h.recipients = append(h.recipients, recipient)
	}
	if findable(kind) && !slices.Contains(h.kinds, kind) {
		h.kinds = append(h.kinds, kind)
	}
	if detail == "" {
		return nil
	}
	e, err := keysIn(detail)
	if err != nil {
		return fmt.Errorf("detail of an event of trail %v: %w", h.id, err)
	}
	h.ips = append(h.ips, e.Client, e.IP)
	h.hosts = append(h.hosts, e.Helo, e.Host)
	return nil
}

// keysIn reads an event's detail. To parse all of it would be half of the cost of
// indexing: what has no backslash in it can be cut out, because no quote of another
// field's text stands there without one.
func keysIn(detail string) (e eventKeys, err error) {
	for _, field := range []struct {
		name string
		into *string
	}{{`"client":"`, &e.Client}, {`"helo":"`, &e.Helo}, {`"host":"`, &e.Host}, {`"ip":"`, &e.IP}} {
		_, rest, found := strings.Cut(detail, field.name)
		if !found {
			continue
		}
		value, _, closed := strings.Cut(rest, `"`)
		if !closed || strings.Contains(value, `\`) {
			e = eventKeys{}
			return e, json.Unmarshal([]byte(detail), &e)
		}
		*field.into = value
	}
	return e, nil
}

// findable reports whether a trail is found by having an event of a kind. Most mail
// is delivered: a key for that would be one more for each message, and lead nowhere.
func findable(kind store.Kind) bool {
	switch kind {
	case store.Relayed, store.Postponed, store.Bounced, store.Rejected, store.Collected, store.Deleted, store.Cancelled:
		return true
	}
	return false
}

// keys returns the trail's keys, each once.
func (h *trailHead) keys() []string {
	keys := make([]string, 0, 8+len(h.recipients))
	if h.headerID != "" {
		keys = append(keys, headerIDKey(h.headerID))
	}
	if h.sender != "" {
		keys = append(keys, addressKey(h.sender))
	}
	for _, r := range h.recipients {
		if r != "" {
			keys = append(keys, addressKey(r))
		}
	}
	for _, text := range h.ips {
		if ip, err := netip.ParseAddr(text); err == nil {
			keys = append(keys, ipKey(ip))
		}
	}
	for _, host := range h.hosts {
		if host != "" {
			keys = append(keys, hostKey(host))
		}
	}
	for _, kind := range h.kinds {
		keys = append(keys, outcomeKey(kind))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// addressKey returns the key of an address. What is none, as a refused client
// may have given, is found by its letters.
func addressKey(text string) string {
	if a, err := mail.ParseAddress(text); err == nil {
		return "a:" + a.Key()
	}
	return "a:" + strings.ToLower(text)
}

func headerIDKey(text string) string {
	return "m:" + strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">")
}

// ipKey returns the key of an IP. Those of a network lie together.
func ipKey(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return "i:4" + hex.EncodeToString(ip.AsSlice())
	}
	return "i:6" + hex.EncodeToString(ip.AsSlice())
}

// hostKey returns the key of a host. Those in a domain lie together, behind it.
func hostKey(host string) string {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(host, ".")), ".")
	slices.Reverse(labels)
	return "h:" + strings.Join(labels, ".")
}

func outcomeKey(kind store.Kind) string { return "o:" + string(kind) }

// networkKeys returns the first key that an IP of a network may have, and a bound
// behind the last.
func networkKeys(network netip.Prefix) (from, below string) {
	last := network.Masked().Addr().AsSlice()
	for bit := network.Bits(); bit < 8*len(last); bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	highest, _ := netip.AddrFromSlice(last)
	return ipKey(network.Masked().Addr()), ipKey(highest) + "~"
}

// textKeys returns the keys under which a person's text could be found.
func textKeys(text string) []string {
	return []string{headerIDKey(text), addressKey(strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">"))}
}
