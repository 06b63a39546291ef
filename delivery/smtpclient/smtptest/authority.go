package smtptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// An Authority signs certificates.
type Authority struct {
	Cert *x509.Certificate
	key  crypto.Signer
}

// A Leaf says what is in a server's certificate.
type Leaf struct {
	Names       []string
	From, Until time.Time // zero: for all of time
}

// NewAuthority makes an authority that nobody knows but through Pool.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	template := template(name, Leaf{})
	template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	cert, key := sign(t, template, nil)
	return &Authority{cert, key}
}

// Under makes an authority that a has signed.
func (a *Authority) Under(t testing.TB, name string) *Authority {
	t.Helper()
	template := template(name, Leaf{})
	template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	cert, key := sign(t, template, a)
	return &Authority{cert, key}
}

// Pool holds the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	return pool
}

// Issue returns a server's configuration with a new certificate, followed by those
// of chain.
func (a *Authority) Issue(t testing.TB, leaf Leaf, chain ...*Authority) *tls.Config {
	t.Helper()
	cert, key := sign(t, template("a server", leaf), a)
	full := tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
	for _, other := range chain {
		full.Certificate = append(full.Certificate, other.Cert.Raw)
	}
	return &tls.Config{Certificates: []tls.Certificate{full}}
}

// Certificate returns a TLS configuration with a self-signed certificate for
// name.
func Certificate(t testing.TB, name string) *tls.Config {
	t.Helper()
	cert, key := sign(t, template(name, Leaf{Names: []string{name}}), nil)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}}}
}

func template(name string, leaf Leaf) *x509.Certificate {
	if leaf.From.IsZero() {
		leaf.From = time.Unix(0, 0)
	}
	if leaf.Until.IsZero() {
		leaf.Until = time.Unix(1<<33, 0)
	}
	return &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              leaf.Names,
		NotBefore:             leaf.From,
		NotAfter:              leaf.Until,
		BasicConstraintsValid: true,
	}
}

// sign makes a certificate, signed by a, or by itself.
func sign(t testing.TB, template *x509.Certificate, a *Authority) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, crypto.Signer(key)
	if a != nil {
		parent, signer = a.Cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}
