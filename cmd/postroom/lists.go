package main

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postroom/delivery/route"
	"postroom/smtpd/policy"
	"postroom/store"
)

// How often the blocklists are looked at, and how often while something is wrong.
const (
	listsEvery     = 24 * time.Hour
	listsEverySick = time.Hour
)

// The concerns about lists begin like this; the zone follows, or our address and
// the zone.
const (
	concernList   = "blocklist "
	concernListed = "listed "
)

// watchLists looks, at the start and then daily, whether the configured blocklists
// are of use, and whether they have an address of ours; and is told when one says
// that it doesn't answer us.
func (sv *server) watchLists(ctx context.Context) error {
	for {
		next := listsEvery
		if err := sv.lookAtLists(ctx); err != nil && ctx.Err() == nil {
			sv.log.Error("cannot note what blocklists are like", "err", err)
		}
		if sv.hasListConcerns(ctx) {
			next = listsEverySick
		}
		if !sv.awaitLists(ctx, next) {
			return nil
		}
	}
}

// awaitLists waits until the lists are to be looked at; false: the server stops.
func (sv *server) awaitLists(ctx context.Context, next time.Duration) bool {
	until := time.NewTimer(next)
	defer until.Stop()
	told := make(map[string]bool)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-until.C:
			return true
		case <-sv.door.look:
			return true
		case r := <-sv.door.refused:
			if told[r.zone] {
				continue
			}
			told[r.zone] = true
			until.Reset(listsEverySick) // it may be over by then
			sv.raise(ctx, store.Concern{Key: concernList + r.zone, Text: policy.RefusedText(r.zone, r.why)})
		}
	}
}

func (sv *server) hasListConcerns(ctx context.Context) bool {
	concerns, err := sv.store.Concerns(ctx)
	return err == nil && slices.ContainsFunc(concerns, isListConcern)
}

func isListConcern(c store.Concern) bool {
	return strings.HasPrefix(c.Key, concernList) || strings.HasPrefix(c.Key, concernListed)
}

// lookAtLists raises what is wrong, and clears what isn't any more.
func (sv *server) lookAtLists(ctx context.Context) error {
	conf, names := sv.conf.Load(), sv.network.Load().names
	lists := blocklists(conf, names, nil)
	standing := make(map[string]bool)
	for _, trouble := range lists.Sound(ctx) {
		standing[concernList+trouble.Zone] = true
		sv.raise(ctx, store.Concern{Key: concernList + trouble.Zone, Text: trouble.Text})
	}
	for _, ip := range sv.ownAddresses(ctx, conf, names, lists) {
		for _, l := range lists.Listings(ctx, ip) {
			key := concernListed + ip.String() + " " + l.Zone
			standing[key] = l.Listed || !l.Known // what isn't known stays as it was
			if l.Listed {
				sv.raise(ctx, store.Concern{Key: key, Text: listedText(ip, l)})
			}
		}
	}
	return sv.clearListConcerns(ctx, standing)
}

func listedText(ip netip.Addr, l policy.Listing) string {
	text := "Our address " + ip.String() + " is in the blocklist " + l.Zone
	if l.Text != "" {
		text += " (" + l.Text + ")"
	}
	return text + ": others may refuse our mail. Find out why, mend it, and then have the address removed there."
}

// clearListConcerns clears those about lists that aren't standing.
func (sv *server) clearListConcerns(ctx context.Context, standing map[string]bool) error {
	concerns, err := sv.store.Concerns(ctx)
	if err != nil {
		return err
	}
	for _, c := range concerns {
		if !isListConcern(c) || standing[c.Key] {
			continue
		}
		if err := sv.store.Clear(ctx, c.Key); err != nil {
			return err
		}
		sv.log.Info("a concern is over", "concern", c.Key)
	}
	return nil
}

func (sv *server) raise(ctx context.Context, c store.Concern) {
	sv.log.Warn("something for the admin to know", "concern", c.Key, "text", c.Text)
	if err := sv.store.Raise(ctx, c); err != nil && ctx.Err() == nil {
		sv.log.Error("cannot note a concern", "err", err)
	}
}

// ownAddresses are those that other servers see us at: the sources that the admin
// has set, and those of our own name.
func (sv *server) ownAddresses(ctx context.Context, conf *Config, names names, lists *policy.Blocklists) []netip.Addr {
	if len(lists.Clients) == 0 {
		return nil
	}
	var all []netip.Addr
	add := func(ip netip.Addr) {
		ip = ip.Unmap()
		if (route.IsPublic(ip) || conf.Delivery.PrivateDestinations) && !slices.Contains(all, ip) {
			all = append(all, ip)
		}
	}
	sources, err := sv.store.Sources(ctx)
	if err != nil {
		sv.log.Error("cannot read the source addresses", "err", err)
	}
	for _, s := range sources {
		add(s.IP)
	}
	found, err := names.LookupNetIP(ctx, "ip", conf.Name())
	if err != nil && !route.IsMissing(err) {
		sv.log.Warn("cannot look up our own addresses", "name", conf.Name(), "err", err)
	}
	for _, ip := range found {
		add(ip)
	}
	return all
}
