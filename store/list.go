package store

// A ListQuery asks for a part of a long list. The zero ListQuery asks for all of
// it in its own order.
type ListQuery struct {
	Text   string // what a row must contain, whatever the case; empty: anything
	Status string // of accounts: see AccountStatuses; empty: any
	// Sort is what the rows are ordered by, a word of the list's own; one that it
	// doesn't know, or none, means its own order. Rows that are alike keep that.
	Sort       string
	Descending bool
	// Offset is how many rows come before the part. One behind the end means the last
	// part there is.
	Offset int64
	Limit  int64 // zero: no limit
}

// A ListPart is a part of a long list.
type ListPart[T any] struct {
	Rows     []T
	Offset   int64 // rows before these
	Matching int64 // rows in all parts together
	All      int64 // rows that there are, whatever was asked for
}

// At returns where the part of n matching rows begins that q asks for.
func (q ListQuery) At(n int64) int64 {
	switch {
	case q.Offset < n || q.Offset <= 0:
		return max(q.Offset, 0)
	case n == 0 || q.Limit <= 0:
		return 0
	}
	return (n - 1) / q.Limit * q.Limit
}

// What a ListQuery for accounts can ask for as their Status: who can log in, who
// can't, who may change everything, whose quota is used up to at least 80 percent
// or wholly, and who has never logged in.
const (
	ListEnabled  = "enabled"
	ListDisabled = "disabled"
	ListAdmins   = "admin"
	ListFilling  = "filling"
	ListFull     = "full"
	ListUnused   = "unused"
)

// A DomainSize is a domain with how much it has.
type DomainSize struct {
	Domain
	Accounts, Aliases int64
}
