package admin

import (
	"cmp"
	"slices"

	"postroom/store"
)

// leading returns a function that names where the mail of a lane goes.
func (a *Admin) leading(ways store.Ways) func(store.Lane) string {
	if a.Leading == nil {
		return func(l store.Lane) string { return l.Domain }
	}
	return a.Leading(ways)
}

// lead counts mail at the destinations that it goes to by way of a route or from
// an address of its own.
func (all destinations) lead(lanes []store.LaneQueue, leads func(store.Lane) string) {
	direct := make(map[string]bool)
	for _, l := range lanes {
		key := leads(l.Lane)
		if key == l.Domain {
			direct[key] = true
			continue
		}
		to, domain := all.at(key), all.at(l.Domain)
		to.Waiting, to.Sending = to.Waiting+l.Waiting, to.Sending+l.Sending
		if !slices.Contains(domain.Over, key) {
			domain.Over = append(domain.Over, key)
		}
	}
	for name, d := range all {
		slices.Sort(d.Over)
		d.follows = len(d.Over) > 0 && !direct[name]
	}
}

func (all destinations) follow() {
	for _, d := range all {
		if d.follows {
			d.follow(all)
		}
	}
}

// follow takes over how the worst of the destinations that d's mail goes to is
// doing: what was known of d is of no account any more.
func (d *Destination) follow(all destinations) {
	worst := all[slices.MaxFunc(d.Over, func(a, b string) int { return cmp.Compare(all[a].Failures, all[b].Failures) })]
	d.State, d.Failures, d.NextTry = worst.State, worst.Failures, worst.NextTry
	d.LastSuccess, d.LastFailure = worst.LastSuccess, worst.LastFailure
	d.Host, d.LastReply = worst.Host, worst.LastReply
}

// unpaused returns the lanes whose domains aren't paused.
func unpaused(lanes []store.LaneQueue, pauses []store.Pause) []store.LaneQueue {
	return slices.DeleteFunc(lanes, func(l store.LaneQueue) bool { return paused(pauses, l.Domain) })
}
