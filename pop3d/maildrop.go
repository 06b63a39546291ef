package pop3d

import (
	"slices"

	"postroom/store"
)

// A maildrop is one account's maildrop as it was at login, and what the session
// means to delete from it.
type maildrop struct {
	account store.AccountID
	entries []store.Entry
	deleted []uint64 // a bit for each entry; nil: none was ever set
	left    int      // messages not marked as deleted
	octets  int64    // and their size

	lease   *lease
	untrack func()

	retrieved int // messages sent completely
	removed   int // messages that QUIT deleted
}

// fill puts the snapshot in.
func (d *maildrop) fill(entries []store.Entry) {
	d.entries = entries
	d.reset()
}

// close lets other sessions have the maildrop. It may be called again.
func (d *maildrop) close() {
	d.lease.release()
	if d.untrack != nil {
		d.untrack()
		d.untrack = nil
	}
}

// reset takes all marks away.
func (d *maildrop) reset() {
	clear(d.deleted)
	d.left, d.octets = len(d.entries), 0
	for i := range d.entries {
		d.octets += d.entries[i].Size
	}
}

// gone reports whether entry i is marked as deleted.
func (d *maildrop) gone(i int) bool {
	return d.deleted != nil && d.deleted[i/64]&(1<<(i%64)) != 0
}

// mark marks entry i, which isn't marked yet, as deleted.
func (d *maildrop) mark(i int) {
	if d.deleted == nil {
		d.deleted = make([]uint64, (len(d.entries)+63)/64)
	}
	d.deleted[i/64] |= 1 << (i % 64)
	d.left--
	d.octets -= d.entries[i].Size
}

// marked returns the messages that are marked as deleted, in ascending order.
func (d *maildrop) marked() []store.MessageID {
	ids := make([]store.MessageID, 0, len(d.entries)-d.left)
	for i := range d.entries {
		if d.gone(i) {
			ids = append(ids, d.entries[i].Message)
		}
	}
	slices.Sort(ids)
	return ids
}

// find returns the index of the message that number names. It is a plain
// decimal number from 1 on: no sign, no zeros in front.
func (d *maildrop) find(number string) (i int, ok bool) {
	n, ok := parseNumber(number)
	if !ok || n < 1 || n > len(d.entries) || number[0] == '0' || d.gone(n-1) {
		return 0, false
	}
	return n - 1, true
}

// parseNumber parses digits. A number of more than 9 digits is as good as
// infinite: it becomes 999,999,999.
func parseNumber(s string) (n int, ok bool) {
	const infinite = 999_999_999
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n = n*10 + int(s[i]-'0'); n > infinite {
			n = infinite
		}
	}
	return n, s != ""
}
