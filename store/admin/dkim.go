package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"postroom/store"
)

// keepRetired is how long a key's record stays in the DNS after the key signed
// last: mail may wait that long before somebody looks at its signature.
const keepRetired = 7 * 24 * time.Hour

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

// DKIMKeys returns the keys of a local domain, those of all with an empty name. A
// domain that has none gets them; they sign at once: until the DNS has their
// records their signatures count for nothing, and harm nothing (RFC 6376 6.1).
func (a *Admin) DKIMKeys(ctx context.Context, domain string) ([]DKIMKey, error) {
	domains, err := a.signingDomains(ctx, domain)
	if err != nil {
		return nil, err
	}
	if err := a.provideKeys(ctx, domains...); err != nil {
		return nil, err
	}
	if domain != "" {
		domain = domains[0]
	}
	return a.shownKeys(ctx, domain)
}

func (a *Admin) shownKeys(ctx context.Context, domain string) ([]DKIMKey, error) {
	keys, err := a.Store.DKIMKeys(ctx, domain)
	if err != nil {
		return nil, err
	}
	list := make([]DKIMKey, len(keys))
	for i, k := range keys {
		if list[i], err = shownKey(k, a.Now()); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func shownKey(k store.DKIMKey, now time.Time) (DKIMKey, error) {
	value, err := recordValue(k)
	if err != nil {
		return DKIMKey{}, fmt.Errorf("DKIM key %s of %s: %w", k.Selector, k.Domain, err)
	}
	shown := DKIMKey{
		Domain:    k.Domain,
		Selector:  k.Selector,
		Algorithm: k.Algorithm,
		Record:    recordName(k),
		Value:     value,
		State:     stateOf(k, now),
		Created:   k.Created,
		Since:     k.Since,
		Until:     k.Until,
	}
	if shown.State == DKIMRetired {
		shown.Remove = k.Until.Add(keepRetired)
	}
	return shown, nil
}

// signingDomains returns the name of a domain that has keys, or all such names if
// it is empty.
func (a *Admin) signingDomains(ctx context.Context, name string) ([]string, error) {
	if name != "" {
		var err error
		if name, err = parseDomain(name); err != nil {
			return nil, err
		}
	}
	domains, err := a.Store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, d := range domains {
		switch {
		case d.Backup && d.Name == name:
			return nil, invalid("We only hold mail for %s. Its own server signs what its people send.", name)
		case d.Backup, name != "" && d.Name != name:
		default:
			list = append(list, d.Name)
		}
	}
	if name != "" && len(list) == 0 {
		return nil, noDomain(name)
	}
	return list, nil
}

// RotateDKIM makes new keys for a domain, or with Now lets those sign that wait for
// the DNS. It returns all of the domain's keys.
func (a *Admin) RotateDKIM(ctx context.Context, request RotateDKIM) ([]DKIMKey, error) {
	domains, err := a.signingDomains(ctx, request.Domain)
	if err != nil {
		return nil, err
	}
	if request.Domain == "" {
		return nil, invalid("Say which domain's keys are to be renewed.")
	}
	domain := domains[0]
	a.keyMaking.Lock()
	defer a.keyMaking.Unlock()
	keys, err := a.Store.DKIMKeys(ctx, domain)
	if err != nil {
		return nil, err
	}
	waiting := slices.DeleteFunc(slices.Clone(keys), func(k store.DKIMKey) bool { return !k.Since.IsZero() })
	switch {
	case len(waiting) > 0 && !request.Now:
		return nil, conflict("New keys of %s wait for the DNS already. Publish their records (postroom check dns %s), or use them at once with --now.", domain, domain)
	case len(waiting) == 0:
		if waiting, err = a.makeKeys(domain, keys, time.Time{}); err != nil {
			return nil, err
		}
	}
	if err := a.rotate(ctx, waiting, request.Now); err != nil {
		return nil, err
	}
	return a.shownKeys(ctx, domain)
}

// rotate adds the keys that are new, and lets all of them sign if it is to be now.
func (a *Admin) rotate(ctx context.Context, keys []store.DKIMKey, now bool) error {
	isNew := keys[0].ID == 0
	var was *keysState
	if !isNew {
		was = new(keysStateOf(DKIMNext, keys...))
	}
	is := keysStateOf(DKIMNext, keys...)
	if now {
		is.State = DKIMSigns
	}
	ctx = a.noting(ctx, "dkim.rotate", keys[0].Domain, was, is)
	if isNew {
		if err := a.addKeys(ctx, keys); err != nil {
			return err
		}
	}
	if now {
		return a.startKeys(ctx, keys)
	}
	return nil
}

func (a *Admin) startKeys(ctx context.Context, keys []store.DKIMKey) error {
	for _, k := range keys {
		if err := a.Store.StartDKIMKey(ctx, k.Domain, k.Selector, a.Now()); err != nil {
			return err
		}
		a.Log.InfoContext(ctx, "DKIM key signs", "domain", k.Domain, "selector", k.Selector)
	}
	return nil
}

// RemoveDKIMKey removes a key that isn't the last one to sign for its domain, nor
// the last RSA key that does: many others can't verify anything else.
func (a *Admin) RemoveDKIMKey(ctx context.Context, request RemoveDKIMKey) error {
	domain, err := parseDomain(request.Domain)
	if err != nil {
		return err
	}
	a.keyMaking.Lock()
	defer a.keyMaking.Unlock()
	keys, err := a.Store.DKIMKeys(ctx, domain)
	if err != nil {
		return err
	}
	signers := store.DKIMSigners(keys, a.Now())
	if i := slices.IndexFunc(signers, func(k store.DKIMKey) bool { return k.Selector == request.Selector }); i >= 0 {
		switch {
		case len(signers) == 1:
			return inUse("%s is the only key that signs for %s. Make new ones first: postroom dkim rotate %s --now", request.Selector, domain, domain)
		case signers[i].Algorithm == "rsa":
			return inUse("%s is the only RSA key that signs for %s, and many servers can't verify others. Make new ones first: postroom dkim rotate %s --now", request.Selector, domain, domain)
		}
	}
	err = a.removeKey(ctx, keys, domain, request.Selector)
	if errors.Is(err, store.ErrNotFound) {
		return notFound("There is no DKIM key %s of %s. List them with postroom dkim list.", request.Selector, domain)
	}
	return err
}

// removeKey removes one of a domain's keys, or fails with store.ErrNotFound.
func (a *Admin) removeKey(ctx context.Context, keys []store.DKIMKey, domain, selector string) error {
	i := slices.IndexFunc(keys, func(k store.DKIMKey) bool { return k.Domain == domain && k.Selector == selector })
	if i < 0 {
		return store.ErrNotFound
	}
	noted := a.noting(ctx, "dkim.remove", domain, keysStateOf(stateOf(keys[i], a.Now()), keys[i]), nil)
	return a.Store.RemoveDKIMKey(noted, domain, selector)
}

func stateOf(k store.DKIMKey, now time.Time) DKIMState {
	switch {
	case k.Signs(now):
		return DKIMSigns
	case !k.Until.IsZero():
		return DKIMRetired
	}
	return DKIMNext
}
