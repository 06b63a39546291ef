package store

import (
	"context"
	"time"
)

// A ChangeID names an entry of the journal. Later ones are larger.
type ChangeID int64

// A Change is an entry of the journal: who changed what, and how it was before.
// Nothing secret is in it.
type Change struct {
	ID       ChangeID // zero until it is committed
	At       time.Time
	Who      string // an account's address, or a user of the system; empty for the server itself
	Via      string
	Client   string // an IP address, or empty
	Action   string // a fixed word with a dot, such as "alias.add"
	Subject  string // an address, a domain, a network, or what of the queue
	Before   string // a JSON object of plain values; empty: there was nothing
	After    string // the same; empty: there is nothing
	Undoes   ChangeID
	UndoneBy ChangeID
	// Counts says that the change is of many items at once: Touched is how many it has
	// changed, and while that is none there is no entry.
	Counts  bool
	Touched int64
}

// A JournalQuery says which entries are wanted. Its zero fields ask for nothing.
type JournalQuery struct {
	Who    string    // a part of who it was, by what, or from where
	About  string    // a part of the subject
	Action string    // "alias.add", or all that begins with "alias."
	Since  time.Time // not before
	Until  time.Time // before
	Below  ChangeID  // older than this entry
	Limit  int       // the newest so many; zero: all
}

type changeKey struct{}

// WithChange returns a context for one operation of a backend. The backend writes
// c into the journal in the commit that carries the operation out, so that there is
// either both or neither, and then sets c.ID. Where an operation takes several
// commits the first one has the entry. An entry that undoes another one fails with
// ErrConflict, and the operation with it, if that one is undone already.
//
// c must not be used again, nor read before the operation returns.
func WithChange(ctx context.Context, c *Change) context.Context {
	return context.WithValue(ctx, changeKey{}, c)
}

// WithoutChange returns a context for what belongs to an operation but isn't what
// its entry is about.
func WithoutChange(ctx context.Context) context.Context {
	return context.WithValue(ctx, changeKey{}, (*Change)(nil))
}

// ChangeOf returns the entry that an operation is to leave, nil for none.
func ChangeOf(ctx context.Context) *Change {
	c, _ := ctx.Value(changeKey{}).(*Change)
	return c
}
