package store

import "time"

// An AccountChange says what is to be different about an account. What is nil
// stays as it is.
type AccountChange struct {
	Name  *string
	Quota *int64 // octets; 0: none
	Admin *bool
}

// Apply makes the change to a.
func (c AccountChange) Apply(a *Account) {
	if c.Name != nil {
		a.Name = *c.Name
	}
	if c.Quota != nil {
		a.Quota = *c.Quota
	}
	if c.Admin != nil {
		a.Admin = *c.Admin
	}
}

// An AccessChange says what is to be different about an entry of the admin's own
// lists. What is nil stays as it is.
type AccessChange struct {
	Note    *string
	Expires *time.Time // zero: never
}

// Apply makes the change to e.
func (c AccessChange) Apply(e *AccessEntry) {
	if c.Note != nil {
		e.Note = *c.Note
	}
	if c.Expires != nil {
		e.Expires = *c.Expires
	}
}
