// Package store defines what postroom keeps: domains, accounts and aliases,
// accepted messages, the maildrops that show them, the queue that sends them
// and the trace of all of it. It holds types and errors only, no SQL. A backend
// such as store/sqlite implements the operations; each consumer names the few
// it needs in an interface of its own, and store/storetest says how they must
// behave.
package store

import (
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
)

// Identifiers are never used again, so a stale one finds nothing rather than
// something else.
type (
	DomainID  int64
	AccountID int64
	// A MessageID names one accepted (or refused) message. Later messages have
	// larger ones.
	MessageID int64
	QueueID   int64
)

// Errors that callers act on. Backends wrap them; test with errors.Is.
var (
	ErrNotFound  = errors.New("not found")
	ErrConflict  = errors.New("already exists")
	ErrInUse     = errors.New("in use")
	ErrLastAdmin = errors.New("nobody else is an administrator")
	ErrLoop      = errors.New("leads back to itself") // an alias
	ErrDisabled  = errors.New("account is disabled")
	ErrNoDevice  = errors.New("not a device of this account")
	ErrRefused   = errors.New("account takes no mail") // disabled with --refuse
	ErrDiskFull  = errors.New("disk is full")          // or below the reserve
	ErrClosed    = errors.New("store closed")
	ErrNewer     = errors.New("the data was written by a newer version of postroom")
	ErrLocked    = errors.New("another process has the data open")
)

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// String returns the id in 13 letters and digits, the form that the contract
// calls ID.
func (id MessageID) String() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(id))
	return idEncoding.EncodeToString(b[:])
}

// MarshalText and UnmarshalText use the form of String.
func (id MessageID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (id *MessageID) UnmarshalText(b []byte) error {
	v, err := ParseMessageID(string(b))
	*id = v
	return err
}

// ParseMessageID is the inverse of String. It fails with ErrNotFound: what is
// not an ID names no message.
func ParseMessageID(s string) (MessageID, error) {
	b, err := idEncoding.DecodeString(strings.ToLower(s))
	if err != nil || len(b) != 8 {
		return 0, ErrNotFound
	}
	return MessageID(binary.BigEndian.Uint64(b)), nil
}

// A UID is the unique-id of a maildrop entry (RFC 1939, UIDL): 96 random bits.
type UID [12]byte

// String returns the UID in 24 hexadecimal digits.
func (u UID) String() string { return hex.EncodeToString(u[:]) }
