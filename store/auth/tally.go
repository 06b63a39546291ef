package auth

import (
	"math"
	"slices"
	"time"
)

// What is borne from one address, and from its network. Repeating the same wrong
// password of the same name is no new guess: a telephone that has an old password
// does it all day.
const (
	countsFor      = time.Hour // how long a failed login is counted
	maxGuesses     = 10        // from an address
	maxNetGuesses  = 200       // from its network
	maxNetNames    = 30        // login names tried from its network
	firstBlock     = 10 * time.Minute
	longestBlock   = 24 * time.Hour
	rehabilitation = 24 * time.Hour // after a block: then the next one is a first one again
)

// A tally is the failed logins of one source.
type tally struct {
	guesses  []sighting // different ones, within countsFor
	names    []sighting
	failures int // all, since there was none within countsFor
	last     time.Time
	level    float64 // failures, one forgotten each minute

	strikes int       // blocks so far
	freed   time.Time // when the last of them ends
}

// A sighting is when something was seen last; what is a keyed MAC.
type sighting struct {
	what uint64
	at   time.Time
}

// see notes a sighting, and forgets those that are too old, or too many: whom the
// admin lets in whatever happens can go on for ever.
func see(list []sighting, what uint64, now time.Time) []sighting {
	list = slices.DeleteFunc(list, func(s sighting) bool { return s.what == what || now.Sub(s.at) >= countsFor })
	if len(list) >= maxNetGuesses {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, sighting{what, now})
}

// add counts a failed login. guess and name stand for what was tried.
func (t *tally) add(guess, name uint64, now time.Time) {
	idle := now.Sub(t.last)
	if idle >= countsFor {
		t.failures = 0
	}
	t.level = max(0, t.level-idle.Minutes()) + 1
	t.failures++
	t.last = now
	t.guesses = see(t.guesses, guess, now)
	t.names = see(t.names, name, now)
}

// delay is how long the latest failure's answer is held back. The first ones are
// people who mistype; ten in a row cost 2.4 s together.
func (t *tally) delay() time.Duration {
	const free, least, growth, most = 3, 100 * time.Millisecond, 1.4, 5 * time.Second
	n := math.Round(t.level) // what was forgotten in a moment makes no difference
	if n <= free {
		return 0
	}
	d := float64(least) * math.Pow(growth, n-free-1)
	return time.Duration(min(d, float64(most)))
}

// strike begins a block, and returns how long it is.
func (t *tally) strike(now time.Time) time.Duration {
	if now.Sub(t.freed) >= rehabilitation {
		t.strikes = 0
	}
	length := longestBlock
	if t.strikes < 4 {
		length = min(firstBlock<<(2*t.strikes), longestBlock)
	}
	t.strikes++
	t.freed = now.Add(length)
	t.guesses, t.names, t.failures = nil, nil, 0
	return length
}

// strikesFor returns how many blocks in a row led to one of this length.
func strikesFor(length time.Duration) (n int) {
	for n = 1; n < 5 && firstBlock<<(2*n) <= length; n++ {
	}
	return n
}
