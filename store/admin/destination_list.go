package admin

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"postroom/store"
)

// A DestinationPart is a part of the list of destinations.
type DestinationPart struct {
	store.ListPart[Destination]
	Failing, Paused int64 // of all; a relay is one, however many domains' mail goes there
}

// ListDestinations returns a part of what Destinations returns: first those at which
// mail doesn't go on, then those that most waits for, then by their names.
func (a *Admin) ListDestinations(ctx context.Context, q store.ListQuery) (DestinationPart, error) {
	led, err := a.led(ctx)
	if err != nil {
		return DestinationPart{}, err
	}
	leadings, err := a.leadings(ctx, led)
	if err != nil {
		return DestinationPart{}, err
	}
	part, err := a.Store.ListDestinations(ctx, q, leadings)
	if err != nil {
		return DestinationPart{}, err
	}
	shown := shownPart(part.ListPart, func(row store.DestinationRow) Destination {
		return destinationOf(row, led[row.Destination])
	})
	return DestinationPart{shown, part.Failing, part.Paused}, nil
}

// led returns the destinations whose mail goes another way, or that get mail which
// does, with nothing known of them but that.
func (a *Admin) led(ctx context.Context) (destinations, error) {
	ways, err := a.Store.Ways(ctx)
	if err != nil {
		return nil, err
	}
	leads := a.leading(ways)
	domains, all := routed(ways, leads)
	if len(domains) == 0 && !all {
		return nil, nil
	}
	lanes, err := a.Store.QueuedByLane(ctx, domains...)
	if err != nil {
		return nil, fmt.Errorf("count queue by lane: %w", err)
	}
	led := make(destinations)
	led.lead(unpaused(lanes, ways.Paused), leads)
	return led, nil
}

// routed returns the domains whose mail may go another way, or reports that all of it
// may: nobody looks at all lanes of a long queue if routes lead a few domains.
func routed(ways store.Ways, leads func(store.Lane) string) (domains []string, all bool) {
	own := func(s store.Source) bool { return s.For.Account != 0 || s.For.Domain != "" }
	if leads(store.Lane{}) != "" || slices.ContainsFunc(ways.Sources, own) {
		return nil, true
	}
	for _, r := range ways.Routes {
		if r.Domain == store.AnyDomain {
			return nil, true
		}
		domains = append(domains, r.Domain)
	}
	return domains, false
}

// leadings says the same to the store.
func (a *Admin) leadings(ctx context.Context, led destinations) ([]store.Leading, error) {
	if len(led) == 0 {
		return nil, nil
	}
	failing, err := a.Store.FailingHealth(ctx)
	if err != nil {
		return nil, fmt.Errorf("read health of destinations: %w", err)
	}
	failures := make(map[string]int, len(failing))
	for _, h := range failing {
		failures[h.Destination] = h.Failures
	}
	list := make([]store.Leading, 0, len(led))
	for _, key := range slices.Sorted(maps.Keys(led)) {
		d := led[key]
		l := store.Leading{Destination: key, Waits: d.Waiting + d.Sending, Led: len(d.Over) > 0}
		if d.follows {
			l.Follows = slices.MaxFunc(d.Over, func(a, b string) int { return cmp.Compare(failures[a], failures[b]) })
		}
		list = append(list, l)
	}
	return list, nil
}

// destinationOf puts together what the store tells of a destination and what is led
// there or from there, if anything is.
func destinationOf(row store.DestinationRow, led *Destination) Destination {
	d := Destination{Destination: row.Destination, Domain: domainOf(row.Destination), State: "ok"}
	d.count(row.Queue)
	if row.Health.Destination != "" {
		d.judge(row.Health)
	}
	if led != nil {
		d.Waiting, d.Sending, d.Over = d.Waiting+led.Waiting, d.Sending+led.Sending, led.Over
	}
	if !row.PausedSince.IsZero() {
		d.pause(row.PausedSince)
	}
	return d
}
