// Package dane judges a server's certificate by TLSA records (RFC 6698), as mail
// does (RFC 7672). Finding the records, and out whether DNSSEC vouches for them,
// is its caller's to do.
package dane

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// The fields of a TLSA record (RFC 7218).
const (
	usageTA = 2
	usageEE = 3

	selectorCert = 0
	selectorSPKI = 1

	matchFull   = 0
	matchSHA256 = 1
	matchSHA512 = 2
)

var errNoMatch = errors.New("no TLSA record matches the certificate")

// Usable returns the records that a certificate can be judged by. Usages 0 and 1
// mean nothing for mail (RFC 7672 section 3.1.3). If there are records
// but none is usable, TLS is still demanded, whatever the certificate (section 2.2).
func Usable(records []dns.TLSA) []dns.TLSA {
	var list []dns.TLSA
	for _, r := range records {
		if usable(r) {
			list = append(list, r)
		}
	}
	return list
}

func usable(r dns.TLSA) bool {
	data, err := hex.DecodeString(r.Certificate)
	if err != nil || r.Usage != usageTA && r.Usage != usageEE || r.Selector > selectorSPKI {
		return false
	}
	switch r.MatchingType {
	case matchSHA256:
		return len(data) == sha256.Size
	case matchSHA512:
		return len(data) == sha512.Size
	case matchFull:
		return len(data) > 0 && (r.Usage == usageEE || isAnchor(r.Selector, data))
	}
	return false
}

// isAnchor reports whether a chain can end in what a record holds.
func isAnchor(selector uint8, data []byte) bool {
	var err error
	if selector == selectorCert {
		_, err = x509.ParseCertificate(data)
	} else {
		_, err = x509.ParsePKIXPublicKey(data)
	}
	return err == nil
}

// Judge returns a judge of certificates: one fits if a record matches it, and, for
// one that names an authority, if it is valid and for one of the names: the TLSA
// base domain and what else the server may go by (RFC 7672 section 3.2.2). The
// judge may be used by several goroutines at once.
func Judge(records []dns.TLSA, names []string) func(tls.ConnectionState) (string, error) {
	records = strongest(Usable(records))
	names = slices.Clone(names)
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".")
	}
	return func(state tls.ConnectionState) (string, error) {
		if len(state.PeerCertificates) == 0 {
			return "", errors.New("there is no certificate")
		}
		reason := errNoMatch
		for _, r := range records {
			err := check(r, state.PeerCertificates, names)
			if err == nil {
				return fmt.Sprintf("matches TLSA %d %d %d", r.Usage, r.Selector, r.MatchingType), nil
			}
			if !errors.Is(err, errNoMatch) {
				reason = err
			}
		}
		return "", reason
	}
}

// strongest keeps, of the digests of a usage and selector, those of the best kind
// alone (RFC 7671 section 9).
func strongest(records []dns.TLSA) []dns.TLSA {
	type kind struct{ usage, selector uint8 }
	best := make(map[kind]uint8)
	for _, r := range records {
		k := kind{r.Usage, r.Selector}
		best[k] = max(best[k], r.MatchingType)
	}
	return slices.DeleteFunc(records, func(r dns.TLSA) bool {
		return r.MatchingType != matchFull && r.MatchingType < best[kind{r.Usage, r.Selector}]
	})
}

// check judges by one record; errNoMatch says that it is not about this chain.
func check(r dns.TLSA, chain []*x509.Certificate, names []string) error {
	data, err := hex.DecodeString(r.Certificate)
	if err != nil {
		return errNoMatch
	}
	if r.Usage == usageTA {
		return checkChain(chain, anchors(r, data, chain), names)
	}
	if !matches(r, data, chain[0]) { // its name and its dates don't count (RFC 7672 section 3.1.1)
		return errNoMatch
	}
	return nil
}

// matches compares a record with a certificate.
func matches(r dns.TLSA, data []byte, cert *x509.Certificate) bool {
	subject := cert.Raw
	if r.Selector == selectorSPKI {
		subject = cert.RawSubjectPublicKeyInfo
	}
	switch r.MatchingType {
	case matchSHA256:
		sum := sha256.Sum256(subject)
		subject = sum[:]
	case matchSHA512:
		sum := sha512.Sum512(subject)
		subject = sum[:]
	}
	return string(subject) == string(data)
}
