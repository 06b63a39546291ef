package delivery

import (
	"fmt"

	"postroom/delivery/route"
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

// returns is the destination of what is returned without an attempt: it has no
// server that could be slow.
const returns = "\x00returned"

// group makes works of claimed items, in the order of the items.
func group(items []store.QueueItem, router *route.Router) []*work {
	type identity struct {
		key     string
		message store.MessageID
		sender  mail.Address
	}
	open := make(map[identity]*work)
	var list []*work
	for _, item := range items {
		key := router.Key(item.Domain)
		if item.Cancel {
			key = returns
		}
		id := identity{key, item.Message, item.Sender}
		w := open[id]
		if w == nil || len(w.items) == maxPerWork {
			w = &work{key: key}
			open[id] = w
			list = append(list, w)
		}
		w.items = append(w.items, item)
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
