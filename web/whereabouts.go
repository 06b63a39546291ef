package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"postroom/web/phrase"
)

// text says in one sentence where the message is for this recipient.
func (f fate) text(now time.Time) string {
	ago := phrase.Relative(f.At, now)
	switch f.State {
	case inMaildrop:
		return fmt.Sprintf(phrase.InMaildrop, f.Who)
	case isCollected:
		return fmt.Sprintf(phrase.CollectedAgo, f.Who, ago)
	case isDeleted:
		if f.taken.IsZero() {
			return fmt.Sprintf(phrase.DeletedUncollected, f.Who, ago)
		}
		return fmt.Sprintf(phrase.DeletedAgo, f.Who, ago)
	case isWaiting, isDeferred:
		return f.waiting(now)
	case isHeld:
		return fmt.Sprintf(phrase.HeldFor, f.name(), letGo(f.held))
	case isSent:
		if f.Host == "" {
			return fmt.Sprintf(phrase.SentAgo, f.name(), ago)
		}
		return fmt.Sprintf(phrase.SentAgoBy, f.Host, f.name(), ago)
	case isBounced:
		return fmt.Sprintf(phrase.BouncedAgo, f.name(), ago, andTold(f.told))
	case isCancelled:
		return fmt.Sprintf(phrase.CancelledAgo, ago, f.name())
	case isRefused:
		return fmt.Sprintf(phrase.RefusedAgo, ago)
	}
	return fmt.Sprintf(phrase.OnItsWay, f.name())
}

// name is who it is for, and by what way.
func (f fate) name() string {
	if f.Via == "" {
		return f.Who
	}
	return fmt.Sprintf("%s (sent on from %s)", f.Who, f.Via)
}

func andTold(told string) string {
	if told == "" {
		return ""
	}
	return "; " + told
}

// letGo says what has to happen before held mail is sent: of several things the
// last that an admin would think of.
func letGo(by []string) string {
	switch {
	case slices.Contains(by, "pause"):
		return "its destination is resumed"
	case slices.Contains(by, "account"):
		return "the account that submitted it is enabled"
	case slices.Contains(by, "restore"):
		return "it is released: it came out of a backup, and may have been sent before"
	}
	return "it is released"
}

func (f fate) waiting(now time.Time) string {
	next := "it is due now"
	if f.Next != nil && f.Next.After(now) {
		next = "the next attempt is " + phrase.Relative(*f.Next, now)
	}
	if f.tries == 0 {
		return fmt.Sprintf(phrase.WaitsFor, f.name(), next)
	}
	return fmt.Sprintf(phrase.WaitsUnreached, f.name(), next)
}

// A tally says for how many recipients a message is in one state.
type tally struct {
	State state
	N     int
}

// Text is the word for the badge.
func (t tally) Text() string {
	if t.N == 1 {
		return string(t.State)
	}
	return fmt.Sprintf("%d %s", t.N, t.State)
}

// tallyOf counts fates by state, the ones to look at first in front.
func tallyOf(fates []fate) []tally {
	count := make(map[state]int)
	for _, f := range fates {
		count[f.State]++
	}
	var t []tally
	for _, s := range states {
		if count[s] > 0 {
			t = append(t, tally{s, count[s]})
		}
	}
	return t
}

// forAll says where a message is that has the same fate for all its recipients.
var forAll = map[state]string{
	isBounced:   phrase.AllBounced,
	isHeld:      phrase.AllHeld,
	isDeferred:  phrase.AllDeferred,
	isWaiting:   phrase.AllWaiting,
	isRefused:   phrase.AllRefused,
	isCancelled: phrase.AllCancelled,
	isSent:      phrase.AllSent,
	inMaildrop:  phrase.AllInMaildrops,
	isCollected: phrase.AllCollected,
	isDeleted:   phrase.AllDeleted,
}

// whereabouts says in one sentence where a message is now.
func whereabouts(fates []fate, now time.Time) string {
	switch len(fates) {
	case 0:
		return phrase.NothingMoreKnown
	case 1:
		return fates[0].text(now)
	}
	counts := tallyOf(fates)
	parts := make([]string, len(counts))
	for i, t := range counts {
		parts[i] = fmt.Sprintf("%d %s", t.N, t.State)
	}
	if len(counts) == 1 && forAll[counts[0].State] != "" {
		return inCommon(counts[0].State, fates)
	}
	return fmt.Sprintf(phrase.SeveralFates, len(fates), strings.Join(parts, ", "))
}

// inCommon says where a message is that has one state for all its recipients, and
// what else is the same for all of them.
func inCommon(s state, fates []fate) string {
	text := fmt.Sprintf(forAll[s], len(fates))
	same := func(of func(fate) string) string {
		for _, f := range fates[1:] {
			if of(f) != of(fates[0]) {
				return ""
			}
		}
		return of(fates[0])
	}
	switch s {
	case isBounced:
		return text + andTold(same(func(f fate) string { return f.told })) + "."
	case isHeld:
		if until := same(func(f fate) string { return letGo(f.held) }); until != "" {
			text += " until " + until
		}
		return text + "."
	}
	return text
}
