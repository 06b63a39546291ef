package delivery

import "time"

// A pace is how many connections a destination is given. The first one shows
// whether anybody is there. From then on each success widens the window by one
// connection, so that it doubles with each round; after the first trouble, by one
// a round. Trouble halves it. A server that says how many it wants gets no more.
type pace struct {
	window  float64
	most    int       // what the admin allows
	limit   int       // less than most if the server wants no more
	done    int       // works since the limit was last changed
	steady  bool      // there has been trouble
	trouble time.Time // the last one
}

// troublePause is how long one trouble counts as the same: a server that goes
// down loses all of its connections at once.
const troublePause = time.Second

func newPace(most int) pace { return pace{window: 1, most: most, limit: most} }

func (p *pace) allowed() int { return max(1, min(int(p.window), p.limit)) }

// wellDone notes a success. It reports whether another connection is allowed.
func (p *pace) wellDone() bool {
	before := p.allowed()
	if p.steady {
		p.window += 1 / p.window
	} else {
		p.window++
	}
	p.window = min(p.window, float64(p.most))
	// A server that wanted no more gets another one after a while: it may have
	// been a passing trouble.
	if p.done++; p.limit < p.most && p.done >= 20*p.limit {
		p.limit, p.done = p.limit+1, 0
	}
	return p.allowed() > before
}

// inTrouble notes a connection that was lost, or that the server ended.
func (p *pace) inTrouble(now time.Time) {
	if now.Sub(p.trouble) < troublePause {
		return
	}
	p.trouble, p.steady = now, true
	p.window = max(1, p.window/2)
}

// enough notes that a server wants no more than n connections.
func (p *pace) enough(n int) { p.limit, p.done = max(1, n), 0 }

// startAnew goes back to one connection.
func (p *pace) startAnew() { p.window, p.steady = 1, false }
