package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/caddyserver/certmagic"
	"github.com/libdns/rfc2136"
	"go.uber.org/zap"
)

// acmeFolder is where the account at the authority and its certificates are kept
// in the data folder.
const acmeFolder = "acme"

// An acmeStorage keeps files. Whoever has the data folder has it alone, and gets
// one certificate after the other, so there is nothing to lock.
type acmeStorage struct{ certmagic.FileStorage }

// Lock does nothing.
func (*acmeStorage) Lock(context.Context, string) error { return nil }

// Unlock does nothing.
func (*acmeStorage) Unlock(context.Context, string) error { return nil }

func newACMEStorage(conf *Config) *acmeStorage {
	return &acmeStorage{certmagic.FileStorage{Path: filepath.Join(conf.Data, acmeFolder)}}
}

// A quietIssuer is an ACMEIssuer that never asks the terminal for an e-mail
// address.
type quietIssuer struct{ *certmagic.ACMEIssuer }

// PreCheck prepares the issuer for names.
func (q quietIssuer) PreCheck(ctx context.Context, names []string, _ bool) error {
	return q.ACMEIssuer.PreCheck(ctx, names, false)
}

// obtain gets a certificate for name, as the next try after so many failures,
// and returns it once it is kept.
func (a *acmeClient) obtain(ctx context.Context, conf *Config, name string, failures int) (*tls.Certificate, error) {
	template, err := a.issuer(conf)
	if err != nil {
		return nil, err
	}
	magic, issuer, done := newMagic(conf, template)
	defer done()
	// With Let's Encrypt, later tries go to its staging servers first, which allow
	// more of them.
	ctx = context.WithValue(ctx, certmagic.AttemptsCtxKey, &failures)
	if magic.Storage.Exists(ctx, certmagic.StorageKeys.SiteCert(issuer.IssuerKey(), name)) {
		err = magic.RenewCertSync(ctx, name, true)
	} else {
		err = magic.ObtainCertSync(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	return storedCertificate(conf, name)
}

// newMagic returns certmagic for one certificate; done must be called after it.
func newMagic(conf *Config, template certmagic.ACMEIssuer) (magic *certmagic.Config, issuer *certmagic.ACMEIssuer, done func()) {
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
		Logger:           zap.NewNop(),
	})
	magic = certmagic.New(cache, certmagic.Config{
		Storage:   newACMEStorage(conf),
		KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256},
		OCSP:      certmagic.OCSPConfig{DisableStapling: true},
		Logger:    zap.NewNop(), // what matters is in the errors
	})
	issuer = certmagic.NewACMEIssuer(magic, template)
	magic.Issuers = []certmagic.Issuer{quietIssuer{issuer}}
	return magic, issuer, cache.Stop
}

// issuer says how the authority is asked and how it finds us.
func (a *acmeClient) issuer(conf *Config) (certmagic.ACMEIssuer, error) {
	template := certmagic.ACMEIssuer{
		CA:                      directory(conf),
		Email:                   conf.TLS.ACMEEmail,
		Agreed:                  true, // whoever writes acme = true has done so
		DisableHTTPChallenge:    true,
		DisableTLSALPNChallenge: true,
		Logger:                  zap.NewNop(),
	}
	if len(conf.DNS.Servers) > 0 {
		template.Resolver = conf.DNS.Servers[0]
	}
	if file := conf.TLS.ACMERoots; file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return template, fmt.Errorf("tls.acme_roots: %s", osReason(err))
		}
		if template.TrustedRoots = x509.NewCertPool(); !template.TrustedRoots.AppendCertsFromPEM(pem) {
			return template, fmt.Errorf("tls.acme_roots: %s holds no certificate in PEM", file)
		}
	}
	return template, a.setChallenges(&template, conf)
}

// setChallenges says how we can prove that a name is ours: by DNS if that is
// configured, else wherever the web is served.
func (a *acmeClient) setChallenges(template *certmagic.ACMEIssuer, conf *Config) error {
	if conf.TLS.ACMEDNS != "" {
		template.DNS01Solver = a.dnsSolver(conf)
		return nil
	}
	plain, secure := a.bound("http"), a.bound("https")
	if plain == nil && secure == nil {
		return errors.New("the certificate authority has no way to find us: set listen.http (port 80), listen.https (port 443) or tls.acme_dns")
	}
	if secure != nil {
		template.DisableTLSALPNChallenge = false
		template.ListenHost, template.AltTLSALPNPort = hostPort(secure)
	}
	if plain != nil {
		template.DisableHTTPChallenge = false
		template.ListenHost, template.AltHTTPPort = hostPort(plain)
	}
	return nil
}

// hostPort splits the address of a listener of ours: certmagic opens one itself
// where it finds none.
func hostPort(addr net.Addr) (host string, port int) {
	host, number, _ := net.SplitHostPort(addr.String())
	port, _ = strconv.Atoi(number)
	return host, port
}

// dnsSolver answers challenges by updates of the DNS. The server that takes them
// is the one to ask where its zones begin and whether it has taken them: a cache
// could remember for long that there was nothing.
func (a *acmeClient) dnsSolver(conf *Config) *certmagic.DNS01Solver {
	return &certmagic.DNS01Solver{DNSManager: certmagic.DNSManager{
		DNSProvider: &rfc2136.Provider{
			KeyName: conf.TLS.ACMETSIGName,
			KeyAlg:  "hmac-sha256",
			Key:     conf.TLS.ACMETSIGSecret,
			Server:  conf.TLS.ACMEDNS,
		},
		Resolvers:        []string{conf.TLS.ACMEDNS},
		PropagationDelay: a.settle,
	}}
}

// isCalledBack asks the authority whether it wants a certificate renewed before
// its time (RFC 9773). One that doesn't answer has no such wish.
func (a *acmeClient) isCalledBack(ctx context.Context, conf *Config, cert *tls.Certificate) bool {
	template, err := a.issuer(conf)
	if err != nil {
		return false
	}
	_, issuer, done := newMagic(conf, template)
	defer done()
	ctx, cancel := context.WithTimeout(ctx, acmeLimit)
	defer cancel()
	info, err := issuer.GetRenewalInfo(ctx, certmagic.Certificate{Certificate: *cert})
	return err == nil && !info.SelectedTime.IsZero() && !a.certs.now().Before(info.SelectedTime)
}

// directory returns the URL of the authority's directory.
func directory(conf *Config) string {
	return cmp.Or(conf.TLS.ACMEDirectory, certmagic.LetsEncryptProductionCA)
}

func issuerKey(conf *Config) string { return (&certmagic.ACMEIssuer{CA: directory(conf)}).IssuerKey() }

// storedCertificate returns the certificate for name that the authority has given
// us.
func storedCertificate(conf *Config, name string) (*tls.Certificate, error) {
	storage, key := newACMEStorage(conf), issuerKey(conf)
	cert, err := tls.LoadX509KeyPair(
		storage.Filename(certmagic.StorageKeys.SiteCert(key, name)),
		storage.Filename(certmagic.StorageKeys.SitePrivateKey(key, name)))
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

// storedCertificates returns, by name, all certificates that the authority has
// given us. One that can't be read is left out: it is got anew.
func storedCertificates(conf *Config) (map[string]*tls.Certificate, error) {
	found := make(map[string]*tls.Certificate)
	entries, err := os.ReadDir(newACMEStorage(conf).Filename(certmagic.StorageKeys.CertsPrefix(issuerKey(conf))))
	if errors.Is(err, os.ErrNotExist) {
		return found, nil
	}
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		if cert, err := storedCertificate(conf, name); err == nil {
			found[name] = cert
		}
	}
	return found, err
}
