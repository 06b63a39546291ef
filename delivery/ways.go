package delivery

import (
	"fmt"

	"postroom/delivery/route"
	"postroom/store"
)

// ways say where mail goes, from what the admin has set. They are read by many
// and never changed: a change makes new ones.
type ways struct {
	routes    map[whose]store.Route
	pools     map[store.For][]store.Source
	paused    map[string]bool
	backup    map[string]bool
	smarthost *route.Relay    // takes what has no route; nil: by MX
	ambiguous map[string]bool // relays that are used in several manners
}

// whose is what a route is for.
type whose struct {
	domain string // the recipients'
	owner  store.For
}

// A next is where the mail of a lane goes, and how. What has one key may share a
// connection.
type next struct {
	key    string
	relay  *route.Relay // nil: by MX
	tls    store.TLSPolicy
	pool   []store.Source // to send from; empty: the kernel's choice
	shared bool           // several recipient domains lead there
	backup bool           // only better servers than ourselves may have it
}

func newWays(snapshot store.Ways, d *Dispatcher) *ways {
	w := &ways{
		routes: make(map[whose]store.Route),
		pools:  make(map[store.For][]store.Source),
		paused: make(map[string]bool),
		backup: make(map[string]bool),
	}
	if d.Smarthost != "" {
		w.smarthost = smarthost(d.Smarthost)
	}
	for _, r := range snapshot.Routes {
		w.routes[whose{r.Domain, plain(r.For)}] = r
	}
	for _, s := range snapshot.Sources {
		owner := plain(s.For)
		w.pools[owner] = append(w.pools[owner], s)
	}
	for _, p := range snapshot.Paused {
		w.paused[p.Domain] = true
	}
	for _, domain := range snapshot.Backup {
		w.backup[domain] = true
	}
	w.ambiguous = w.usedDifferently()
	return w
}

// smarthost parses the configuration's. One that makes no sense is a relay that
// can't be planned for: the mail waits, and its last reply says why.
func smarthost(hostport string) *route.Relay {
	relay, err := route.ParseRelay(hostport)
	if err != nil {
		relay = route.Relay{Host: hostport}
	}
	return &relay
}

// plain takes from a For what only says the same in other words.
func plain(f store.For) store.For {
	if f.Account != 0 {
		return store.For{Account: f.Account}
	}
	return store.For{Domain: f.Domain}
}

// usedDifferently returns the relays for which routes name several users or TLS
// policies: mail for one of them must not travel on a connection of the other.
func (w *ways) usedDifferently() map[string]bool {
	manners := make(map[string]map[string]bool)
	use := func(relay route.Relay, tls store.TLSPolicy) {
		if manners[relay.String()] == nil {
			manners[relay.String()] = make(map[string]bool)
		}
		manners[relay.String()][manner(relay, tls)] = true
	}
	if w.smarthost != nil {
		use(*w.smarthost, store.TLSMay)
	}
	for _, r := range w.routes {
		if r.Host != "" {
			use(*relayOf(r), r.TLS)
		}
	}
	several := make(map[string]bool)
	for name, list := range manners {
		several[name] = len(list) > 1
	}
	return several
}

// manner tells ways of using one relay apart.
func manner(relay route.Relay, tls store.TLSPolicy) string {
	text := " tls " + policyWord(tls)
	if relay.User != "" {
		text = " user " + relay.User + text
	}
	return text
}

func policyWord(p store.TLSPolicy) string {
	switch p {
	case store.TLSNone:
		return "none"
	case store.TLSMust:
		return "must"
	}
	return "may"
}

// relayOf returns the relay of a route, nil if it leads to the domain's MX.
func relayOf(r store.Route) *route.Relay {
	if r.Host == "" {
		return nil
	}
	return &route.Relay{Host: r.Host, Port: r.Port, User: r.User, Password: r.Password}
}

// next returns where the mail of a lane goes.
func (w *ways) next(lane store.Lane) next {
	var n next
	suffix := ""
	r, found := w.route(lane)
	switch {
	case found:
		n.relay, n.tls = relayOf(r), r.TLS
		if n.relay == nil && plain(r.For) != (store.For{}) {
			suffix = " tls " + policyWord(r.TLS) // others' mail goes there in another manner
		}
	case w.smarthost != nil && !w.backup[lane.Domain]:
		n.relay = w.smarthost
	}
	if n.relay == nil {
		n.key, n.backup = lane.Domain, w.backup[lane.Domain]
	} else {
		n.key, n.shared = "relay "+n.relay.String(), true
		if w.ambiguous[n.relay.String()] {
			suffix = manner(*n.relay, n.tls)
		}
	}
	pool, owner := w.pool(lane)
	n.pool = pool
	n.key += suffix + owner
	return n
}

// route finds the route for a lane: one for its domain before one for all, and
// among these the one for the fewest senders. What we hold as a backup server is
// not for relays that were named for everything: they would bring it back to us.
func (w *ways) route(lane store.Lane) (store.Route, bool) {
	for _, domain := range []string{lane.Domain, store.AnyDomain} {
		for _, owner := range owners(lane) {
			r, ok := w.routes[whose{domain, owner}]
			if ok && (domain == lane.Domain || r.Host == "" || !w.backup[lane.Domain]) {
				return r, true
			}
		}
	}
	return store.Route{}, false
}

// pool returns the addresses to send a lane's mail from, and what they add to
// its destination's key.
func (w *ways) pool(lane store.Lane) (pool []store.Source, owner string) {
	for _, f := range owners(lane) {
		if pool = w.pools[f]; len(pool) > 0 {
			return pool, ownerKey(pool[0].For)
		}
	}
	return nil, ""
}

func ownerKey(f store.For) string {
	switch {
	case f.Account != 0 && f.Address == "":
		return fmt.Sprintf(" as account %d", f.Account)
	case f.Account != 0:
		return " as " + f.Address
	case f.Domain != "":
		return " as " + f.Domain
	}
	return ""
}

// owners are for whom something may be that applies to a lane, the narrowest
// first.
func owners(lane store.Lane) []store.For {
	var list []store.For
	if lane.Account != 0 {
		list = append(list, store.For{Account: lane.Account})
	}
	if lane.Origin != "" {
		list = append(list, store.For{Domain: lane.Origin})
	}
	return append(list, store.For{})
}
