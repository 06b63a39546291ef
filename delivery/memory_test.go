package delivery

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"postroom/store"
	"postroom/store/mail"
)

// memory is a Queue and a Directory in memory.
type memory struct {
	mu        sync.Mutex
	items     []*store.QueueItem                // the one with ID n is at n-1; nil: it is gone
	lanes     map[store.Lane][]*store.QueueItem // what isn't claimed, by due
	claims    int                               // calls
	outcomes  []store.Outcome
	health    map[string]store.Health
	ways      store.Ways
	news      store.QueueChanges
	changed   chan struct{}
	withdrawn map[store.QueueID]bool
	failing   bool // Settle fails
	sender    mail.Address
	unsure    error // of Resolve
	known     bool  // everybody has an account
	open      func(store.MessageID) (*store.Body, error)
}

func newMemory() *memory {
	return &memory{lanes: map[store.Lane][]*store.QueueItem{}, health: map[string]store.Health{}, withdrawn: map[store.QueueID]bool{}, changed: make(chan struct{}, 1)}
}

// put queues a message for bob at each domain.
func (m *memory) put(domains ...string) { m.putFrom(0, domains...) }

// putFrom queues mail of one account.
func (m *memory) putFrom(account store.AccountID, domains ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, domain := range domains {
		id := store.QueueID(len(m.items) + 1)
		m.items = append(m.items, &store.QueueItem{
			ID: id, Message: store.MessageID(id), Domain: domain, Size: int64(len(letter)),
			Account: account, Sender: m.sender, Origin: m.sender.Domain,
			Recipient: mail.Recipient{Address: mail.Address{Local: "bob", Domain: domain}},
			Created:   time.Now(), Due: time.Now(), Expires: time.Now().Add(5 * 24 * time.Hour),
		})
		m.enter(m.items[id-1])
	}
	m.signal()
}

// enter puts an item where it can be claimed.
func (m *memory) enter(item *store.QueueItem) {
	lane := item.Lane()
	list := m.lanes[lane]
	i, _ := slices.BinarySearchFunc(list, item.Due, func(x *store.QueueItem, due time.Time) int {
		return cmp.Or(x.Due.Compare(due), -1)
	})
	m.lanes[lane] = slices.Insert(list, i, item)
	m.tell(lane, item.Due, false)
}

// tell notes a lane for Changes.
func (m *memory) tell(lane store.Lane, due time.Time, hasten bool) {
	for i := len(m.news.Lanes) - 1; i >= 0; i-- {
		if n := &m.news.Lanes[i]; n.Lane == lane {
			n.Due, n.Hasten = earlier(n.Due, due), n.Hasten || hasten
			return
		}
	}
	m.news.Lanes = append(m.news.Lanes, store.LaneDue{Lane: lane, Due: due, Hasten: hasten})
}

func (m *memory) signal() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

func (m *memory) Lanes(context.Context) (list []store.LaneDue, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.news.Lanes = nil
	for lane, items := range m.lanes {
		if len(items) > 0 {
			list = append(list, store.LaneDue{Lane: lane, Due: items[0].Due})
		}
	}
	return list, nil
}

func (m *memory) Changes() store.QueueChanges {
	m.mu.Lock()
	defer m.mu.Unlock()
	news := m.news
	m.news = store.QueueChanges{}
	return news
}

func (m *memory) ClaimLane(_ context.Context, c store.LaneClaim) (claimed store.Claimed, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.claims++
	if m.paused(c.Lane.Domain) {
		return claimed, nil
	}
	var left []*store.QueueItem
	list := m.lanes[c.Lane]
	for len(list) > 0 && len(claimed.Items) < c.Works && (c.Late != nil || !list[0].Due.After(c.Now)) {
		item := list[0]
		if list = list[1:]; !m.asked(item, c) {
			left = append(left, item)
			continue
		}
		item.Sending = true
		claimed.Items = append(claimed.Items, *item)
	}
	if len(left) > 0 {
		list = append(left, list...)
	}
	m.lanes[c.Lane] = list
	if len(list) > 0 && c.Late == nil {
		claimed.Next = list[0].Due
	}
	return claimed, nil
}

