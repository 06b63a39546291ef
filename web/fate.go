package web

import (
	"strings"
	"time"

	"postroom/store"
)

// A fate is what became of a message for one of its recipients, as far as its
// trace tells.
type fate struct {
	Who   string // the recipient, or the account whose maildrop it is in
	Via   string // the address that it is sent on from, empty for none
	State state
	At    time.Time  // since when
	Host  string     // who took it, when sent
	Next  *time.Time // when it is tried again, when waiting
	told  string     // who was told that it failed
	held  []string   // by what, as far as the queue knows: admin, account, restore, pause
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
		case store.Accepted, store.Delayed, store.Reported, store.Answered: // they change nothing
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
	case store.Queued:
		f.become(isWaiting, e)
		f.Via = e.Via
	case store.Released:
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
		f.told = told(e)
	case store.Held:
		f.become(isHeld, e)
	case store.Cancelled:
		f.become(isCancelled, e)
	case store.Rejected:
		f.become(isRefused, e)
	}
}

// told says who was told of a failure, empty if the trace doesn't know.
func told(e store.Event) string {
	switch {
	case e.Reason != "":
		return e.Reason
	case e.Report != nil:
		return "its sender was told"
	}
	return ""
}

func (f *fate) become(s state, e store.Event) {
	f.State, f.At, f.Next = s, e.Time, e.Next
	if e.Host != "" {
		f.Host = e.Host
	}
}

// reconcile corrects what the trace tells by what stands in the queue: a restore,
// a disabled account or a pause holds mail too.
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
				f.State, f.held = isHeld, r.heldBy
			} else if f.State == isHeld {
				f.State = isWaiting
			}
		}
	}
}
