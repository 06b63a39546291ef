package sqlite

import (
	"encoding/json"
	"slices"

	"postroom/store"
	"postroom/store/mail"
)

// A batch gathers what one claim takes: works, each of them recipients of one
// message from one sender.
type batch struct {
	claim store.LaneClaim
	works []*batchWork
	open  map[identity]*batchWork // the last one of each
	taken map[store.QueueID]bool
}

type identity struct {
	message store.MessageID
	sender  mail.Address
}

type batchWork struct{ items []store.QueueItem }

func newBatch(c store.LaneClaim) *batch {
	return &batch{claim: c, open: make(map[identity]*batchWork), taken: make(map[store.QueueID]bool)}
}

// take puts an item into the batch, and reports whether there was room.
func (b *batch) take(item store.QueueItem) bool {
	if b.taken[item.ID] {
		return true
	}
	id := identity{item.Message, item.Sender}
	w := b.open[id]
	if w == nil || len(w.items) == b.claim.PerWork {
		if len(b.works) >= b.claim.Works {
			return false
		}
		w = &batchWork{}
		b.open[id] = w
		b.works = append(b.works, w)
	}
	w.items = append(w.items, item)
	b.taken[item.ID] = true
	return true
}

// due reports whether an item that a query has selected has come due. Late ones
// needn't be.
func (b *batch) due(item store.QueueItem) bool {
	return b.claim.Late != nil || !item.Due.After(b.claim.Now)
}

// lateSince returns the claim's Late as it is kept, or nil.
func (b *batch) lateSince() any {
	if b.claim.Late == nil {
		return nil
	}
	return micros(*b.claim.Late)
}

// wants reports whether an item of a message in the batch belongs to the claim.
func (b *batch) wants(item store.QueueItem) bool {
	lane := item.Lane()
	return lane == b.claim.Lane || b.claim.Together != nil && b.claim.Together(lane)
}

// messages returns the messages in the batch, each once, in their order.
func (b *batch) messages() []store.MessageID {
	var list []store.MessageID
	seen := make(map[store.MessageID]bool)
	for _, w := range b.works {
		if id := w.items[0].Message; !seen[id] {
			seen[id] = true
			list = append(list, id)
		}
	}
	return list
}

// items returns all of the batch, what belongs to a message together.
func (b *batch) items() []store.QueueItem {
	rank := make(map[store.MessageID]int)
	for i, id := range b.messages() {
		rank[id] = i
	}
	var list []store.QueueItem
	for _, w := range b.works {
		list = append(list, w.items...)
	}
	slices.SortStableFunc(list, func(x, y store.QueueItem) int { return rank[x.Message] - rank[y.Message] })
	return list
}

// claimedAs returns, as JSON, a list of pairs: an item and whether it is claimed
// as Paperwork.
func (s *Store) claimedAs(items []store.QueueID) (string, error) {
	pairs := make([][2]int64, len(items))
	s.claims.mu.Lock()
	for i, id := range items {
		pairs[i][0] = int64(id)
		if l := s.claims.items[id].lane; l != nil && l.lane.Class == store.Paperwork {
			pairs[i][1] = 1
		}
	}
	s.claims.mu.Unlock()
	text, err := json.Marshal(pairs)
	return string(text), err
}
