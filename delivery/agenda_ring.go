package delivery

// A ring is a list whose members take turns: the first one is served and goes to
// the end. A member can leave it from any place.
type ring[T any] struct {
	first, last *link[T]
}

// A link is the place of a member in a ring.
type link[T any] struct {
	of         T
	in         *ring[T] // nil: in none
	prev, next *link[T]
}

func (r *ring[T]) empty() bool { return r.first == nil }

// push puts a member at the end. It leaves where it was.
func (r *ring[T]) push(l *link[T]) {
	l.leave()
	l.in, l.prev = r, r.last
	if r.last != nil {
		r.last.next = l
	} else {
		r.first = l
	}
	r.last = l
}

// pushFront puts a member before all others. It leaves where it was.
func (r *ring[T]) pushFront(l *link[T]) {
	l.leave()
	l.in, l.next = r, r.first
	if r.first != nil {
		r.first.prev = l
	} else {
		r.last = l
	}
	r.first = l
}

// leave takes a member out of the ring that it is in, if it is in one.
func (l *link[T]) leave() {
	if l.in == nil {
		return
	}
	if l.prev != nil {
		l.prev.next = l.next
	} else {
		l.in.first = l.next
	}
	if l.next != nil {
		l.next.prev = l.prev
	} else {
		l.in.last = l.prev
	}
	l.in, l.prev, l.next = nil, nil, nil
}

// all goes through the members in order. None may leave meanwhile.
func (r *ring[T]) all(yield func(T) bool) {
	for l := r.first; l != nil; l = l.next {
		if !yield(l.of) {
			return
		}
	}
}

// sole reports whether there is one member in r and other together.
func (r ring[T]) sole(other ring[T]) bool {
	return r.first == r.last && other.empty() || r.empty() && other.first == other.last
}
