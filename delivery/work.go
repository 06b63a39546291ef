package delivery

import (
	"fmt"

	"postroom/delivery/smtpclient"
	"postroom/store"
	"postroom/store/mail"
)

// maxPerWork bounds the recipients of one piece of work, so that one message to
// very many doesn't travel over one connection alone. Any server takes so many
// in one transaction (RFC 5321 4.5.3.1.8).
const maxPerWork = 100

// A work is one message and its recipients at one destination.
type work struct {
	key   string // of the destination
	items []store.QueueItem
}

// group makes works of items that were claimed for one destination, in the order
// of the items.
func group(key string, items []store.QueueItem) []*work {
	type identity struct {
		message store.MessageID
		sender  mail.Address
	}
	var open map[identity]*work
	var list []*work
	for i, item := range items {
		id := identity{item.Message, item.Sender}
		w := open[id]
		if w == nil || len(w.items) == maxPerWork {
			w = &work{key: key}
			if len(items) > 1 {
				if open == nil {
					open = make(map[identity]*work)
				}
				open[id] = w
			}
			list = append(list, w)
		}
		w.items = append(w.items, items[i])
	}
	return list
}

// A fate is what one round of attempts came to for one item.
type fate struct {
	result store.Result
	answer smtpclient.Answer // what decided; its Text is never empty unless Interrupted
	host   string            // to whom we spoke, empty if to nobody
	tries  []store.Event     // an "attempt" for each host tried
	// relayedWithoutDSN: taken by a server that won't report on it (no DSN).
	relayedWithoutDSN bool
}

// done reports whether nothing more can come of it in this round.
func (f *fate) done() bool { return f.result != 0 }

// learn takes an answer for what it means: only a clear yes is a yes, and only a
// clear no is a no.
func (f *fate) learn(a smtpclient.Answer, host string) {
	f.answer, f.host = a, host
	switch {
	case a.Taken():
		f.result = store.Sent
	case a.Refused():
		f.result = store.Failed
	}
}

// words are the remote's own, else what went wrong, with the code where it is
// ours.
func (f *fate) words() string {
	a := f.answer
	if a.Remote || a.Code == 0 {
		return a.Text
	}
	return fmt.Sprintf("%d %d.%d.%d %s", a.Code, a.Enhanced[0], a.Enhanced[1], a.Enhanced[2], a.Text)
}

// outcomeWord is how the trace calls an answer.
func outcomeWord(a smtpclient.Answer) string {
	switch {
	case a.Taken():
		return "sent"
	case a.Refused():
		return "failed"
	}
	return "deferred"
}
