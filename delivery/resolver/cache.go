package resolver

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// How long answers are kept at most, how many, and how large. Failures are not
// kept at all: the next question may find a server that is well again.
const (
	maxTTL         = time.Hour
	maxNegativeTTL = 5 * time.Minute
	// bareNegativeTTL is for an answer that doesn't say how long it holds.
	bareNegativeTTL = 5 * time.Second
	maxCached       = 20000
	maxOctets       = 16 << 20 // of all answers' records
	maxKept         = 4096     // octets of one answer's records
)

// A flight is a question that somebody is asking just now.
type flight struct {
	done   chan struct{}
	answer answer
	err    error
}

// together answers a question. Whoever has it while somebody else is asking it
// waits for their answer.
func (r *Resolver) together(ctx context.Context, q question) (answer, error) {
	for {
		a, f, mine := r.board(q)
		switch {
		case f == nil:
			return a, nil
		case mine:
			r.ride(ctx, q, f)
			return f.answer, f.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return answer{}, failure(q, "", ctx.Err())
		}
		if f.err == nil || ctx.Err() != nil {
			return f.answer, f.err
		}
		if !isOver(f.err) {
			return answer{}, f.err
		}
	}
}

// isOver reports whether an error says nothing but that the one who asked didn't
// want to wait any longer.
func isOver(err error) bool {
	e, ok := unwrapped(err)
	return ok && (e == context.Canceled || e == context.DeadlineExceeded)
}

// board returns the answer that is remembered, or else the flight to wait for;
// mine says that the caller has to make it.
func (r *Resolver) board(q question) (a answer, f *flight, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a, ok := r.cache[q]; ok && r.now().Before(a.until) {
		return a, nil, false
	}
	if f := r.flights[q]; f != nil {
		return answer{}, f, false
	}
	if r.flights == nil {
		r.flights = make(map[question]*flight)
	}
	f = &flight{done: make(chan struct{})}
	r.flights[q] = f
	return answer{}, f, true
}

// ride asks, and lands also if that panics.
func (r *Resolver) ride(ctx context.Context, q question, f *flight) {
	f.err = failure(q, "", context.Canceled)
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.flights, q)
		if f.err == nil {
			r.remember(q, f.answer)
		}
		close(f.done)
	}()
	f.answer, f.err = r.resolve(ctx, q)
}

// remember keeps an answer. r.mu is held.
func (r *Resolver) remember(q question, a answer) {
	now, n := r.now(), size(a.records)
	if !a.until.After(now) || n > maxKept {
		return
	}
	if r.cache == nil {
		r.cache = make(map[question]answer)
	}
	r.forget(q)
	if len(r.cache) >= maxCached || r.octets+n > maxOctets {
		r.evict(now)
	}
	r.cache[q] = a
	r.octets += n
}

// forget removes what is remembered of a question. r.mu is held.
func (r *Resolver) forget(q question) {
	r.octets -= size(r.cache[q].records)
	delete(r.cache, q)
}

func size(records []dns.RR) (n int) {
	for _, rr := range records {
		n += dns.Len(rr)
	}
	return n
}

// evict makes room: what is out of date goes, and if that is not enough, half of
// the rest, whichever the map gives first.
func (r *Resolver) evict(now time.Time) {
	for q, a := range r.cache {
		if !now.Before(a.until) {
			r.forget(q)
		}
	}
	for q := range r.cache {
		if len(r.cache) <= maxCached/2 && r.octets <= maxOctets/2 {
			return
		}
		r.forget(q)
	}
}

// negativeTTL says how long it may be remembered that there is nothing (RFC 2308
// section 5). Without a SOA record that is for moments: only so long that a
// burst of mail doesn't ask for each message again whether a host has an address
// of the other kind, or a domain a policy. That a name doesn't exist, which fails
// mail, isn't remembered then.
func negativeTTL(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			ttl := time.Duration(min(soa.Hdr.Ttl, soa.Minttl)) * time.Second
			return min(ttl, maxNegativeTTL)
		}
	}
	if m.Rcode == dns.RcodeNameError {
		return 0
	}
	return bareNegativeTTL
}
