package resolver

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

const systemConfig = "/etc/resolv.conf"

// How long a server that doesn't answer goes to the end of the list: doubled
// each time, and no longer than a person would notice.
const (
	minSick = time.Second
	maxSick = 30 * time.Second
)

// A peer is what we know of one server.
type peer struct {
	answered time.Time // last
	failed   time.Time // last, since it answered
	sick     time.Time // until then it is asked last
	pause    time.Duration
}

// servers returns the list to ask. The system's file is read each time: it may
// change while we run.
func (r *Resolver) servers() ([]string, error) {
	if len(r.Servers) > 0 {
		return r.Servers, nil
	}
	config, err := dns.ClientConfigFromFile(systemConfig)
	if err != nil {
		return nil, err
	}
	list := make([]string, 0, len(config.Servers))
	for _, s := range config.Servers {
		list = append(list, net.JoinHostPort(s, config.Port))
	}
	return list, nil
}

// order puts the servers that have been silent lately behind the others. One of
// them whose time has come is tried first again, by one question alone.
func (r *Resolver) order(servers []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	list := slices.Clone(servers)
	slices.SortStableFunc(list, func(a, b string) int { return r.turn(a, now) - r.turn(b, now) })
	if len(list) == 0 {
		return nil
	}
	if p := r.peers[list[0]]; p != nil && !p.sick.IsZero() && !now.Before(p.sick) {
		p.sick = now.Add(r.timeout())
	}
	return list
}

// turn says when a server is asked: 0 with the first, 1 with the last. r.mu is
// held.
func (r *Resolver) turn(server string, now time.Time) int {
	if p := r.peers[server]; p != nil && now.Before(p.sick) {
		return 1
	}
	return 0
}

// note remembers what a question that began then says about a server. One that
// has answered others meanwhile is only slow with this one.
func (r *Resolver) note(server string, began time.Time, silent bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[server]
	if p == nil {
		p = &peer{}
		if r.peers == nil {
			r.peers = make(map[string]*peer)
		}
		r.peers[server] = p
	}
	switch {
	case !silent:
		*p = peer{answered: r.now()}
	case !p.answered.IsZero() && !p.answered.Before(began):
	case p.failed.IsZero() || began.After(p.failed): // several questions find it out together
		p.failed = r.now()
		p.pause = min(max(minSick, 2*p.pause), maxSick)
		p.sick = p.failed.Add(p.pause)
	}
}

// isNear reports whether a server is on this machine.
func isNear(server string) bool {
	at, err := netip.ParseAddrPort(server)
	return err == nil && at.Addr().Unmap().IsLoopback()
}
