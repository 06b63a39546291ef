package delivery

import (
	"container/heap"
	"time"
)

// A dueHeap holds what waits for a time, the earliest first.
type dueHeap[T timed] struct{ list timedList[T] }

// What is timed knows its time, and its place in a heap: -1 outside.
type timed interface {
	when() time.Time
	place() *int
}

func (l *lane) when() time.Time        { return l.due }
func (l *lane) place() *int            { return &l.index }
func (d *destination) when() time.Time { return d.wakes }
func (d *destination) place() *int     { return &d.index }

func (h *dueHeap[T]) put(x T) { heap.Push(&h.list, x) }

// take removes x, if it is there.
func (h *dueHeap[T]) take(x T) {
	if i := *x.place(); i >= 0 {
		heap.Remove(&h.list, i)
	}
}

// due returns the first one if its time has come.
func (h *dueHeap[T]) due(now time.Time) (x T, ok bool) {
	if len(h.list) == 0 || h.list[0].when().After(now) {
		return x, false
	}
	return h.list[0], true
}

// first returns the earliest time, zero if there is none.
func (h *dueHeap[T]) first() time.Time {
	if len(h.list) == 0 {
		return time.Time{}
	}
	return h.list[0].when()
}

// A timedList implements heap.Interface.
type timedList[T timed] []T

func (l timedList[T]) Len() int           { return len(l) }
func (l timedList[T]) Less(i, j int) bool { return l[i].when().Before(l[j].when()) }

func (l timedList[T]) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	*l[i].place(), *l[j].place() = i, j
}

func (l *timedList[T]) Push(x any) {
	t := x.(T)
	*t.place() = len(*l)
	*l = append(*l, t)
}

func (l *timedList[T]) Pop() any {
	n := len(*l) - 1
	x := (*l)[n]
	var none T
	(*l)[n] = none
	*l = (*l)[:n]
	*x.place() = -1
	return x
}
