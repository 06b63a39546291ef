package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// selfSignedFile is where the self-signed certificate and its key are kept in
// the data folder.
const selfSignedFile = "self-signed.pem"

// How long a self-signed certificate is good for, and how long before its end a
// new one is made. Some programs take none that are good for longer than 825
// days.
const (
	selfSignedFor   = 800 * day
	selfSignedRenew = 60 * day
)

// A certificates holds the certificate that all services show. It can be
// replaced while they run.
type certificates struct {
	now     func() time.Time
	log     *slog.Logger
	current atomic.Pointer[tls.Certificate]
}

// config returns the TLS configuration that all services share.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if cert := c.current.Load(); cert != nil {
				return cert, nil
			}
			return nil, errors.New("no certificate yet")
		},
	}
}

// loadFiles takes the certificate of conf's files, if it names any. It touches
// nothing; what is wrong is a *UsageError.
func (c *certificates) loadFiles(conf *Config) error {
	if conf.TLS.Cert == "" {
		return nil
	}
	for _, file := range []struct{ key, path string }{{"tls.cert", conf.TLS.Cert}, {"tls.key", conf.TLS.Key}} {
		if _, err := os.ReadFile(file.path); err != nil {
			return usagef("%s: %s", file.key, osReason(err))
		}
	}
	cert, err := tls.LoadX509KeyPair(conf.TLS.Cert, conf.TLS.Key)
	if err != nil {
		return usagef("tls.cert: %s with tls.key %s: %v", conf.TLS.Cert, conf.TLS.Key, err)
	}
	if left := cert.Leaf.NotAfter.Sub(c.now()); left < 14*day {
		c.log.Warn("the certificate ends soon", "file", conf.TLS.Cert, "ends", cert.Leaf.NotAfter)
	}
	c.current.Store(&cert)
	return nil
}

// loadOrMake takes the certificate of conf's files, else the self-signed one in
// the data folder, which it makes if there is none that will do.
func (c *certificates) loadOrMake(conf *Config) error {
	if conf.TLS.Cert != "" {
		return c.loadFiles(conf)
	}
	file := filepath.Join(conf.Data, selfSignedFile)
	cert, err := tls.LoadX509KeyPair(file, file)
	if err == nil && c.willDo(&cert, conf.Name()) {
		c.current.Store(&cert)
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("making a new self-signed certificate", "file", file, "err", err)
	}
	made, err := makeSelfSigned(conf.Name(), c.now())
	if err != nil {
		return fmt.Errorf("make a self-signed certificate: %w", err)
	}
	if err := writeFileWhole(file, made); err != nil {
		return fmt.Errorf("keep the self-signed certificate: %w", err)
	}
	if cert, err = tls.X509KeyPair(made, made); err != nil {
		return fmt.Errorf("self-signed certificate: %w", err)
	}
	c.current.Store(&cert)
	return nil
}

// willDo reports whether a self-signed certificate is for our name and good for
// long enough.
func (c *certificates) willDo(cert *tls.Certificate, hostname string) bool {
	return c.now().Add(selfSignedRenew).Before(cert.Leaf.NotAfter) && slices.Contains(cert.Leaf.DNSNames, hostname)
}

// keepFresh looks twice a day whether the certificate has to be made or read
// again, until ctx ends.
func (c *certificates) keepFresh(ctx context.Context, conf func() *Config) error {
	ticker := time.NewTicker(12 * time.Hour)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := c.loadOrMake(conf()); err != nil {
				c.log.Error("cannot renew the certificate", "err", err)
			}
		}
	}
}

// makeSelfSigned returns a new certificate and its key in PEM.
func makeSelfSigned(hostname string, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	names := []string{hostname}
	if hostname != "localhost" {
		names = append(names, "localhost")
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: hostname, Organization: []string{"postroom, self-signed"}},
		DNSNames:              names,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(selfSignedFor),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // some programs take a certificate as its own authority only so
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...,
	), nil
}

// writeFileWhole writes a file for its owner alone: after a crash there is all
// of it, or what was there before.
func writeFileWhole(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
