package web

import (
	"fmt"
	"strings"
	"time"

	"postroom/store"
)

// A fate is what became of a message for one of its recipients, as far as its
// trace tells.
type fate struct {
	Who   string // the recipient, or the account whose maildrop it is in
	State state
	At    time.Time  // since when
	Host  string     // who took it, when sent
	Next  *time.Time // when it is tried again, when waiting
	tries int
	taken time.Time // when it was last collected
}

// A state is one word on where a message is for one recipient.
type state string

// The states, from the one that an admin should look at first.
const (
	isBounced   state = "bounced"
	isHeld      state = "held"
	isDeferred  state = "deferred"
	isWaiting   state = "waiting"
	isRefused   state = "refused"
	isCancelled state = "cancelled"
	isSent      state = "sent"
	inMaildrop  state = "in maildrop"
	isCollected state = "collected"
	isDeleted   state = "deleted"
)

var states = []state{
	isBounced, isHeld, isDeferred, isWaiting, isRefused, isCancelled, isSent, inMaildrop, isCollected, isDeleted,
}

// Tone returns how the state is to be taken; see "Badges" in the stylesheet.
func (s state) Tone() string {
	switch s {
	case isBounced, isRefused:
		return "bad"
	case isHeld, isDeferred:
		return "warn"
	case isWaiting:
		return "info"
	case isSent, inMaildrop, isCollected:
		return "good"
	}
	return "quiet"
}

// fatesOf reads the fates out of a message's events, in the order in which they
// began.
func fatesOf(events []store.Event) []fate {
	var fates []fate
	find := func(who string) *fate {
		for i := range fates {
			if strings.EqualFold(fates[i].Who, who) {
				return &fates[i]
			}
		}
		fates = append(fates, fate{Who: who})
		return &fates[len(fates)-1]
	}
	for _, e := range events {
		switch e.Kind {
		case store.Accepted, store.Delayed:
		case store.Held, store.Released, store.Hastened, store.Cancelled:
			if e.Recipient == "" { // it was done to all that was queued
				for i := range fates {
					if fates[i].queued() {
						fates[i].take(e)
					}
				}
				continue
			}
			find(e.Recipient).take(e)
		default:
			find(whose(e)).take(e)
		}
	}
	return fates
}

// whose names the fate that an event belongs to. A maildrop's is the account's.
func whose(e store.Event) string {
	switch e.Kind {
	case store.Delivered, store.Collected, store.Deleted:
		if e.Account != "" {
			return e.Account
		}
	}
	return e.Recipient
}

func (f *fate) queued() bool {
	return f.State == isWaiting || f.State == isDeferred || f.State == isHeld
}

// take moves the fate on by one event.
func (f *fate) take(e store.Event) {
	switch e.Kind {
	case store.Delivered:
		f.become(inMaildrop, e)
	case store.Collected:
		f.become(isCollected, e)
		f.taken = e.Time
	case store.Deleted:
		f.become(isDeleted, e)
	case store.Queued, store.Released:
		f.become(isWaiting, e)
	case store.Hastened:
		if f.State != isHeld { // what is held stays held
			f.become(isWaiting, e)
		}
	case store.Attempt:
		f.tries++
		f.Host = e.Host
	case store.Relayed:
		f.become(isSent, e)
	case store.Postponed:
		f.become(isDeferred, e)
	case store.Bounced:
		f.become(isBounced, e)
	case store.Held:
		f.become(isHeld, e)
	case store.Cancelled:
		f.become(isCancelled, e)
	case store.Rejected:
		f.become(isRefused, e)
	}
}

func (f *fate) become(s state, e store.Event) {
	f.State, f.At, f.Next = s, e.Time, e.Next
	if e.Host != "" {
		f.Host = e.Host
	}
}

// reconcile corrects what the trace tells by what stands in the queue: a restore
// or a disabled account holds mail too.
func (f *fate) reconcile(waiting []queuedMessage) {
	for _, m := range waiting {
		for _, r := range m.Recipients {
			if r.To != f.Who {
				continue
			}
			f.Next = nil
			if r.Next != nil {
				f.Next = &r.Next.At
			}
			if r.Status == "held" {
				f.State = isHeld
			} else if f.State == isHeld {
				f.State = isWaiting
			}
		}
	}
}

// text says in one sentence where the message is for this recipient.
func (f fate) text(now time.Time) string {
	ago := relative(f.At, now)
	switch f.State {
	case inMaildrop:
		return fmt.Sprintf("It is in the maildrop of %s and has not been collected yet.", f.Who)
	case isCollected:
		return fmt.Sprintf("%s collected it %s; it is still in the maildrop.", f.Who, ago)
	case isDeleted:
		if f.taken.IsZero() {
			return fmt.Sprintf("It was deleted from the maildrop of %s %s without having been collected.", f.Who, ago)
		}
		return fmt.Sprintf("%s collected it, and deleted it from the maildrop %s.", f.Who, ago)
	case isWaiting, isDeferred:
		return f.waiting(now)
	case isHeld:
		return fmt.Sprintf("It is held in the queue and is not sent to %s until it is released.", f.Who)
	case isSent:
		if f.Host == "" {
			return fmt.Sprintf("It was sent to %s %s.", f.Who, ago)
		}
		return fmt.Sprintf("%s took it for %s %s.", f.Host, f.Who, ago)
	case isBounced:
		return fmt.Sprintf("It could not be delivered to %s; its sender was told %s.", f.Who, ago)
	case isCancelled:
		return fmt.Sprintf("It was taken out of the queue %s and is not sent to %s.", ago, f.Who)
	case isRefused:
		return fmt.Sprintf("It was refused %s and never became ours.", ago)
	}
	return fmt.Sprintf("It is on its way to %s.", f.Who)
}

func (f fate) waiting(now time.Time) string {
	next := "it is due now"
	if f.Next != nil && f.Next.After(now) {
		next = "the next attempt is " + relative(*f.Next, now)
	}
	if f.tries == 0 {
		return fmt.Sprintf("It waits in the queue for %s; %s.", f.Who, next)
	}
	return fmt.Sprintf("It waits in the queue: %s could not be reached so far; %s.", f.Who, next)
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
	isBounced:   "It could not be delivered to any of its %d recipients; its sender was told.",
	isHeld:      "It is held in the queue for all %d recipients until it is released.",
	isDeferred:  "It waits in the queue for all %d recipients, after attempts that failed for now.",
	isWaiting:   "It waits in the queue for all %d recipients.",
	isRefused:   "It was refused for all %d recipients and never became ours.",
	isCancelled: "It was taken out of the queue for all %d recipients.",
	isSent:      "Other servers took it for all %d recipients.",
	inMaildrop:  "It is in the maildrops of all %d recipients and has not been collected yet.",
	isCollected: "All %d recipients have collected it; it is still in their maildrops.",
	isDeleted:   "It has been deleted from the maildrops of all %d recipients.",
}

// whereabouts says in one sentence where a message is now.
func whereabouts(fates []fate, now time.Time) string {
	switch len(fates) {
	case 0:
		return "It was accepted; nothing more is known of it."
	case 1:
		return fates[0].text(now)
	}
	counts := tallyOf(fates)
	parts := make([]string, len(counts))
	for i, t := range counts {
		parts[i] = fmt.Sprintf("%d %s", t.N, t.State)
	}
	if len(counts) == 1 && forAll[counts[0].State] != "" {
		return fmt.Sprintf(forAll[counts[0].State], len(fates))
	}
	return fmt.Sprintf("%d recipients: %s.", len(fates), strings.Join(parts, ", "))
}
