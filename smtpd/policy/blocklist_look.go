package policy

import (
	"context"
	"net/netip"
	"sync"
)

// A ListTrouble says what is wrong with a list, in one sentence or two.
type ListTrouble struct{ Zone, Text string }

// Sound looks whether the lists are what they should be (RFC 5782 5), and returns
// those that aren't: one can't be asked, refuses to answer us, lists nobody or
// everybody.
func (b *Blocklists) Sound(ctx context.Context) []ListTrouble {
	zones := len(b.Clients) + len(b.Domains)
	texts := make([]string, zones)
	var looking sync.WaitGroup
	for i, zone := range b.Clients {
		looking.Go(func() { texts[i] = b.clientTrouble(ctx, zone) })
	}
	for i, zone := range b.Domains {
		looking.Go(func() { texts[len(b.Clients)+i] = b.domainTrouble(ctx, zone) })
	}
	looking.Wait()
	var found []ListTrouble
	for i, zone := range append(append([]string(nil), b.Clients...), b.Domains...) {
		if texts[i] != "" {
			found = append(found, ListTrouble{zone, texts[i]})
		}
	}
	return found
}

// The names that each list has, and those that none has.
const (
	listedTest   = "2.0.0.127"
	listedTest6  = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0" // ::ffff:127.0.0.2
	unlistedTest = "1.0.0.127"
	// Not every list of domains has the name TEST, but none may have INVALID.
	unlistedDomain = "invalid"
)

func (b *Blocklists) clientTrouble(ctx context.Context, zone string) string {
	switch none := b.twice(ctx, listQuestion{zone: zone, name: unlistedTest}); {
	case none.state == isListed:
		return "The blocklist " + zone + " has 127.0.0.1, which none may have: it has everybody, or has come to an end. Take it out of inbound.blocklists."
	case none.state >= isUnknown:
		return askingTrouble(none, "inbound.blocklists")
	}
	some := b.twice(ctx, listQuestion{zone: zone, name: listedTest})
	if some.state == isUnlisted {
		some = b.twice(ctx, listQuestion{zone: zone, name: listedTest6}) // one of IPv6 alone
	}
	switch {
	case some.state >= isUnknown:
		return askingTrouble(some, "inbound.blocklists")
	case some.state == isUnlisted:
		return "The blocklist " + zone + " doesn't have 127.0.0.2, which each must have (RFC 5782): its name is misspelt, or it has come to an end. Look at inbound.blocklists."
	}
	return ""
}

func (b *Blocklists) domainTrouble(ctx context.Context, zone string) string {
	switch none := b.twice(ctx, listQuestion{zone: zone, name: unlistedDomain, domain: true}); {
	case none.state == isListed:
		return "The blocklist " + zone + " has the domain “invalid”, which none may have (RFC 5782): it has every domain, or has come to an end. Take it out of inbound.domain_blocklists."
	case none.state >= isUnknown:
		return askingTrouble(none, "inbound.domain_blocklists")
	}
	return ""
}

// twice asks once more where the first question may only have been lost.
func (b *Blocklists) twice(ctx context.Context, q listQuestion) listAnswer {
	a, _ := b.lookUp(ctx, q)
	if a.state == isUnknown {
		a, _ = b.lookUp(ctx, q)
	}
	return a
}

func askingTrouble(a listAnswer, key string) string {
	if a.state == isRefused {
		return RefusedText(a.zone, a.why)
	}
	return "The blocklist " + a.zone + " is of no use: " + a.why + ". Mail isn't kept waiting for it; if it stays so, take it out of " + key + "."
}

// RefusedText says that a list doesn't answer us, and what to do.
func RefusedText(zone, why string) string {
	return "The blocklist " + zone + " is of no use: " + why +
		". Many lists answer no public DNS server, and nobody who asks a lot: set dns.servers to a resolver of your own, or register with the list."
}

// A Listing is what a list thinks of an address of ours.
type Listing struct {
	Zone   string
	Known  bool // whether it is listed; otherwise the list couldn't be asked
	Listed bool
	Text   string // the list's own words
}

// Listings asks all lists of Clients for one address.
func (b *Blocklists) Listings(ctx context.Context, addr netip.Addr) []Listing {
	questions := make([]listQuestion, len(b.Clients))
	for i, zone := range b.Clients {
		questions[i] = listQuestion{zone: zone, name: reversed(addr), subject: addr.String()}
	}
	list := make([]Listing, len(questions))
	for i, a := range b.askAll(ctx, questions) {
		list[i] = Listing{Zone: a.zone, Known: a.state < isUnknown, Listed: a.state == isListed, Text: a.text}
	}
	return list
}
