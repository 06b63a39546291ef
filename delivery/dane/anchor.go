package dane

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// anchors returns the certificates in which a chain may end: those of the server's
// that the record matches, the one that it holds itself, and those that are signed
// by the bare key that it holds (RFC 7672 section 3.1.2).
func anchors(r dns.TLSA, data []byte, chain []*x509.Certificate) []*x509.Certificate {
	var list []*x509.Certificate
	for _, cert := range chain[1:] { // a server's own certificate is no authority
		if matches(r, data, cert) {
			list = append(list, cert)
		}
	}
	if r.MatchingType != matchFull {
		return list
	}
	if r.Selector == selectorSPKI {
		return append(list, signedBy(data, chain)...)
	}
	if cert, err := x509.ParseCertificate(data); err == nil {
		list = append(list, cert)
	}
	return list
}

// signedBy returns the certificates of a chain that an authority with the given
// public key has signed.
func signedBy(spki []byte, chain []*x509.Certificate) []*x509.Certificate {
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil
	}
	authority := &x509.Certificate{PublicKey: key, PublicKeyAlgorithm: x509.RSA} // any but none; the signature's own counts
	var list []*x509.Certificate
	for _, cert := range chain {
		if cert.CheckSignatureFrom(authority) == nil {
			list = append(list, cert)
		}
	}
	return list
}

// checkChain verifies a chain up to one of the anchors.
func checkChain(chain, anchors []*x509.Certificate, names []string) error {
	if len(anchors) == 0 {
		return errNoMatch
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	for _, cert := range anchors {
		options.Roots.AddCert(cert)
	}
	for _, cert := range chain[1:] {
		options.Intermediates.AddCert(cert)
	}
	leaf := chain[0]
	if _, err := leaf.Verify(options); err != nil {
		return errors.New(chainWords(err))
	}
	isFor := func(name string) bool { return leaf.VerifyHostname(name) == nil }
	if !slices.ContainsFunc(names, isFor) {
		return errors.New("it is not for " + strings.Join(names, " or "))
	}
	return nil
}

// chainWords says what is wrong with a chain whose authority a record names.
func chainWords(err error) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return "valid only from " + invalid.Cert.NotBefore.UTC().Format(time.DateOnly) + " to " + invalid.Cert.NotAfter.UTC().Format(time.DateOnly)
	case errors.As(err, &unknown):
		return "it is not signed by the authority that the TLSA record names"
	}
	return strings.TrimPrefix(err.Error(), "x509: ")
}