func (m *memory) asked(item *store.QueueItem, c store.LaneClaim) bool {
	if c.Late == nil {
		return !item.Due.After(c.Now)
	}
	return !item.Expires.After(c.Now) || !item.Delayed && !item.Created.After(*c.Late)
}

func (m *memory) paused(domain string) bool {
	return slices.ContainsFunc(m.ways.Paused, func(p store.Pause) bool { return p.Domain == domain })
}

func (m *memory) Withdrawn(_ context.Context, ids []store.QueueID) (gone []store.QueueID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if item := m.items[id-1]; item == nil || m.withdrawn[id] || m.paused(item.Domain) {
			gone = append(gone, id)
		}
	}
	return gone, nil
}

func (m *memory) Health(context.Context) ([]store.Health, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []store.Health
	for _, h := range m.health {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b store.Health) int { return cmp.Compare(a.Destination, b.Destination) })
	return list, nil
}

// healthOf returns what is kept of a destination.
func (m *memory) healthOf(key string) store.Health {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.health[key]
}

func (m *memory) Ways(context.Context) (store.Ways, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ways, nil
}

// setWays changes what the admin has said.
func (m *memory) setWays(w store.Ways) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ways, m.news.Ways = w, true
	for lane, items := range m.lanes {
		if len(items) > 0 {
			m.tell(lane, items[0].Due, false)
		}
	}
	m.signal()
}

// setWithdrawn says whether a claimed item is not to be sent.
func (m *memory) setWithdrawn(id store.QueueID, withdrawn bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.withdrawn[id] = withdrawn
}

// hasten makes all items of a domain due.
func (m *memory) hasten(domain string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for lane, items := range m.lanes {
		if lane.Domain == domain && len(items) > 0 {
			for _, item := range items {
				item.Due = time.Now()
			}
			m.tell(lane, time.Now(), true)
		}
	}
	m.signal()
}

func (m *memory) Settle(_ context.Context, s store.Settlement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing {
		return store.ErrDiskFull
	}
	for _, h := range s.Health {
		m.health[h.Destination] = h
	}
	for _, o := range s.Outcomes {
		m.outcomes = append(m.outcomes, o)
		m.settle(m.items[o.Item-1], o)
	}
	m.signal()
	return nil
}

func (m *memory) settle(item *store.QueueItem, o store.Outcome) {
	switch item.Sending = false; o.Result {
	case store.Deferred:
		item.Due, item.LastReply, item.Delayed = o.Retry, o.Reply, item.Delayed || o.Delayed
		item.Attempts++
		m.enter(item)
	case store.Interrupted:
		m.enter(item)
	default:
		m.items[o.Item-1] = nil
	}
}

func (m *memory) OpenMessage(_ context.Context, id store.MessageID) (*store.Body, error) {
	if m.open != nil {
		return m.open(id)
	}
	return &store.Body{ReadCloser: io.NopCloser(strings.NewReader(letter)), Size: int64(len(letter))}, nil
}

func (m *memory) QueueChanged() <-chan struct{} { return m.changed }
func (m *memory) NewMessageID() store.MessageID { return 1 << 40 }

func (m *memory) Resolve(context.Context, mail.Address) (store.Resolution, error) {
	if m.unsure != nil {
		return store.Resolution{}, m.unsure
	}
	if m.known {
		return store.Resolution{Ours: true, Destinations: []store.Destination{{Account: 1}}}, nil
	}
	return store.Resolution{}, store.ErrNotFound
}

func (m *memory) setFailing(failing bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failing = failing
}

// settled returns the outcomes so far.
func (m *memory) settled() []store.Outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.outcomes)
}

// left returns the items that are still there.
func (m *memory) left() []store.QueueItem {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []store.QueueItem
	for _, item := range m.items {
		if item != nil {
			list = append(list, *item)
		}
	}
	return list
}
