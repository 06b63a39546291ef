package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"postroom/store"
)

// A Destination is where mail goes, and what is known of it: a recipient domain,
// or a server that the admin has named.
type Destination struct {
	Destination string    `json:"destination"`      // "example.net"; "relay smtp.example.net:587"; with what sets it apart behind it
	Domain      string    `json:"domain,omitempty"` // empty for a relay
	Over        []string  `json:"over,omitempty"`   // of a domain: the other destinations that its mail goes to
	State       string    `json:"state"`            // ok, failing (nobody can be reached), paused
	Waiting     int64     `json:"waiting"`          // recipients
	Held        int64     `json:"held"`
	Sending     int64     `json:"sending"`
	Oldest      time.Time `json:"oldest,omitzero"` // when the oldest of them came in
	Failures    int       `json:"failures"`        // rounds in a row in which no server could be reached
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastFailure time.Time `json:"last_failure,omitzero"`
	NextTry     time.Time `json:"next_try,omitzero"` // of a failing one
	PausedSince time.Time `json:"paused_since,omitzero"`
	Host        string    `json:"host"`       // the last one spoken to
	LastReply   string    `json:"last_reply"` // the remote's words, else what went wrong

	follows bool // it is doing as well as the worst of Over
}

// Destinations returns every destination that is known or waited for, by name.
// Mail is counted at its recipients' domain, and what isn't held where it goes
// too, if that is another destination. A domain whose mail all goes elsewhere is
// doing as well as the worst of these.
func (a *Admin) Destinations(ctx context.Context) ([]Destination, error) {
	queued, err := a.Store.QueuedByDomain(ctx)
	if err != nil {
		return nil, fmt.Errorf("count queue: %w", err)
	}
	health, err := a.Store.Health(ctx)
	if err != nil {
		return nil, fmt.Errorf("read health of destinations: %w", err)
	}
	ways, err := a.Store.Ways(ctx)
	if err != nil {
		return nil, err
	}
	lanes, err := a.Store.QueuedByLane(ctx)
	if err != nil {
		return nil, fmt.Errorf("count queue by lane: %w", err)
	}
	all := make(destinations)
	for _, q := range queued {
		all.at(q.Domain).count(q)
	}
	for _, h := range health {
		all.at(h.Destination).judge(h)
	}
	all.lead(unpaused(lanes, ways.Paused), a.leading(ways))
	all.follow()
	for _, p := range ways.Paused {
		all.pause(p)
	}
	return all.sorted(), nil
}

// PauseDestination keeps everything for a recipient domain here until it is
// resumed. What is being sent at the moment is finished.
func (a *Admin) PauseDestination(ctx context.Context, domain string) error {
	name, err := parseDestination(domain)
	if err != nil {
		return err
	}
	err = a.Store.PauseDomain(a.noting(ctx, "destination.pause", name, pauseState{false}, pauseState{true}), name)
	switch {
	case errors.Is(err, store.ErrConflict):
		return conflict("%s is paused already.", name)
	case err != nil:
		return fmt.Errorf("pause %s: %w", name, err)
	}
	return nil
}

// ResumeDestination undoes PauseDestination.
func (a *Admin) ResumeDestination(ctx context.Context, domain string) error {
	name, err := parseDestination(domain)
	if err != nil {
		return err
	}
	err = a.Store.ResumeDomain(a.noting(ctx, "destination.resume", name, pauseState{true}, pauseState{false}), name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return notFound("%s is not paused.", name)
	case err != nil:
		return fmt.Errorf("resume %s: %w", name, err)
	}
	return nil
}

// destinations are Destinations by their keys.
type destinations map[string]*Destination

func (all destinations) at(key string) *Destination {
	d := all[key]
	if d == nil {
		d = &Destination{Destination: key, Domain: domainOf(key), State: "ok"}
		all[key] = d
	}
	return d
}

// domainOf returns the recipient domain that stands in a destination's key, empty
// for a relay.
func domainOf(key string) string {
	domain, rest, _ := strings.Cut(key, " ")
	if domain == "relay" && rest != "" {
		return ""
	}
	return domain
}

func (d *Destination) count(q store.DestinationQueue) {
	d.Waiting, d.Held, d.Sending, d.Oldest = q.Waiting, q.Held, q.Sending, q.Oldest.UTC()
}

func (d *Destination) judge(h store.Health) {
	d.Host, d.LastReply, d.Failures = h.Host, h.Reply, h.Failures
	d.LastSuccess, d.LastFailure = h.LastSuccess.UTC(), h.LastFailure.UTC()
	if h.Failures > 0 {
		d.State, d.NextTry = "failing", h.NextTry.UTC()
	}
}

// pause marks every destination of a paused domain.
func (all destinations) pause(p store.Pause) {
	all.at(p.Domain)
	for _, d := range all {
		if d.Domain == p.Domain {
			d.pause(p.Since)
		}
	}
}

func (d *Destination) pause(since time.Time) {
	d.State, d.PausedSince = "paused", since.UTC()
	d.Held, d.Waiting = d.Held+d.Waiting, 0
}

func (all destinations) sorted() []Destination {
	list := make([]Destination, 0, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[key])
	}
	return list
}
