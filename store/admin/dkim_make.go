package admin

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"postroom/store"
)

// rsaBits is what every receiver takes and a TXT record holds (RFC 8301 section 3.2).
const rsaBits = 2048

// SigningKeys is the store's, and makes the keys that a domain has not got yet:
// mail leaves signed from the first one on.
func (a *Admin) SigningKeys(ctx context.Context, domain string) (string, []store.DKIMKey, error) {
	owner, keys, err := a.Store.SigningKeys(ctx, domain)
	if err != nil || len(keys) > 0 {
		return owner, keys, err
	}
	if err := a.provideKeys(ctx, owner); err != nil {
		return "", nil, err
	}
	return a.Store.SigningKeys(ctx, domain)
}

// provideKeys makes keys for those of some local domains that have none. A domain
// that is removed meanwhile has no keys.
func (a *Admin) provideKeys(ctx context.Context, domains ...string) error {
	for _, domain := range domains {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.provideDomainKeys(ctx, domain); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (a *Admin) provideDomainKeys(ctx context.Context, domain string) error {
	if _, keys, err := a.Store.SigningKeys(ctx, domain); err != nil || len(keys) > 0 {
		return err
	}
	a.keyMaking.Lock() // nobody makes them twice
	defer a.keyMaking.Unlock()
	keys, err := a.Store.DKIMKeys(ctx, domain)
	if err != nil || len(keys) > 0 {
		return err
	}
	made, err := a.makeKeys(domain, nil, a.Now())
	if err != nil {
		return err
	}
	return a.addKeys(a.noting(byServer(ctx), "dkim.make", domain, nil, keysStateOf(DKIMSigns, made...)), made)
}

// makeKeys makes a key of each algorithm, beside those that the domain has. Making
// them takes a good part of a second: nothing waits for it but the caller.
func (a *Admin) makeKeys(domain string, have []store.DKIMKey, since time.Time) ([]store.DKIMKey, error) {
	now := a.Now()
	var list []store.DKIMKey
	for _, newKey := range []func(store.DKIMKey) (store.DKIMKey, error){newRSA, newEd25519} {
		k, err := newKey(store.DKIMKey{Domain: domain, Created: now, Since: since})
		if err != nil {
			return nil, fmt.Errorf("make DKIM key of %s: %w", domain, err)
		}
		k.Selector = freeSelector(k, have)
		list = append(list, k)
	}
	return list, nil
}

func (a *Admin) addKeys(ctx context.Context, keys []store.DKIMKey) error {
	if err := a.Store.AddDKIMKeys(ctx, keys...); err != nil {
		return err
	}
	a.Log.InfoContext(ctx, "DKIM keys made", "domain", keys[0].Domain, "selectors", keysStateOf(DKIMNext, keys...).Selectors)
	return nil
}

func newRSA(k store.DKIMKey) (store.DKIMKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return k, err
	}
	k.Algorithm = "rsa"
	k.Private, err = x509.MarshalPKCS8PrivateKey(private)
	return k, err
}

func newEd25519(k store.DKIMKey) (store.DKIMKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return k, err
	}
	k.Algorithm = "ed25519"
	k.Private, err = x509.MarshalPKCS8PrivateKey(private)
	return k, err
}

// freeSelector names a key by the month in which it was made and its algorithm,
// and by a letter more after the first one. The letter comes after those of all
// keys of that month: the name of a key that was removed may still be in the
// signatures of mail on its way, and in caches.
func freeSelector(k store.DKIMKey, have []store.DKIMKey) string {
	month := "pr" + k.Created.UTC().Format("200601")
	taken, last := false, ""
	for _, other := range have {
		rest, ok := strings.CutPrefix(other.Selector, month)
		if !ok || rest == "" {
			continue
		}
		taken = true
		if letter := rest[1:]; isAfter(letter, last) {
			last = letter
		}
	}
	base := month + k.Algorithm[:1]
	if !taken {
		return base
	}
	i := 0
	for !isAfter(letters(i), last) {
		i++
	}
	return base + letters(i)
}

func isAfter(a, b string) bool {
	return len(a) > len(b) || len(a) == len(b) && a > b
}

// letters counts: b, c, … z, ba, bb …
func letters(i int) string {
	const alphabet = "bcdefghijklmnopqrstuvwxyz"
	if i < len(alphabet) {
		return alphabet[i : i+1]
	}
	return letters(i/len(alphabet)-1) + alphabet[i%len(alphabet):][:1]
}

func recordName(k store.DKIMKey) string { return k.Selector + "._domainkey." + k.Domain }

// recordValue is what the record of a key says (RFC 6376 section 3.6.1, RFC 8463
// section 4).
func recordValue(k store.DKIMKey) (string, error) {
	private, err := x509.ParsePKCS8PrivateKey(k.Private)
	if err != nil {
		return "", err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return "", fmt.Errorf("%T signs nothing", private)
	}
	public, raw := signer.Public().(ed25519.PublicKey)
	data := []byte(public)
	if !raw {
		if data, err = x509.MarshalPKIXPublicKey(signer.Public()); err != nil {
			return "", err
		}
	}
	return "v=DKIM1; k=" + k.Algorithm + "; p=" + base64.StdEncoding.EncodeToString(data), nil
}
