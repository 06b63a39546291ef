package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"postroom/store/admin"
)

// usesACME reports whether certificates are to come from a certificate authority.
// In local mode nobody outside of this machine is asked for anything.
func (c *Config) usesACME() bool { return c.TLS.ACME && c.TLS.Cert == "" && !c.LocalMode }

// certificateName returns our own name as certificates have it.
func (c *Config) certificateName() string {
	return strings.ToLower(strings.TrimSuffix(c.Name(), "."))
}

// load takes the certificate of conf's files; without any, those that the
// authority has given us before, and the self-signed one, which it makes if there
// is none that will do. What is wrong with a file is told in the log and by
// status, and the certificate stays what it was; if there was none, it is the
// self-signed one. It fails only if there is nothing at all to show.
func (c *certificates) load(conf *Config) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hostname = conf.certificateName()
	defer c.publish()
	if conf.TLS.Cert != "" {
		c.acme = nil
		if err := c.loadFiles(conf); err == nil {
			return nil
		}
		if c.own.source == admin.CertificateFile {
			return nil // the last good one
		}
	} else {
		c.own.trouble = nil
	}
	if !conf.usesACME() {
		c.acme = nil
	} else if err := c.loadACME(conf); err != nil {
		c.log.Error("cannot read the certificates from the authority", "err", err)
	}
	return c.loadSelfSigned(conf)
}

// refresh is load for what has changed meanwhile: files that were written anew,
// or a self-signed certificate that is about to end.
func (c *certificates) refresh(conf *Config) error {
	c.mu.Lock()
	changed := conf.TLS.Cert != "" && stampsOf(conf) != c.own.read
	ending := c.own.source == admin.CertificateSelfSigned && !c.willDo(c.own.cert, conf.certificateName())
	c.mu.Unlock()
	if !changed && !ending {
		return nil
	}
	return c.load(conf)
}

// A fileStamps tells whether certificate and key are still the files that were
// read. Zero times: they can't be seen.
type fileStamps struct {
	cert, key         time.Time
	certSize, keySize int64
}

func stampsOf(conf *Config) fileStamps {
	var s fileStamps
	if info, err := os.Stat(conf.TLS.Cert); err == nil {
		s.cert, s.certSize = info.ModTime(), info.Size()
	}
	if info, err := os.Stat(conf.TLS.Key); err == nil {
		s.key, s.keySize = info.ModTime(), info.Size()
	}
	return s
}

// loadFiles takes the certificate of conf's files.
func (c *certificates) loadFiles(conf *Config) error {
	stamps := stampsOf(conf) // before reading: what changes while we read is read again
	cert, err := readFiles(conf)
	c.own.read = stamps
	if err != nil {
		c.own.trouble, c.own.failed = err, c.now()
		c.log.Error("the certificate stays as it was", "err", err)
		return err
	}
	if err := cert.Leaf.VerifyHostname(conf.certificateName()); err != nil {
		c.log.Warn("the certificate is not for this server's name", "file", conf.TLS.Cert, "err", err)
	}
	c.own = held{cert: cert, source: admin.CertificateFile, file: conf.TLS.Cert, read: stamps}
	return nil
}

// readFiles reads the certificate that conf names.
func readFiles(conf *Config) (*tls.Certificate, error) {
	for _, file := range []struct{ key, path string }{{"tls.cert", conf.TLS.Cert}, {"tls.key", conf.TLS.Key}} {
		if _, err := os.ReadFile(file.path); err != nil {
			return nil, fmt.Errorf("%s: %s", file.key, osReason(err))
		}
	}
	cert, err := tls.LoadX509KeyPair(conf.TLS.Cert, conf.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("tls.cert: %s with tls.key %s: %w", conf.TLS.Cert, conf.TLS.Key, err)
	}
	return &cert, nil
}

// loadACME takes the certificates that the authority has given us, in place of
// those that we have.
func (c *certificates) loadACME(conf *Config) error {
	stored, err := storedCertificates(conf)
	kept := make(map[string]*held)
	for name, cert := range stored {
		kept[name] = &held{cert: cert, source: admin.CertificateACME}
	}
	for name, h := range c.acme { // what is wrong with one is still so, but may be tried again at once
		if kept[name] == nil {
			kept[name] = &held{source: admin.CertificateACME}
		}
		kept[name].trouble, kept[name].failed, kept[name].failures = h.trouble, h.failed, h.failures
	}
	c.acme = kept
	return err
}

// loadSelfSigned takes the self-signed certificate in the data folder, or a new
// one.
func (c *certificates) loadSelfSigned(conf *Config) error {
	own := held{source: admin.CertificateSelfSigned, read: c.own.read, trouble: c.own.trouble, failed: c.own.failed}
	file := filepath.Join(conf.Data, selfSignedFile)
	cert, err := tls.LoadX509KeyPair(file, file)
	if err == nil && c.willDo(&cert, conf.certificateName()) {
		own.cert = &cert
		c.own = own
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("making a new self-signed certificate", "file", file, "err", err)
	}
	made, err := makeSelfSigned(conf.certificateName(), c.now())
	if err != nil {
		return fmt.Errorf("make a self-signed certificate: %w", err)
	}
	if err := writeFileWhole(file, made); err != nil {
		c.log.Error("cannot keep the self-signed certificate: the next start makes another one", "err", err)
	}
	if cert, err = tls.X509KeyPair(made, made); err != nil {
		return fmt.Errorf("self-signed certificate: %w", err)
	}
	own.cert = &cert
	c.own = own
	return nil
}

// willDo reports whether a self-signed certificate is for our name and good for
// long enough.
func (c *certificates) willDo(cert *tls.Certificate, hostname string) bool {
	return c.now().Add(selfSignedRenew).Before(cert.Leaf.NotAfter) && slices.Contains(cert.Leaf.DNSNames, hostname)
}

// statusOnDisk tells what a server that isn't running would show, and touches
// nothing.
func statusOnDisk(conf *Config, now time.Time) []admin.Certificate {
	c := &certificates{now: func() time.Time { return now }, hostname: conf.certificateName()}
	if conf.TLS.Cert != "" {
		c.own = held{source: admin.CertificateFile, file: conf.TLS.Cert}
		c.own.cert, c.own.trouble = readFiles(conf)
		return c.status()
	}
	c.own.source = admin.CertificateSelfSigned
	file := filepath.Join(conf.Data, selfSignedFile)
	if cert, err := tls.LoadX509KeyPair(file, file); err == nil {
		c.own.cert = &cert
	}
	if conf.usesACME() {
		stored, _ := storedCertificates(conf) // what can't be read isn't there
		c.acme = make(map[string]*held)
		for name, cert := range stored {
			c.acme[name] = &held{cert: cert, source: admin.CertificateACME}
		}
	}
	return c.status()
}
