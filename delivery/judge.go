package delivery

import (
	"time"

	"postroom/delivery/dsn"
	"postroom/store"
	"postroom/store/mail"
)

// A judgement is an outcome, and what its sender is to be told, if anything.
type judgement struct {
	outcome store.Outcome
	notice  *notice
}

// A notice is one recipient's part in a report. The last event of its outcome is
// the one that the report is of.
type notice struct {
	action    dsn.Action
	recipient dsn.Recipient
}

// judge says what a fate means for an item: whether it is tried again and when,
// whether its time is up, and whether its sender hears of it. spread is as in
// Schedule.Next.
func (s Schedule) judge(item store.QueueItem, f fate, now time.Time, spread float64) judgement {
	j := judgement{outcome: store.Outcome{
		Item:      item.ID,
		Message:   item.Message,
		Recipient: item.Recipient.Address,
		Result:    f.result,
	}}
	switch {
	case f.result == store.Interrupted:
		return j
	case item.Owed != 0:
		j.outcome.Result = store.Told
		j.tellSuccess(item, owedAction(item.Owed), dsn.Recipient{Address: item.Recipient.Address, Original: item.Recipient.Original}, now)
		return j
	}
	j.outcome.Reply, j.outcome.Events = f.words(), f.tries
	switch f.result {
	case store.Sent:
		j.add(store.Event{Kind: store.Relayed, Time: now, Host: f.host, Reply: f.words()})
		if f.relayedWithoutDSN && item.Recipient.Notify&mail.NotifySuccess != 0 {
			j.tellSuccess(item, dsn.Relayed, s.recipient(item, f, now), now)
		}
	case store.Failed:
		j.fail(item, f, now, s.recipient(item, f, now))
	default:
		s.postpone(&j, item, f, now, spread)
	}
	return j
}

func (j *judgement) add(e store.Event) {
	e.Recipient = j.outcome.Recipient.String()
	j.outcome.Events = append(j.outcome.Events, e)
}

// tellSuccess reports what the sender has asked to hear of.
func (j *judgement) tellSuccess(item store.QueueItem, action dsn.Action, recipient dsn.Recipient, now time.Time) {
	e := store.Event{Kind: store.Reported, Time: now, Outcome: string(action)}
	if senderOf(item).IsNull() {
		e.Reason = untoldNull
	} else {
		j.notice = &notice{action, recipient}
	}
	j.add(e)
}

func owedAction(o store.Owed) dsn.Action {
	if o == store.OwedExpanded {
		return dsn.Expanded
	}
	return dsn.Delivered
}

// Why nobody is told.
const (
	untoldNull      = "nobody is told: the message is a report itself, or has no sender"
	untoldUnwanted  = "nobody is told: its sender didn't want a report"
	untoldUnwritten = "nobody is told: the report could not be written"
)

// postpone plans the next round, unless the item's time is up.
func (s Schedule) postpone(j *judgement, item store.QueueItem, f fate, now time.Time, spread float64) {
	recipient := s.recipient(item, f, now)
	recipient.Cause = lasting(f.answer)
	if !item.Expires.IsZero() && !now.Before(item.Expires) {
		recipient.Status, recipient.GivenUp = [3]int{5, 4, 7}, true
		j.fail(item, f, now, recipient)
		return
	}
	j.outcome.Result = store.Deferred
	next := s.Next(now, item.Expires, item.Attempts+1, spread)
	if late := item.Created.Add(s.DelayNotice); s.mayTellDelay(item) && late.After(now) && late.Before(next) {
		next = late // one round more, for a notice that is not late itself
	}
	j.outcome.Retry = next
	j.add(store.Event{Kind: store.Postponed, Time: now, Host: f.host, Reply: f.words(), Next: &next})
	if s.isLate(item, now) && s.mayTellDelay(item) {
		recipient.RetryUntil = item.Expires
		j.notice = &notice{dsn.Delayed, recipient}
		j.add(store.Event{Kind: store.Delayed, Time: now})
	}
	// Also where nobody wants to be told: nothing is owed any more.
	j.outcome.Delayed = s.isLate(item, now)
}

// isLate reports whether a message has reached the age at which its sender is
// told, and that hasn't been looked at before.
func (s Schedule) isLate(item store.QueueItem, now time.Time) bool {
	return s.DelayNotice > 0 && !item.Delayed && now.Sub(item.Created) >= s.DelayNotice
}

// mayTellDelay reports whether the sender is to be told once a message is late.
// Who answers for an alias isn't: such mail is often unwanted, and waits long.
func (s Schedule) mayTellDelay(item store.QueueItem) bool {
	return s.DelayNotice > 0 && !item.Delayed && item.Recipient.Notify.OnDelay() && !senderOf(item).IsNull() && !isUnproven(item)
}

// isForward reports whether an item is sent on in another name than its sender's.
func isForward(item store.QueueItem) bool {
	return !item.Via.IsNull() && item.Sender != item.Envelope.Sender
}

// senderOf is who has sent an item, whatever name it is sent on in.
func senderOf(item store.QueueItem) mail.Address {
	if isForward(item) {
		return item.Envelope.Sender
	}
	return item.Sender
}

// isUnproven reports whether an item is forwarded for a sender who may be another
// than it says, and so can't be told of anything.
func isUnproven(item store.QueueItem) bool { return isForward(item) && !item.Authentic }

func (j *judgement) fail(item store.QueueItem, f fate, now time.Time, recipient dsn.Recipient) {
	j.outcome.Result = store.Failed
	e := store.Event{Kind: store.Bounced, Time: now, Host: f.host, Reply: f.words()}
	switch {
	case senderOf(item).IsNull():
		e.Reason = untoldNull
	case !item.Recipient.Notify.OnFailure():
		e.Reason = untoldUnwanted
	default:
		j.notice = &notice{dsn.Failed, recipient}
	}
	j.add(e)
}

// recipient puts a fate into the terms of a report.
func (s Schedule) recipient(item store.QueueItem, f fate, now time.Time) dsn.Recipient {
	r := dsn.Recipient{
		Address:  item.Recipient.Address,
		Original: item.Recipient.Original,
		Via:      item.Via,
		Status:   codeOf(f.answer),
		Cause:    causeOf(f.answer),
		Remote:   f.host,
		Since:    item.Created,
	}
	if item.Cancel {
		r.Cause = dsn.Returned
	}
	if f.answer.Remote {
		r.Words = f.answer.Text
	} else {
		r.Detail = f.answer.Text
	}
	if n := len(f.tries); n > 0 {
		r.LastAttempt = f.tries[n-1].Time
	} else if !item.Cancel {
		r.LastAttempt = now
	}
	return r
}
