package admin

import (
	"context"
	"errors"
	"time"
)

// A DKIMKey is a key as it is shown: never its private part.
type DKIMKey struct {
	Domain    string    `json:"domain"`
	Selector  string    `json:"selector"`
	Algorithm string    `json:"algorithm"`    // rsa, ed25519
	Record    string    `json:"record_name"`  // without a dot at the end; its type is TXT
	Value     string    `json:"record_value"` // in one piece; a zone file needs it in strings of 255 octets
	State     DKIMState `json:"state"`
	Created   time.Time `json:"created"`
	Since     time.Time `json:"since,omitzero"`  // it signs from then on
	Until     time.Time `json:"until,omitzero"`  // it signs no more
	Remove    time.Time `json:"remove,omitzero"` // it and the need of its record are gone then
}

// A DKIMState says what a key is for at the moment. The record of each of them is
// to be in the DNS.
type DKIMState string

// The states of keys.
const (
	DKIMNext    DKIMState = "next"    // signs once the DNS has its record, or after RotateDKIM with Now
	DKIMSigns   DKIMState = "signs"   // mail that leaves is signed with it
	DKIMRetired DKIMState = "retired" // for mail that is on its way
)

// RotateDKIM asks for new keys of a domain.
type RotateDKIM struct {
	Domain string `json:"domain"`
	Now    bool   `json:"now,omitempty"` // they sign at once, whatever the DNS has
}

// RemoveDKIMKey names a key.
type RemoveDKIMKey struct {
	Domain   string `json:"domain"`
	Selector string `json:"selector"`
}

// A TXTResolver looks up TXT records: each as one string. *net.Resolver is one.
type TXTResolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// DKIMKeys returns the keys of a local domain, those of all with an empty name. A
// domain that has none gets them.
func (a *Admin) DKIMKeys(ctx context.Context, domain string) ([]DKIMKey, error) {
	return nil, errors.ErrUnsupported
}

// RotateDKIM makes new keys for a domain, or with Now lets those sign that wait for
// the DNS. It returns all of the domain's keys.
func (a *Admin) RotateDKIM(ctx context.Context, request RotateDKIM) ([]DKIMKey, error) {
	return nil, errors.ErrUnsupported
}

// ActivateDKIM lets those new keys of a domain sign whose records the DNS has, and
// returns them.
func (a *Admin) ActivateDKIM(ctx context.Context, domain string, dns TXTResolver) ([]DKIMKey, error) {
	return nil, errors.ErrUnsupported
}

// RemoveDKIMKey removes a key that isn't the last one to sign for its domain.
func (a *Admin) RemoveDKIMKey(ctx context.Context, request RemoveDKIMKey) error {
	return errors.ErrUnsupported
}
