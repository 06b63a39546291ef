package resolver

import (
	"time"

	"github.com/miekg/dns"
)

// How long answers are kept at most, and how many.
const (
	maxTTL         = time.Hour
	maxNegativeTTL = 5 * time.Minute
	maxCached      = 20000
)

func (r *Resolver) remembered(q question) (answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.cache[q]
	return a, ok && r.now().Before(a.until)
}

func (r *Resolver) remember(q question, a answer) {
	now := r.now()
	if !a.until.After(now) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cache == nil {
		r.cache = make(map[question]answer)
	}
	if len(r.cache) >= maxCached {
		r.evict(now)
	}
	r.cache[q] = a
}

// evict makes room: what is out of date goes, and if that is not enough, half of
// the rest, whichever the map gives first.
func (r *Resolver) evict(now time.Time) {
	for q, a := range r.cache {
		if !now.Before(a.until) {
			delete(r.cache, q)
		}
	}
	for q := range r.cache {
		if len(r.cache) <= maxCached/2 {
			return
		}
		delete(r.cache, q)
	}
}

// negativeTTL says how long it may be remembered that there is nothing (RFC 2308
// section 5).
func negativeTTL(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			ttl := time.Duration(min(soa.Hdr.Ttl, soa.Minttl)) * time.Second
			return min(ttl, maxNegativeTTL)
		}
	}
	return 0
}
