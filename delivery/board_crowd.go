package delivery

import "postroom/store"

// A crowd is who had to wait outside a gate. The senders take turns here too, and
// what is fresh goes before what has been tried: a newsletter to 10,000
// destinations that nobody knows yet mustn't keep the next single mail waiting
// behind all of them.
type crowd struct {
	lines [2]ring[*line] // by class
	by    map[lineKey]*line
	ratio ratio
}

// A line is those who wait for one sender. It keeps their order.
type line struct {
	lineKey
	waiting []*destination
	inTurn  link[*line]
}

// A lineKey tells lines apart. There is one without a sender, for work that is
// claimed already.
type lineKey struct {
	sender *sender
	class  int
}

// add puts a destination at the end of the line of a share's sender.
func (c *crowd) add(d *destination, whose *share) {
	key := lineKey{}
	if whose != nil {
		key = lineKey{whose.sender, int(whose.class)}
	}
	l := c.by[key]
	if l == nil {
		l = &line{lineKey: key}
		l.inTurn.of = l
		if c.by == nil {
			c.by = make(map[lineKey]*line)
		}
		c.by[key] = l
		c.lines[key.class].push(&l.inTurn)
	}
	if n := len(l.waiting); n == 0 || l.waiting[n-1] != d {
		l.waiting = append(l.waiting, d)
	}
}

// next returns whose turn it is to leave the crowd, of those whose senders may;
// nil if nobody is there.
func (c *crowd) next(may func(*sender) bool) *destination {
	first := [2]*line{c.first(0, may), c.first(1, may)}
	class, ok := c.ratio.choose(first[0] == nil, first[1] == nil)
	if !ok {
		return nil
	}
	c.ratio.count(class)
	l := first[class]
	d := l.waiting[0]
	l.waiting[0] = nil
	if l.waiting = l.waiting[1:]; len(l.waiting) > 0 {
		c.lines[class].push(&l.inTurn)
		return d
	}
	l.inTurn.leave()
	delete(c.by, l.lineKey)
	return d
}

// first returns the first line of a class whose sender may leave.
func (c *crowd) first(class store.Class, may func(*sender) bool) *line {
	for l := range c.lines[class].all {
		if may(l.sender) {
			return l
		}
	}
	return nil
}
