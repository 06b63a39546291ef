package admin

import (
	"errors"
	"fmt"
	"strings"

	"postroom/store"
	"postroom/store/auth"
)

// A Kind sorts Errors by what is wrong.
type Kind string

// The kinds of Errors.
const (
	Invalid  Kind = "invalid"   // the request itself makes no sense
	NotFound Kind = "not_found" // what it names isn't there
	Conflict Kind = "conflict"  // what it adds is there already, or the name is taken
	InUse    Kind = "in_use"    // something else depends on what it removes
	Busy     Kind = "busy"      // try again in a moment
	Doubtful Kind = "doubtful"  // it can be done, but perhaps isn't what is meant: see Warnings
)

// An Error is a failure that the person who asked can mend. Text is one or two
// sentences that say what is wrong and what to do. It wraps the store's sentinel
// where there is one.
type Error struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
	err  error
}

// Error returns e.Text.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the error behind e, nil if there is none.
func (e *Error) Unwrap() error { return e.err }

// Warnings returns the sentences of a Doubtful error.
func (e *Error) Warnings() []string {
	warnings, _ := errors.AsType[doubts](e.err)
	return warnings
}

// doubts are what speaks against doing something that can be done.
type doubts []string

func (d doubts) Error() string { return strings.Join(d, " ") }

func doubtful(warnings []string) error {
	return &Error{Doubtful, doubts(warnings).Error(), doubts(warnings)}
}

func invalid(format string, args ...any) error {
	return &Error{Kind: Invalid, Text: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &Error{NotFound, fmt.Sprintf(format, args...), store.ErrNotFound}
}

func conflict(format string, args ...any) error {
	return &Error{Conflict, fmt.Sprintf(format, args...), store.ErrConflict}
}

func inUse(format string, args ...any) error {
	return &Error{InUse, fmt.Sprintf(format, args...), store.ErrInUse}
}

// passwordError turns what auth says of a new password into an Error.
func passwordError(err error) error {
	var bad auth.PasswordError
	switch {
	case errors.As(err, &bad):
		return &Error{Invalid, string(bad), err}
	case errors.Is(err, auth.ErrBusy):
		return &Error{Busy, "Too many passwords are being checked at the moment. Please try again.", err}
	}
	return fmt.Errorf("hash password: %w", err)
}
