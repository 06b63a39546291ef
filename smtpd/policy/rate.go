package policy

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"postroom/store/mail"
)

// Bounds of a Rate.
const (
	rateWindow   = time.Minute
	tallyWindow  = 10 * time.Minute
	networkTimes = 4     // as much as from an address may come from its network
	maxRated     = 16384 // addresses, and networks, that are counted at a time
)

// A Rate bounds how often something may happen in a sliding minute, from one
// client address and from its network. Loopback isn't counted. Its zero value is
// ready; it may be used by many goroutines at once.
//
// However many addresses somebody has, what a Rate remembers is bounded: then
// those are forgotten that were seen least.
type Rate struct {
	Now func() time.Time // nil: time.Now

	mu                  sync.Mutex
	addresses, networks counter
}

// take counts one more from addr unless that is over limit, or four times that
// from its network. What is over isn't counted; first says that it is the first
// for some time.
func (r *Rate) take(addr netip.Addr, limit int) (ok, first bool) {
	if limit <= 0 || addr.IsLoopback() || !addr.IsValid() {
		return true, false
	}
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at := now()
	r.addresses.turn(at, rateWindow)
	r.networks.turn(at, rateWindow)
	network := networkOf(addr)
	switch {
	case r.addresses.count(addr)+1 > float64(limit):
		return false, r.addresses.deny(addr)
	case r.networks.count(network)+1 > float64(networkTimes*limit):
		return false, r.networks.deny(network)
	}
	r.addresses.add(addr)
	r.networks.add(network)
	return true, false
}

// A Tally counts what was seen of each network, a /24 or a /64, in the last ten
// minutes. Like a Rate it is bounded, ready as it is, and for many goroutines; but
// loopback counts.
type Tally struct {
	mu   sync.Mutex
	seen counter
}

// Add counts one more.
func (t *Tally) Add(addr netip.Addr, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.turn(now, tallyWindow)
	t.seen.add(networkOf(addr))
}

// Count returns how many there were.
func (t *Tally) Count(addr netip.Addr, now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.turn(now, tallyWindow)
	return int(t.seen.count(networkOf(addr)))
}

// networkOf returns the /24 or the /64 that an address is in.
func networkOf(addr netip.Addr) netip.Addr {
	bits := 64
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(addr, bits).Masked().Addr()
}

// A counter counts in this window and remembers the one before: of that counts
// the part that is less than a window ago.
type counter struct {
	began     time.Time
	part      float64 // of the window before that still counts
	this, old map[netip.Addr]tally
}

type tally struct {
	count  int
	denied bool
}

// turn begins a new window if it is time.
func (c *counter) turn(now time.Time, window time.Duration) {
	switch gone := now.Sub(c.began); {
	case gone < 0 || gone >= 2*window:
		c.began, c.this, c.old = now, make(map[netip.Addr]tally), nil
	case gone >= window:
		c.began, c.this, c.old = c.began.Add(window), make(map[netip.Addr]tally), c.this
	}
	c.part = 1 - float64(now.Sub(c.began))/float64(window)
}

func (c *counter) count(key netip.Addr) float64 {
	return float64(c.this[key].count) + c.part*float64(c.old[key].count)
}

func (c *counter) add(key netip.Addr) {
	t := c.this[key]
	t.count++
	c.put(key, t)
}

// deny notes that somebody was refused, and reports whether that is new.
func (c *counter) deny(key netip.Addr) bool {
	t := c.this[key]
	if t.denied {
		return false
	}
	t.denied = true
	c.put(key, t)
	return true
}

func (c *counter) put(key netip.Addr, t tally) {
	if _, known := c.this[key]; !known && len(c.this) >= maxRated {
		c.evict()
	}
	c.this[key] = t
}

// evict forgets the one with the lowest count of a few, whichever the map gives:
// who sprays addresses can't have those forgotten that count.
func (c *counter) evict() {
	const few = 16
	var least netip.Addr
	lowest, seen := 0, 0
	for key, t := range c.this {
		if seen == 0 || t.count < lowest {
			least, lowest = key, t.count
		}
		if seen++; seen == few {
			break
		}
	}
	delete(c.this, least)
}

var (
	statusConnections = mail.Status{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "Too many connections a minute from your network, please try again in a minute"}
	statusMessages    = mail.Status{Code: 450, Enhanced: [3]int{4, 7, 1}, Text: "Too many messages a minute from your network, please try again in a minute"}
)

// Connections is the check of how many connections a minute a client makes; none
// of a limit of 0.
func Connections(r *Rate, limit int) Check[struct{}] {
	return Check[struct{}]{Name: "rate", Judge: func(_ context.Context, client Client, _ struct{}) (Verdict, error) {
		return r.judge(client, limit, statusConnections, "too many connections a minute"), nil
	}}
}

// Messages is the check, at MAIL, of how many messages a minute a client sends.
func Messages(r *Rate, limit int) Check[mail.Address] {
	return Check[mail.Address]{Name: "rate", Judge: func(_ context.Context, client Client, _ mail.Address) (Verdict, error) {
		return r.judge(client, limit, statusMessages, "too many messages a minute"), nil
	}}
}

func (r *Rate) judge(client Client, limit int, answer mail.Status, reason string) Verdict {
	if client.Account != 0 {
		return Verdict{}
	}
	ok, first := r.take(client.Addr, limit)
	if ok {
		return Verdict{}
	}
	v := Object(answer, reason)
	v.Quiet = !first
	return v
}

// Delay has clients wait for the greeting, so that those are found out who speak
// before it.
func Delay(d time.Duration) Check[struct{}] {
	return Check[struct{}]{Name: "banner delay", Judge: func(_ context.Context, client Client, _ struct{}) (Verdict, error) {
		if client.Account != 0 || client.Addr.IsLoopback() {
			return Verdict{}, nil
		}
		return Verdict{Delay: d}, nil
	}}
}
