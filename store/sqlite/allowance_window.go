package sqlite

// What is counted, and over what: the indexes of an amount and of a window's sums.
// A store.Allowance has its limits in the order messages in an hour, messages in a
// day, recipients in an hour, recipients in a day.
const (
	messages = iota
	recipients

	hourly = 0
	daily  = 1
)

// spans is how far back the sums look, in minutes.
var spans = [2]int64{hourly: 60, daily: 24 * 60}

// What lies further ahead than this, in minutes, was counted while the clock was
// wrong.
const wrongClock = 60

// An amount is a number of messages and their recipients.
type amount [2]int64

func (a *amount) add(b amount) {
	a[messages] += b[messages]
	a[recipients] += b[recipients]
}

func (a amount) negative() amount { return amount{-a[messages], -a[recipients]} }

// A cell is what was sent in one minute.
type cell struct {
	minute int64 // since 1970
	amount
}

// A window is what was sent in the day that ends now, and how much of it in the
// last hour. A minute counts until an hour, or a day, after its end, so that no
// hour and no day can ever hold more than its limit.
type window struct {
	cells  []cell // oldest first
	recent int    // the first cell of the last hour
	sums   [2]amount
}

// advance forgets what is too old at a minute.
func (w *window) advance(now int64) {
	for len(w.cells) > 0 && w.cells[len(w.cells)-1].minute > now+wrongClock {
		w.removeLast()
	}
	for w.recent < len(w.cells) && w.cells[w.recent].minute+spans[hourly] < now {
		w.sums[hourly].add(w.cells[w.recent].negative())
		w.recent++
	}
	old := 0
	for old < len(w.cells) && w.cells[old].minute+spans[daily] < now {
		w.sums[daily].add(w.cells[old].negative())
		old++
	}
	w.cells = w.cells[old:]
	w.recent -= old
}

func (w *window) removeLast() {
	last := len(w.cells) - 1
	if w.recent <= last {
		w.sums[hourly].add(w.cells[last].negative())
	}
	w.sums[daily].add(w.cells[last].negative())
	w.cells = w.cells[:last]
	w.recent = min(w.recent, last)
}

// add counts n at a minute, and returns the minute that it was counted in: the
// clock may have been set back a little since the last one.
func (w *window) add(minute int64, n amount) int64 {
	last := len(w.cells) - 1
	if last >= 0 && w.cells[last].minute >= minute {
		minute = w.cells[last].minute
		w.cells[last].add(n)
	} else {
		last++
		w.cells = append(w.cells, cell{minute, n})
	}
	if w.recent <= last {
		w.sums[hourly].add(n)
	}
	w.sums[daily].add(n)
	return minute
}

// takeBack undoes an add that counted n in a minute.
func (w *window) takeBack(minute int64, n amount) {
	i := w.find(minute)
	if i < 0 {
		return
	}
	w.cells[i].add(n.negative())
	if w.recent <= i {
		w.sums[hourly].add(n.negative())
	}
	w.sums[daily].add(n.negative())
}

// find returns the index of a minute's cell, -1 if there is none.
func (w *window) find(minute int64) int {
	for i := len(w.cells) - 1; i >= 0 && w.cells[i].minute >= minute; i-- {
		if w.cells[i].minute == minute {
			return i
		}
	}
	return -1
}

// frees returns the first minute in which no more than most are counted, 0 if
// that is never.
func (w *window) frees(counts, per int, most int64) int64 {
	from := 0
	if per == hourly {
		from = w.recent
	}
	sum := w.sums[per][counts]
	for _, c := range w.cells[from:] {
		if sum -= c.amount[counts]; sum <= most {
			return c.minute + spans[per] + 1
		}
	}
	return 0
}
