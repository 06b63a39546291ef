package store

import (
	"slices"
	"strings"
	"time"
)

// A DKIMKey signs a domain's mail (RFC 6376). Of those of a domain with the same
// algorithm one signs at a time: the one with the latest Since that has come and no
// Until that has.
type DKIMKey struct {
	ID        int64
	Domain    string // a local one
	Selector  string
	Algorithm string    // "rsa" or "ed25519", the k= of its record
	Private   []byte    `json:"-"` // PKCS #8; never shown
	Created   time.Time // its record should be in the DNS from then on
	Since     time.Time // it signs from then on; zero: not decided
	Until     time.Time // it signs no more, its record stays for what is on its way; zero: it is in use
}

// Signs reports whether mail may be signed with the key.
func (k DKIMKey) Signs(now time.Time) bool {
	return !k.Since.IsZero() && !now.Before(k.Since) && (k.Until.IsZero() || now.Before(k.Until))
}

// DKIMSigners returns those of a domain's keys that sign at a time: one for each
// algorithm, RSA first, which every receiver knows.
func DKIMSigners(keys []DKIMKey, now time.Time) []DKIMKey {
	var list []DKIMKey
	for _, k := range keys {
		if !k.Signs(now) {
			continue
		}
		i := slices.IndexFunc(list, func(other DKIMKey) bool { return other.Algorithm == k.Algorithm })
		switch {
		case i < 0:
			list = append(list, k)
		case !k.Since.Before(list[i].Since):
			list[i] = k
		}
	}
	slices.SortFunc(list, func(a, b DKIMKey) int { return strings.Compare(b.Algorithm, a.Algorithm) })
	return list
}
