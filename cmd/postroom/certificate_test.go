package main

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shown returns the certificate that c shows to a client that asks for name and
// trusts nothing but that certificate.
func (c *certificates) shown(t *testing.T) *x509.Certificate {
	t.Helper()
	cert, err := c.config().GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf
}

func TestSelfSignedCertificate(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	conf := defaults()
	conf.Hostname, conf.Data = "mail.example.org", t.TempDir()
	fresh := func() *certificates {
		c := &certificates{now: func() time.Time { return now }, log: slog.New(slog.DiscardHandler)}
		if err := c.loadOrMake(conf); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := fresh().shown(t)
	roots := x509.NewCertPool()
	roots.AddCert(first)
	for _, name := range []string{"mail.example.org", "localhost", "127.0.0.1", "::1"} {
		if _, err := first.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now}); err != nil {
			t.Errorf("as %s: %v", name, err)
		}
	}
	if info, err := os.Stat(filepath.Join(conf.Data, selfSignedFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}

	now = now.Add(selfSignedFor - selfSignedRenew - time.Hour)
	if !fresh().shown(t).Equal(first) {
		t.Error("made another one while the first was good")
	}
	now = now.Add(2 * time.Hour)
	second := fresh().shown(t)
	if second.Equal(first) || !second.NotAfter.Equal(now.Add(selfSignedFor)) {
		t.Errorf("near its end: still the first, or until %v", second.NotAfter)
	}
	conf.Hostname = "mx.example.org"
	if got := fresh().shown(t); got.VerifyHostname("mx.example.org") != nil {
		t.Errorf("after the name changed: for %v", got.DNSNames)
	}
	if err := os.WriteFile(filepath.Join(conf.Data, selfSignedFile), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh()
}

func TestCertificateFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, content []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	pair := func(name string) []byte {
		pem, err := makeSelfSigned(name, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return pem
	}
	one := put("one.pem", pair("one.example.org"))
	two := put("two.pem", pair("two.example.org"))
	c := &certificates{now: time.Now, log: slog.New(slog.DiscardHandler)}
	conf := defaults()

	for _, test := range []struct{ cert, key, want string }{
		{filepath.Join(dir, "none.pem"), one, "tls.cert: " + filepath.Join(dir, "none.pem") + ": no such file"},
		{one, filepath.Join(dir, "none.key"), "tls.key: " + filepath.Join(dir, "none.key") + ": no such file"},
		{one, two, "private key does not match"},
		{put("bad.pem", []byte("not PEM")), one, "tls.cert: "},
	} {
		conf.TLS.Cert, conf.TLS.Key = test.cert, test.key
		err := c.loadFiles(conf)
		if _, usage := err.(*UsageError); !usage || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want a usage error with %q", err, test.want)
		}
	}
	conf.TLS.Cert, conf.TLS.Key = one, one
	if err := c.loadFiles(conf); err != nil || c.shown(t).VerifyHostname("one.example.org") != nil {
		t.Fatalf("%v, %v", err, c.shown(t).DNSNames)
	}
	put("one.pem", pair("renewed.example.org"))
	if err := c.loadOrMake(conf); err != nil || c.shown(t).VerifyHostname("renewed.example.org") != nil {
		t.Errorf("read again: %v, %v", err, c.shown(t).DNSNames)
	}
	put("one.pem", []byte("half a fi"))
	if err := c.loadOrMake(conf); err == nil || c.shown(t).VerifyHostname("renewed.example.org") != nil {
		t.Errorf("a broken file: %v, now %v", err, c.shown(t).DNSNames)
	}
	if got := c.config().MinVersion; got != tls.VersionTLS12 {
		t.Errorf("takes TLS %#x", got)
	}
}

func poolOf(t *testing.T, pem []byte) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return pool
}
