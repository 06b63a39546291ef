package sqlite

import (
	"bytes"
	"io"
	"sync"

	"postroom/store"
)

// How much of what was just accepted is kept in memory, in octets.
const (
	maxRecent     = 16 << 20
	maxRecentBody = 64 << 10 // of one message
)

// recentBodies holds the bodies of messages that have just been accepted and are
// about to be sent: most are read within milliseconds, once. The oldest one makes
// room.
type recentBodies struct {
	mu    sync.Mutex
	by    map[store.MessageID][]byte
	order []store.MessageID // oldest first
	size  int
}

// keep keeps a body, which nobody may change any more.
func (r *recentBodies) keep(id store.MessageID, body []byte) {
	if len(body) == 0 || len(body) > maxRecentBody {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = make(map[store.MessageID][]byte)
	}
	r.by[id] = body
	r.order = append(r.order, id)
	for r.size += len(body); r.size > maxRecent; {
		r.size -= len(r.by[r.order[0]])
		delete(r.by, r.order[0])
		r.order = r.order[1:]
	}
}

// forget drops the body of a message that is gone.
func (r *recentBodies) forget(id store.MessageID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.size -= len(r.by[id])
	delete(r.by, id)
}

// open returns a body, or nil.
func (r *recentBodies) open(id store.MessageID) *store.Body {
	r.mu.Lock()
	defer r.mu.Unlock()
	body := r.by[id]
	if body == nil {
		return nil
	}
	return &store.Body{ReadCloser: io.NopCloser(bytes.NewReader(body)), Size: int64(len(body))}
}
