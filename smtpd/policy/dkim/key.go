package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
)

// A parsedKey is the record of a key, or what is wrong with it.
type parsedKey struct {
	rsa     *rsa.PublicKey
	ed25519 ed25519.PublicKey
	strict  bool // the identity may not be in a subdomain
	result  Result
	reason  string
}

// The sizes of RSA keys that are believed (RFC 8301 section 3.2), in bits; larger
// ones cost too much time.
const (
	minRSA = 1024
	maxRSA = 8192
)

func badKey(result Result, reason string) parsedKey { return parsedKey{result: result, reason: reason} }

// parseKey reads a key's record (RFC 6376 section 3.6.1).
func parseKey(record string) parsedKey {
	if len(record) > maxRecord {
		return badKey(PermError, "the key's record is too large")
	}
	tags, ok := parseTags(record)
	if !ok {
		return badKey(PermError, "the key's record can't be understood")
	}
	version, versioned := tags.get("v")
	kind, _ := tags.get("k")
	hashes, hashed := tags.get("h")
	services, served := tags.get("s")
	flags, _ := tags.get("t")
	data, _ := tags.get("p")
	switch {
	case versioned && (version != "DKIM1" || tags[0].name != "v"):
		return badKey(PermError, "the key is of another version")
	case hashed && !listed(hashes, "sha256"):
		return badKey(PermError, "the key isn't for SHA-256")
	case served && !listed(services, "email") && !listed(services, "*"):
		return badKey(PermError, "the key isn't for mail")
	case data == "":
		return badKey(PermError, "the key has been revoked")
	}
	b, err := base64.StdEncoding.DecodeString(withoutSpace(data))
	if err != nil {
		return badKey(PermError, "the key isn't base64")
	}
	k := keyOf(kind, b)
	k.strict = listed(flags, "s")
	return k
}

func keyOf(kind string, b []byte) parsedKey {
	switch strings.ToLower(kind) {
	case "rsa", "":
		return rsaKey(b)
	case "ed25519":
		if len(b) != ed25519.PublicKeySize {
			return badKey(PermError, "the key isn't one of Ed25519")
		}
		return parsedKey{ed25519: b}
	}
	return badKey(PermError, "the key is of an unknown kind")
}

// rsaKey takes both forms that are in use (erratum 3017 of RFC 6376).
func rsaKey(b []byte) parsedKey {
	public, err := x509.ParsePKIXPublicKey(b)
	if err != nil {
		public, err = x509.ParsePKCS1PublicKey(b)
	}
	key, ok := public.(*rsa.PublicKey)
	switch {
	case err != nil || !ok:
		return badKey(PermError, "the key isn't one of RSA")
	case key.N.BitLen() < minRSA:
		return badKey(Fail, "the key is too short to be believed (RFC 8301)")
	case key.N.BitLen() > maxRSA:
		return badKey(PermError, "the key is too large")
	}
	return parsedKey{rsa: key}
}

// verify reports whether sig is the key's signature of a SHA-256 hash.
func (k parsedKey) verify(hash, sig []byte) bool {
	if k.rsa != nil {
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, hash, sig) == nil
	}
	return ed25519.Verify(k.ed25519, hash, sig)
}

// listed reports whether a list with colons has a word.
func listed(list, word string) bool {
	for one := range strings.SplitSeq(list, ":") {
		if strings.EqualFold(strings.TrimSpace(one), word) {
			return true
		}
	}
	return false
}
