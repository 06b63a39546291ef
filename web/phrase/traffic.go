package phrase

import (
	"fmt"
	"time"
)

// Flow names a kind of mail that is counted: what one of them did, and what many, and
// what stands above the numbers.
type Flow struct{ One, Many, Counted string }

// The kinds of mail that the first page draws.
var (
	FlowIn       = Flow{"message came in", "messages came in", "Messages accepted"}
	FlowOut      = Flow{"message was sent to another server", "messages were sent to other servers", "Recipients that other servers took"}
	FlowDeferred = Flow{"attempt was put off", "attempts were put off", "Attempts that will be made again"}
	FlowBounced  = Flow{"recipient was given up", "recipients were given up", "Recipients given up"}
	FlowRefused  = Flow{"recipient was refused at the door", "recipients were refused at the door", "Recipients refused"}
)

// Amount says how much of a flow there was over a span, and when there was most of
// it: "12 messages came in over the last hour; most of them, 4, at 09:12."
func (f Flow) Amount(total int64, over string, most int64, when string) string {
	switch total {
	case 0:
		return fmt.Sprintf("No %s over the last %s.", f.One, over)
	case 1:
		return fmt.Sprintf("1 %s over the last %s, %s.", f.One, over, when)
	}
	if most == total {
		return fmt.Sprintf("%s %s over the last %s, all of them %s.", Number(total), f.Many, over, when)
	}
	return fmt.Sprintf("%s %s over the last %s; most of them, %s, %s.", Number(total), f.Many, over, Number(most), when)
}

// Waited says how long a part of the queue has waited.
func Waited(from, to time.Duration) string {
	switch {
	case from == 0:
		return "less than " + Span(to)
	case to == 0:
		return "more than " + Span(from)
	}
	return Span(from) + " to " + Span(to)
}

// Free says how much of a disk is free.
func Free(free, size int64) string {
	return fmt.Sprintf("%s free of %s", Octets(free), Octets(size))
}

// LowDisk says that the disk is full, or will be.
func LowDisk(free, reserve int64) string {
	if free < reserve {
		return fmt.Sprintf("The disk is full: %s are free, and below %s no new mail is taken.", Octets(free), Octets(reserve))
	}
	return fmt.Sprintf("The disk is nearly full: %s are free, and below %s no new mail is taken.", Octets(free), Octets(reserve))
}

// Fullness says who has used much of a quota: one alone by name.
func Fullness(n int64, address string, percent, from int64) string {
	if n == 1 {
		return fmt.Sprintf("%s has used %d %% of its quota.", address, percent)
	}
	return fmt.Sprintf("%s accounts have used %d %% of their quota or more.", Number(n), from)
}

// NearLimit says who has sent nearly as much as may be sent: one alone by name.
func NearLimit(n int64, name string, percent, from int64) string {
	if n == 1 {
		return fmt.Sprintf("%s has used %d %% of a sending limit.", name, percent)
	}
	return fmt.Sprintf("%s have used %d %% of a sending limit or more.", Number(n), from)
}

// Unreachable says which destinations can't be reached, though mail waits for them.
func Unreachable(n int64, name string) string {
	switch n {
	case 1:
		return fmt.Sprintf("Nobody can be reached at %s, and mail waits for it.", name)
	case 2:
		return fmt.Sprintf("Nobody can be reached at %s and another destination, and mail waits for them.", name)
	}
	return fmt.Sprintf("Nobody can be reached at %s and %s other destinations, and mail waits for them.", name, Number(n-1))
}
