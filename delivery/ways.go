package delivery

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"

	"postroom/delivery/route"
	"postroom/store"
)

// ways say where mail goes, from what the admin has set. They are read by many
// and never changed: a change makes new ones.
type ways struct {
	routes    map[whose]store.Route
	pools     map[store.For]*pool
	names     []string // that we go by besides the server's own
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
	ruled  bool           // the admin has said what tls says
	pool   []store.Source // to send from; empty: the kernel's choice
	turn   *atomic.Uint32 // of the pool; nil: at random
	ours   []string       // names of ours: a host of that name is ourselves
	shared bool           // several recipient domains lead there
	backup bool           // only better servers than ourselves may have it
	route  *store.Route   // that has led there; nil: none has
}

// A pool is a set of addresses to send from that take turns.
type pool struct {
	sources []store.Source
	turn    atomic.Uint32
}

func newWays(snapshot store.Ways, d *Dispatcher) *ways {
	w := &ways{
		routes: make(map[whose]store.Route),
		pools:  make(map[store.For]*pool),
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
		if w.pools[owner] == nil {
			w.pools[owner] = &pool{}
		}
		w.pools[owner].sources = append(w.pools[owner].sources, s)
		if s.Name != "" {
			w.names = append(w.names, s.Name)
		}
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

// Destinations returns a function that names where the mail of a lane goes, by the
// key under which store.Health is kept of it. smarthost is a Dispatcher's. The
// function may be used by many goroutines at once.
func Destinations(snapshot store.Ways, smarthost string) func(store.Lane) string {
	w := newWays(snapshot, &Dispatcher{Smarthost: smarthost})
	return func(lane store.Lane) string { return w.next(lane).key }
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
	n := next{ours: w.names}
	suffix := ""
	r, found := w.route(lane)
	switch {
	case found:
		n.relay, n.tls, n.ruled, n.route = relayOf(r), r.TLS, true, &r
		if n.relay == nil && plain(r.For) != (store.For{}) {
			suffix = " tls " + policyWord(r.TLS) // others' mail goes there in another manner
		}
	case w.smarthost != nil && !w.backup[lane.Domain]:
		n.relay, n.ruled = w.smarthost, true
	}
	if n.relay == nil {
		n.key, n.backup = lane.Domain, w.backup[lane.Domain]
	} else {
		n.key, n.shared = "relay "+n.relay.String(), true
		if w.ambiguous[n.relay.String()] {
			suffix = manner(*n.relay, n.tls)
		}
	}
	n.key += suffix
	if p := w.pool(lane); p != nil {
		n.pool, n.turn = p.sources, &p.turn
		n.key += ownerKey(p.sources[0].For)
	}
	return n
}

// route finds the route for a lane: one for its domain before one for all, and
// among these the one for the fewest senders. What we hold as a backup server is
// not for relays that were named for everything: they would bring it back to us.
func (w *ways) route(lane store.Lane) (store.Route, bool) {
	if len(w.routes) == 0 {
		return store.Route{}, false
	}
	list := owners(lane)
	for _, domain := range []string{lane.Domain, store.AnyDomain} {
		for _, owner := range list {
			r, ok := w.routes[whose{domain, owner}]
			if ok && (domain == lane.Domain || r.Host == "" || !w.backup[lane.Domain]) {
				return r, true
			}
		}
	}
	return store.Route{}, false
}

// pool returns the addresses to send a lane's mail from, nil if nobody has set
// any.
func (w *ways) pool(lane store.Lane) *pool {
	if len(w.pools) == 0 {
		return nil
	}
	for _, f := range owners(lane) {
		if p := w.pools[f]; p != nil {
			return p
		}
	}
	return nil
}

// ownerKey is what the owner of a pool adds to a destination's key.
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

// source returns the address of ours to reach another one from, and its name:
// none if the choice is the kernel's. It is not ok if there is a choice, and none
// of it can reach the address.
func (n next) source(remote netip.Addr) (s store.Source, ok bool) {
	fitting := n.fitting(remote)
	switch {
	case len(fitting) == 0:
		return store.Source{}, len(n.pool) == 0
	case n.turn == nil:
		return fitting[rand.IntN(len(fitting))], true
	}
	return fitting[int(n.turn.Add(1)-1)%len(fitting)], true
}

// fitting returns those addresses of the pool that can reach another one.
func (n next) fitting(remote netip.Addr) []store.Source {
	var fitting []store.Source
	for _, s := range n.pool {
		if s.IP.Unmap().Is4() == remote.Unmap().Is4() {
			fitting = append(fitting, s)
		}
	}
	return fitting
}

// sameManner reports whether a connection that was made for one next, from a
// source of its, does for another.
func (n next) sameManner(other next, source store.Source) bool {
	if (n.relay == nil) != (other.relay == nil) || n.relay != nil && *n.relay != *other.relay {
		return false
	}
	from := len(other.pool) == 0 && !source.IP.IsValid()
	for _, s := range other.pool {
		from = from || s.IP == source.IP && s.Name == source.Name
	}
	return from && n.tls == other.tls && n.ruled == other.ruled
}
