package policy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"postroom/store/mail"
)

// How long one list is waited for, and then for the words that go with a listing.
const (
	listTimeout = 2500 * time.Millisecond
	textTimeout = time.Second
	maxListText = 200 // octets
)

// A listState is what a list thinks of somebody.
type listState int

const (
	isUnlisted listState = iota
	isListed
	isUnknown // it has failed, or answered what makes no sense
	isRefused // it doesn't answer us
)

// A listAnswer is what came of one question.
type listAnswer struct {
	listQuestion
	state listState
	text  string // of a listing, the list's own words, fit for a reply
	why   string // it isn't known
}

// detail is the answer in words.
func (a listAnswer) detail() string {
	switch a.state {
	case isUnlisted:
		return a.subject + " is not listed by " + a.zone
	case isListed:
		return strings.TrimSuffix(a.subject+" is listed by "+a.zone+": "+a.text, ": ")
	}
	return a.zone + " could not be asked about " + a.subject + ": " + a.why
}

// askAll asks all questions at once, for listTimeout and textTimeout at most.
func (b *Blocklists) askAll(ctx context.Context, questions []listQuestion) []listAnswer {
	answers := make([]listAnswer, len(questions))
	var asking sync.WaitGroup
	for i, q := range questions {
		asking.Go(func() { answers[i] = b.ask(ctx, q) })
	}
	asking.Wait()
	return answers
}

// ask asks a list, unless it has been silent lately.
func (b *Blocklists) ask(ctx context.Context, q listQuestion) listAnswer {
	if !b.Health.mayAsk(q.zone) {
		return listAnswer{listQuestion: q, state: isUnknown, why: "it has not answered lately"}
	}
	a, err := b.lookUp(ctx, q)
	b.Health.note(q.zone, a, isTimeout(err) && ctx.Err() == nil)
	if a.state == isListed {
		a.text = b.textOf(ctx, q)
	}
	return a
}

func (b *Blocklists) lookUp(ctx context.Context, q listQuestion) (listAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	found, err := b.DNS.LookupNetIP(ctx, "ip4", q.name+"."+q.zone)
	a := listAnswer{listQuestion: q}
	a.state, a.why = listing(found, err, q.domain)
	return a, err
}

// textOf returns why a list has somebody, empty if it doesn't say.
func (b *Blocklists) textOf(ctx context.Context, q listQuestion) string {
	ctx, cancel := context.WithTimeout(ctx, textTimeout)
	defer cancel()
	texts, err := b.DNS.LookupTXT(ctx, q.name+"."+q.zone)
	if err != nil || len(texts) == 0 {
		return ""
	}
	return asciiText(texts[0], maxListText)
}

var (
	listNetwork    = netip.MustParsePrefix("127.0.0.0/8")
	refusalNetwork = netip.MustParsePrefix("127.255.255.0/24")
	domainRefusal  = netip.MustParseAddr("127.0.0.1")
)

// listing judges an answer. What has any address outside 127.0.0.0/8 isn't a
// list's (RFC 5782 2.1): a server that leads all unknown names to its own page,
// or the new owner of the domain. By convention 127.255.255.0/24 isn't a listing
// but says that we may not ask, and with lists of domains 127.0.0.1 does.
func listing(found []netip.Addr, err error, domain bool) (state listState, why string) {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return isUnlisted, ""
	case isTimeout(err):
		return isUnknown, "it doesn't answer in time"
	case err != nil:
		return isUnknown, err.Error()
	}
	for _, addr := range found {
		switch {
		case !listNetwork.Contains(addr):
			return isUnknown, fmt.Sprintf("it answers %s, which is outside 127.0.0.0/8", addr)
		case refusalNetwork.Contains(addr), domain && addr == domainRefusal && len(found) == 1:
			state, why = isRefused, fmt.Sprintf("it refuses to answer us (%s)", addr)
		case state != isRefused:
			state = isListed
		}
	}
	return state, why
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// asciiText makes a stranger's text fit for a reply: one line of printable ASCII
// of at most limit octets.
func asciiText(s string, limit int) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, mail.Printable(s, limit))
}

// How many times in a row a list must keep us waiting in vain to be left alone,
// and for how long: doubled each time.
const (
	listPatience = 3
	minListPause = 5 * time.Second
	maxListPause = time.Minute
)

// A ListHealth remembers which lists don't answer, so that not every mail waits
// for them, and tells which ones refuse to. It may be used by many goroutines at
// once; the nil ListHealth remembers nothing.
type ListHealth struct {
	Now func() time.Time // nil: time.Now
	// Refused is told of a list that says that we may not ask it. It must not block.
	Refused func(zone, why string)

	mu    sync.Mutex
	zones map[string]*zoneHealth
}

// A zoneHealth is of a list that has kept us waiting.
type zoneHealth struct {
	failures int // in a row, listPatience at most
	pause    time.Duration
	until    time.Time
	probing  bool // somebody is finding out whether it is well again
}

// mayAsk reports whether a list is to be asked. Of one that is left alone one
// question at a time finds out whether it is well again.
func (h *ListHealth) mayAsk(zone string) bool {
	if h == nil {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	z := h.zones[zone]
	if z == nil || z.failures < listPatience {
		return true
	}
	if z.probing || h.now().Before(z.until) {
		return false
	}
	z.probing = true
	return true
}

func (h *ListHealth) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}

// note remembers what came of a question.
func (h *ListHealth) note(zone string, a listAnswer, silent bool) {
	if h == nil {
		return
	}
	if a.state == isRefused && h.Refused != nil {
		h.Refused(zone, a.why)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !silent {
		delete(h.zones, zone)
		return
	}
	if h.zones == nil {
		h.zones = make(map[string]*zoneHealth)
	}
	if h.zones[zone] == nil {
		h.zones[zone] = &zoneHealth{}
	}
	h.zones[zone].fail(h.now())
}

func (z *zoneHealth) fail(now time.Time) {
	switch {
	case z.failures < listPatience:
		if z.failures++; z.failures < listPatience {
			return
		}
	case !z.probing:
		return // it was asked before it was left alone
	}
	z.probing = false
	z.pause = min(max(minListPause, 2*z.pause), maxListPause)
	z.until = now.Add(z.pause)
}
