// Package dkim signs messages (RFC 6376, RFC 8463): in relaxed form throughout, so
// that servers on the way may fold and trim. It reads messages and writes
// DKIM-Signature fields; which keys there are and which mail is signed is decided
// elsewhere, and other people's signatures are verified elsewhere.
//
// A library would do, if it could take the hash of a body that was hashed before:
// one message leaves for many destinations, and again after a while.
package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Key signs for a domain.
type Key struct {
	Domain   string // d=, in A-labels
	Selector string // s=
	Signer   crypto.Signer
}

// Errors of messages that can't be signed.
var (
	ErrFrom   = errors.New("there isn't exactly one From field")
	ErrFields = errors.New("there are too many fields to sign")
)

// ParseKey reads a private key, RSA or Ed25519, in PKCS #8.
func ParseKey(pkcs8 []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return nil, err
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("a key of type %T doesn't sign mail", key)
}

// How a field is signed. Signed once more than it is there, it can't be added.
type manner int

const (
	asPresent manner = iota
	sealedIfPresent
	sealed
)

// signed are the fields that are signed, in the order of h=: what a reader sees,
// what says how the body is read, and what a mail program acts on. A forwarder or a
// list may put those in front that are signed as they are.
var signed = []struct {
	name string // in lower case
	manner
}{
	{"from", sealed},
	{"to", sealed},
	{"cc", sealed},
	{"reply-to", sealed},
	{"subject", sealed},
	{"date", sealed},
	{"message-id", sealed},
	{"mime-version", sealedIfPresent},
	{"content-type", sealed},
	{"content-transfer-encoding", sealedIfPresent},
	{"content-disposition", sealedIfPresent},
	{"in-reply-to", sealedIfPresent},
	{"references", sealedIfPresent},
	{"resent-from", asPresent},
	{"resent-to", asPresent},
	{"resent-cc", asPresent},
	{"resent-date", asPresent},
	{"resent-message-id", asPresent},
	{"list-id", asPresent},
	{"list-help", asPresent},
	{"list-unsubscribe", asPresent},
	{"list-unsubscribe-post", asPresent},
	{"list-subscribe", asPresent},
	{"list-post", asPresent},
	{"list-owner", asPresent},
	{"list-archive", asPresent},
}

// maxFields bounds the names in h=.
const maxFields = 200

// selection returns the names in h=, and the fields that they stand for in
// canonical form: of those with the same name the lowest first (RFC 6376 section
// 5.4.2).
func (h Header) selection() (names []string, canonical string) {
	var text strings.Builder
	for _, s := range signed {
		fields := h.fields[s.name]
		for _, field := range slices.Backward(fields) {
			names = append(names, s.name)
			text.WriteString(canonicalField(field))
			text.WriteString("\r\n")
		}
		if s.manner == sealed || s.manner == sealedIfPresent && len(fields) > 0 {
			names = append(names, s.name)
		}
	}
	return names, text.String()
}

// Sign returns a DKIM-Signature field for each key, with their line ends, to be put
// in front of the message. body is the hash of its body. It fails with ErrFrom or
// ErrFields if the message is not one to sign.
//
// There is no x=: mail may wait for weeks, and what ends a signature is the end of
// its key's record. There is no l=, which would let anything be added.
func (h Header) Sign(body [sha256.Size]byte, at time.Time, keys ...Key) (string, error) {
	if len(h.fields["from"]) != 1 {
		return "", ErrFrom
	}
	names, canonical := h.selection()
	if len(names) > maxFields {
		return "", ErrFields
	}
	var all strings.Builder
	for _, key := range keys {
		field := key.field(names, body, at)
		digest := sha256.Sum256([]byte(canonical + canonicalField(field)))
		signature, err := key.sign(digest)
		if err != nil {
			return "", fmt.Errorf("sign with %s of %s: %w", key.Selector, key.Domain, err)
		}
		all.WriteString(field)
		fold(&all, base64.StdEncoding.EncodeToString(signature))
		all.WriteString("\r\n")
	}
	return all.String(), nil
}

func (k Key) sign(digest [sha256.Size]byte) ([]byte, error) {
	if _, ok := k.Signer.Public().(ed25519.PublicKey); ok {
		return k.Signer.Sign(rand.Reader, digest[:], crypto.Hash(0)) // RFC 8463 section 3
	}
	return k.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
}

func (k Key) algorithm() string {
	if _, ok := k.Signer.Public().(ed25519.PublicKey); ok {
		return "ed25519-sha256"
	}
	return "rsa-sha256"
}

// field is the DKIM-Signature field up to its signature. There is no i=: it would
// say what d= says.
func (k Key) field(names []string, body [sha256.Size]byte, at time.Time) string {
	var f strings.Builder
	f.WriteString("DKIM-Signature: v=1; a=" + k.algorithm() + "; c=relaxed/relaxed; d=" + k.Domain + ";\r\n")
	f.WriteString("\ts=" + k.Selector + "; t=" + strconv.FormatInt(at.Unix(), 10) + ";\r\n\th=")
	line := 3
	for i, name := range names {
		if line+len(name) > maxLine {
			f.WriteString("\r\n\t ")
			line = 2
		}
		f.WriteString(name)
		if i < len(names)-1 {
			f.WriteByte(':')
		}
		line += len(name) + 1
	}
	f.WriteString(";\r\n\tbh=" + base64.StdEncoding.EncodeToString(body[:]) + ";\r\n\tb=")
	return f.String()
}

// maxLine is how long the lines of a field get (RFC 5322 section 2.1.1), its white
// space counted as one octet each.
const maxLine = 72

// fold writes base64 in lines.
func fold(w *strings.Builder, text string) {
	for len(text) > maxLine {
		w.WriteString(text[:maxLine] + "\r\n\t ")
		text = text[maxLine:]
	}
	w.WriteString(text)
}
