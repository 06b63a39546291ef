package delivery

import (
	"time"

	"postroom/delivery/smtpclient"
	"postroom/store"
)

// healthPause is how often a success is written down at most: nobody wants to
// know it to the second.
const healthPause = time.Minute

// A condition is what is known of a destination's servers.
type condition struct {
	health  store.Health
	saved   time.Time // when the health was last given to be kept
	proven  bool      // the last job that went there was served
	failed  fate      // of the last round in which nobody could be reached
	sweepAt time.Time // when to look for mail whose senders are owed word
}

// lost notes a round in which nobody could be reached. next is when to try
// again.
func (c *condition) lost(f fate, now time.Time) {
	c.failed, c.proven = f, false
	c.health.Failures++
	c.health.LastFailure = now
	c.health.Reply = f.words()
	if f.host != "" {
		c.health.Host = f.host
	}
}

// served notes that a server was spoken to, and reports whether that is worth
// being kept.
func (c *condition) served(host string, now time.Time) bool {
	news := c.health.Failures > 0 || now.Sub(c.saved) >= healthPause
	c.proven = true
	c.failed = fate{}
	c.sweepAt = time.Time{}
	c.health.Failures, c.health.NextTry, c.health.LastSuccess = 0, time.Time{}, now
	if host != "" {
		c.health.Host = host
	}
	if news {
		c.health.Reply = ""
	}
	return news
}

// keep returns the health as it is to be kept.
func (c *condition) keep(key string, now time.Time) *store.Health {
	c.saved = now
	h := c.health
	h.Destination = key
	return &h
}

// lastFate is what came of the last round, for those who share it. After a
// restart no more is known than what was kept.
func (c *condition) lastFate() fate {
	f := c.failed
	if f.answer.Text == "" {
		f = fate{answer: smtpclient.Answer{Text: c.health.Reply}, host: c.health.Host}
	}
	if f.answer.Text == "" {
		f.answer.Text = "its servers could not be reached"
	}
	f.result = store.Deferred
	return f
}

// adopt takes over what is known of a destination.
func (c *condition) adopt(h store.Health) {
	c.health = h
	c.proven = h.Failures == 0 && !h.LastSuccess.IsZero()
}
