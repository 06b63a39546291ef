package delivery

import (
	"strings"
	"time"

	"postroom/delivery/dsn"
	"postroom/store"
)

// A judgement is an outcome, and what its sender is to be told, if anything.
type judgement struct {
	outcome store.Outcome
	notice  *notice
}

// A notice is one recipient's part in a report.
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
		Reply:     f.words(),
		Events:    f.tries,
	}}
	switch f.result {
	case store.Interrupted:
		return judgement{outcome: store.Outcome{Item: item.ID, Message: item.Message, Recipient: item.Recipient.Address, Result: store.Interrupted}}
	case store.Sent:
		j.add(store.Event{Kind: store.Relayed, Time: now, Host: f.host, Reply: f.words()})
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

// postpone plans the next round, unless the item's time is up.
func (s Schedule) postpone(j *judgement, item store.QueueItem, f fate, now time.Time, spread float64) {
	recipient := s.recipient(item, f, now)
	if !item.Expires.IsZero() && !now.Before(item.Expires) {
		recipient.Status, recipient.Cause = [3]int{5, 4, 7}, dsn.Unreachable
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
	if s.tellsDelay(item, now) {
		recipient.Cause, recipient.RetryUntil = dsn.Unreachable, item.Expires
		j.notice = &notice{dsn.Delayed, recipient}
		j.add(store.Event{Kind: store.Delayed, Time: now})
		j.outcome.Delayed = true
	}
}

// tellsDelay reports whether it is time to tell the sender, once, that a message
// is late.
func (s Schedule) tellsDelay(item store.QueueItem, now time.Time) bool {
	return s.mayTellDelay(item) && now.Sub(item.Created) >= s.DelayNotice
}

// mayTellDelay reports whether the sender is to be told once a message is late.
func (s Schedule) mayTellDelay(item store.QueueItem) bool {
	return s.DelayNotice > 0 && !item.Delayed && item.Recipient.Notify.OnDelay() && !item.Sender.IsNull()
}

func (j *judgement) fail(item store.QueueItem, f fate, now time.Time, recipient dsn.Recipient) {
	j.outcome.Result = store.Failed
	e := store.Event{Kind: store.Bounced, Time: now, Host: f.host, Reply: f.words()}
	switch {
	case item.Sender.IsNull():
		e.Reason = "nobody is told: the message is a report itself, or has no sender"
	case !item.Recipient.Notify.OnFailure():
		e.Reason = "nobody is told: its sender didn't want a report"
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
		Status:   f.answer.Enhanced,
		Cause:    causeOf(f),
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

// causeOf finds the class of a failure: by the enhanced code (RFC 3463) where
// there is one, by the words where there isn't.
func causeOf(f fate) dsn.Cause {
	code := f.answer.Enhanced
	switch {
	case !f.answer.Remote && code == [3]int{5, 4, 4}:
		return dsn.NoAddress
	case code[1] == 2 && code[2] == 2:
		return dsn.Full
	case code[1] == 6, code[1] == 3 && code[2] == 4, code[1] == 2 && code[2] == 3:
		return dsn.Unfit
	case code[1] == 1 && (code[2] <= 3 || code[2] == 6 || code[2] == 10):
		return dsn.NoAddress
	case code == [3]int{}:
		return causeOfWords(f.answer.Code, strings.ToLower(f.answer.Text))
	}
	return dsn.Refused
}

// unknownWords are how servers without enhanced codes say that there is nobody
// of that name.
var unknownWords = []string{
	"unknown user", "user unknown", "no such user", "no such recipient", "unknown recipient", "recipient unknown",
	"does not exist", "doesn't exist", "not exist", "no mailbox", "mailbox not found", "user not found",
	"mailbox unavailable", "unknown mailbox", "invalid recipient", "unrouteable",
}

func causeOfWords(code int, words string) dsn.Cause {
	if code == 552 && strings.Contains(words, "quota") || strings.Contains(words, "mailbox full") || strings.Contains(words, "mailbox is full") {
		return dsn.Full
	}
	for _, w := range unknownWords {
		if code/100 == 5 && strings.Contains(words, w) {
			return dsn.NoAddress
		}
	}
	return dsn.Refused
}
