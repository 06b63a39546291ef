package auth

import "container/list"

// recent is a map that keeps the values that were used last, max of them at most.
// It doesn't lock.
type recent[K comparable, V any] struct {
	max  int
	by   map[K]*list.Element
	used *list.List // of entry, the one not used for longest in front
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](most int) *recent[K, V] {
	return &recent[K, V]{max: most, by: make(map[K]*list.Element), used: list.New()}
}

// get returns the value of k, nil if there is none. It counts as use.
func (r *recent[K, V]) get(k K) *V {
	e := r.by[k]
	if e == nil {
		return nil
	}
	r.used.MoveToBack(e)
	return &e.Value.(*entry[K, V]).value
}

// make returns the value of k, which is a new zero one if there is none.
func (r *recent[K, V]) make(k K) *V {
	if v := r.get(k); v != nil {
		return v
	}
	if len(r.by) >= r.max {
		r.remove(r.used.Front().Value.(*entry[K, V]).key)
	}
	e := &entry[K, V]{key: k}
	r.by[k] = r.used.PushBack(e)
	return &e.value
}

func (r *recent[K, V]) remove(k K) {
	if e := r.by[k]; e != nil {
		r.used.Remove(e)
		delete(r.by, k)
	}
}

// each calls f for every value, in no order. It doesn't count as use.
func (r *recent[K, V]) each(f func(K, *V)) {
	for k, e := range r.by {
		f(k, &e.Value.(*entry[K, V]).value)
	}
}

// removeIf removes what f says.
func (r *recent[K, V]) removeIf(f func(K) bool) {
	for k := range r.by {
		if f(k) {
			r.remove(k)
		}
	}
}
