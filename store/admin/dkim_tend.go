package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"postroom/store"
)

// A TXTResolver looks up TXT records, each of them in one piece; *net.Resolver is
// one. A name without any is a *net.DNSError with IsNotFound, or an empty list.
type TXTResolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// ActivateDKIM lets those new keys of a domain sign whose records the DNS has, and
// returns them. Its error is that of a lookup too; the other keys go on then.
func (a *Admin) ActivateDKIM(ctx context.Context, domain string, dns TXTResolver) ([]DKIMKey, error) {
	domains, err := a.signingDomains(ctx, domain)
	if err != nil {
		return nil, err
	}
	var started []DKIMKey
	var failed []error
	for _, name := range domains {
		keys, err := a.activate(ctx, name, dns)
		started, failed = append(started, keys...), append(failed, err)
	}
	return started, errors.Join(failed...)
}

func (a *Admin) activate(ctx context.Context, domain string, dns TXTResolver) ([]DKIMKey, error) {
	keys, err := a.Store.DKIMKeys(ctx, domain)
	if err != nil {
		return nil, err
	}
	var started []DKIMKey
	var failed []error
	for _, k := range keys {
		if !k.Since.IsZero() {
			continue
		}
		published, err := isPublished(ctx, k, dns)
		if err == nil && published {
			noted := a.noting(ctx, "dkim.start", domain, keysStateOf(DKIMNext, k), keysStateOf(DKIMSigns, k))
			err = a.startKeys(noted, []store.DKIMKey{k})
			k.Since = a.Now()
			shown, bad := shownKey(k, k.Since)
			started, err = append(started, shown), errors.Join(err, bad)
		}
		failed = append(failed, err)
	}
	return started, errors.Join(failed...)
}

// isPublished reports whether the DNS has the key's record.
func isPublished(ctx context.Context, k store.DKIMKey, dns TXTResolver) (bool, error) {
	want, err := recordValue(k)
	if err != nil {
		return false, err
	}
	records, err := dns.LookupTXT(ctx, recordName(k))
	if missing, ok := errors.AsType[*net.DNSError](err); ok && missing.IsNotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up %s: %w", recordName(k), err)
	}
	// Of several records nobody knows which one a receiver takes (RFC 6376 section 3.6.2.2).
	return len(records) == 1 && SameDKIMRecord(records[0], want), nil
}

// SameDKIMRecord reports whether two records hold the same key, however they are
// written.
func SameDKIMRecord(a, b string) bool {
	one, other := keyTags(a), keyTags(b)
	return one == other && one.public != ""
}

type keyRecord struct{ version, algorithm, public string }

// keyTags reads the tags of a key record that say which key it is (RFC 6376
// section 3.6.1).
func keyTags(record string) keyRecord {
	r := keyRecord{version: "DKIM1", algorithm: "rsa"}
	for tag := range strings.SplitSeq(record, ";") {
		name, value, _ := strings.Cut(tag, "=")
		value = strings.Join(strings.Fields(value), "")
		switch strings.TrimSpace(name) {
		case "v":
			r.version = value
		case "k":
			r.algorithm = value
		case "p":
			r.public = value
		}
	}
	return r
}

// TendDKIM does what falls due with keys: local domains without keys get them, new
// ones sign once the DNS has their records, and those that signed last a week ago
// are removed.
func (a *Admin) TendDKIM(ctx context.Context, dns TXTResolver) error {
	domains, err := a.signingDomains(ctx, "")
	if err != nil {
		return err
	}
	provided := a.provideKeys(ctx, domains...)
	_, activated := a.ActivateDKIM(ctx, "", dns)
	return errors.Join(provided, activated, a.removeRetired(ctx))
}

func (a *Admin) removeRetired(ctx context.Context) error {
	keys, err := a.Store.DKIMKeys(ctx, "")
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.Until.IsZero() || a.Now().Before(k.Until.Add(keepRetired)) {
			continue
		}
		if err := a.removeKey(byServer(ctx), keys, k.Domain, k.Selector); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		a.Log.InfoContext(ctx, "DKIM key removed", "domain", k.Domain, "selector", k.Selector)
	}
	return nil
}
