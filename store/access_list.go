package store

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroom/store/mail"
)

// An AccessList is the admin's own lists, made ready to be asked. It never
// changes, so many goroutines may ask at once. The nil AccessList is empty.
//
// Of several entries that are about the same the most specific decides, and what
// has ended decides nothing.
type AccessList struct {
	networks map[netip.Prefix]AccessEntry
	lengths4 []int // of the IPv4 networks, the longest first
	lengths6 []int
	names    map[string]AccessEntry // domains and addresses; only these have an @
}

// NewAccessList compiles entries. It passes over what is neither a network, nor a
// domain, nor an address.
func NewAccessList(entries []AccessEntry) *AccessList {
	l := &AccessList{networks: make(map[netip.Prefix]AccessEntry), names: make(map[string]AccessEntry)}
	for _, e := range entries {
		if network, err := netip.ParsePrefix(e.What); err == nil {
			l.addNetwork(network.Masked(), e)
			continue
		}
		if address, err := mail.ParseAddress(e.What); err == nil {
			l.names[address.Key()] = e
		} else if domain, err := mail.ParseDomain(e.What); err == nil {
			l.names[domain] = e
		}
	}
	return l
}

func (l *AccessList) addNetwork(network netip.Prefix, e AccessEntry) {
	l.networks[network] = e
	lengths := &l.lengths4
	if network.Addr().Is6() {
		lengths = &l.lengths6
	}
	at, found := slices.BinarySearchFunc(*lengths, network.Bits(), func(have, bits int) int { return bits - have })
	if !found {
		*lengths = slices.Insert(*lengths, at, network.Bits())
	}
}

// Network returns the entry of the smallest network that has addr.
func (l *AccessList) Network(addr netip.Addr, now time.Time) (AccessEntry, bool) {
	if l == nil {
		return AccessEntry{}, false
	}
	addr = addr.Unmap().WithZone("")
	lengths := l.lengths4
	if addr.Is6() {
		lengths = l.lengths6
	}
	for _, bits := range lengths {
		network, err := addr.Prefix(bits)
		if err != nil {
			continue
		}
		if e, ok := l.networks[network]; ok && !e.Ended(now) {
			return e, true
		}
	}
	return AccessEntry{}, false
}

// Sender returns the entry of an address: its own, that of the address without
// its tag, or that of its domain.
func (l *AccessList) Sender(address mail.Address, now time.Time) (AccessEntry, bool) {
	if l == nil || address.Domain == "" {
		return AccessEntry{}, false
	}
	for _, key := range []string{address.Key(), address.Base().Key()} {
		if e, ok := l.names[key]; ok && !e.Ended(now) {
			return e, true
		}
	}
	return l.Domain(address.Domain, now)
}

// Domain returns the entry of a domain: its own, or that of the nearest domain
// above it. name is lower case, in A-labels.
func (l *AccessList) Domain(name string, now time.Time) (AccessEntry, bool) {
	if l == nil {
		return AccessEntry{}, false
	}
	for name != "" {
		if e, ok := l.names[name]; ok && !e.Ended(now) {
			return e, true
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return AccessEntry{}, false
}
