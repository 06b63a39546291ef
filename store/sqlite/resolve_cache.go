package sqlite

import (
	"sync"

	"postroom/store"
)

// maxRemembered bounds how many answers of each kind are kept.
const maxRemembered = 20_000

// A directoryCache remembers answers about addresses until the directory
// changes. An answer is worked out from one snapshot of the database; between
// reading the generation and keeping the answer a change may have been
// committed, and then the answer isn't kept.
type directoryCache struct {
	mu         sync.RWMutex
	generation uint64
	resolved   map[string]resolved  // by mail.Address.Key
	rights     map[senderRight]bool // may this account send as this address?
}

// A resolved is a resolution without what changes with every mail: the room.
type resolved struct {
	resolution store.Resolution
	quota      int64 // of Direct
	refused    bool
	itself     bool // mail goes on to the address itself
}

type senderRight struct {
	account store.AccountID
	key     string
}

// clear forgets everything: the directory has changed.
func (c *directoryCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.resolved, c.rights = nil, nil
}

// resolution returns the answer for key, if there is one, and the generation to
// keep a new one under.
func (c *directoryCache) resolution(key string) (r resolved, ok bool, generation uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	r, ok = c.resolved[key]
	return r, ok, c.generation
}

func (c *directoryCache) keepResolution(generation uint64, key string, r resolved) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation == c.generation {
		c.resolved = keep(c.resolved, key, r)
	}
}

// right is resolution for a sender's right.
func (c *directoryCache) right(of senderRight) (may, ok bool, generation uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	may, ok = c.rights[of]
	return may, ok, c.generation
}

func (c *directoryCache) keepRight(generation uint64, of senderRight, may bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation == c.generation {
		c.rights = keep(c.rights, of, may)
	}
}

// keep adds to a map, and takes something out of a full one.
func keep[K comparable, V any](m map[K]V, key K, value V) map[K]V {
	if m == nil {
		m = make(map[K]V)
	}
	if len(m) >= maxRemembered {
		for some := range m {
			delete(m, some)
			break
		}
	}
	m[key] = value
	return m
}
