package smtpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"

	"postroom/store/mail"
)

// maxReason bounds, in octets, what is quoted of a failed handshake or of a
// certificate.
const maxReason = 200

// A tlsError is the failure to turn TLS on.
type tlsError struct{ reason string }

func (e *tlsError) Error() string { return e.reason }

// Unwrap says what kind of trouble it is where TLS is demanded.
func (e *tlsError) Unwrap() error { return ErrUnprotected }

// startTLS turns TLS on if the server offers it, and fails if it must be on and
// can't. What the server said before doesn't count then (RFC 3207 4.2).
func (c *Conn) startTLS() error {
	security := c.target.Security
	switch {
	case security.Level == None:
		return nil
	case !c.Offers("STARTTLS") && security.demands():
		return c.unprotected("the server doesn't offer STARTTLS")
	case !c.Offers("STARTTLS"):
		return nil
	}
	reply, err := c.command("STARTTLS", "STARTTLS")
	if err != nil {
		return c.unprotected(err.Error())
	}
	if reply.code != 220 {
		return c.refusedTLS(reply)
	}
	if err := c.handshake(); err != nil {
		return err
	}
	if err := c.hello(); err == nil || !c.lostIn(err) {
		return err
	}
	return c.unprotected("the connection was lost after the handshake") // in TLS 1.3 the server's objections come that late
}

// lostIn reports whether a step failed without an answer from the server.
func (c *Conn) lostIn(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && !e.Answer.Remote
}

// refusedTLS: the server that offered TLS doesn't want it now. Where it may be
// missing the connection goes on as it is.
func (c *Conn) refusedTLS(r reply) error {
	words := "STARTTLS refused: " + r.answer().Text
	if c.broken || !c.target.mayGoClear() {
		return c.unprotected(words)
	}
	c.Note = mail.Printable(words, maxWords)
	return nil
}

// unprotected makes the error of a connection without the TLS that was to be.
func (c *Conn) unprotected(reason string) error {
	err := &tlsError{mail.Printable(reason, maxReason)}
	return c.problem(ownWords("TLS with "+c.remote+": "+err.reason+c.target.Security.requiredBy()), err)
}

// handshake goes on in TLS, and judges the server's certificate.
func (c *Conn) handshake() error {
	if c.r.Buffered() > 0 { // somebody has put words in front of the encrypted ones
		return c.unprotected("unencrypted data after STARTTLS")
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.client.ConnectTimeout)
	defer cancel()
	config := c.tlsConfig()
	secure := tls.Client(c.conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return c.unprotected(plainText(err))
	}
	c.use(secure)
	state := secure.ConnectionState()
	c.TLS = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	return c.judge(state, config)
}

// tlsConfig leaves the certificate to judge: whether it matters is for the Level
// to say.
func (c *Conn) tlsConfig() *tls.Config {
	config := &tls.Config{}
	if c.client.TLS != nil {
		config = c.client.TLS.Clone()
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	config.InsecureSkipVerify = true
	config.ServerName = c.target.Security.Name
	if config.ServerName == "" && !strings.HasPrefix(c.target.Host, "[") {
		config.ServerName = c.target.Host
	}
	return config
}

// judge says how the certificate fits the target.
func (c *Conn) judge(state tls.ConnectionState, config *tls.Config) error {
	security := c.target.Security
	judge := security.Judge
	if judge == nil {
		judge = func(state tls.ConnectionState) (string, error) {
			return "trusted", c.pkix(state, config)
		}
	}
	judgement, err := judge(state)
	if err != nil {
		judgement = "not trusted: " + err.Error()
	}
	c.Verified = err == nil
	c.Certificate = mail.Printable(judgement, maxReason)
	if security.Why != "" {
		c.Certificate += " (" + security.Why + ")"
	}
	if err != nil && security.Level == Verify {
		return c.unprotected("the certificate is not trusted: " + err.Error())
	}
	return nil
}

// pkix checks a certificate as a browser does (RFC 5280, RFC 6125).
func (c *Conn) pkix(state tls.ConnectionState, config *tls.Config) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("there is none")
	}
	options := x509.VerifyOptions{
		Roots:         config.RootCAs,
		DNSName:       strings.TrimSuffix(c.target.Host, "."),
		Intermediates: x509.NewCertPool(),
	}
	if config.Time != nil {
		options.CurrentTime = config.Time()
	}
	for _, cert := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(cert)
	}
	leaf := state.PeerCertificates[0]
	if _, err := leaf.Verify(options); err != nil {
		return errors.New(certificateWords(leaf, err))
	}
	return nil
}

// certificateWords says what is wrong with a certificate.
func certificateWords(leaf *x509.Certificate, err error) string {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "valid only from " + invalid.Cert.NotBefore.UTC().Format("2006-01-02") + " to " + invalid.Cert.NotAfter.UTC().Format("2006-01-02")
	case errors.As(err, &name):
		return "it is for " + strings.Join(namesOf(leaf), ", ") + ", not for " + name.Host
	case errors.As(err, &unknown) && leaf.CheckSignatureFrom(leaf) == nil, errors.As(err, &unknown) && leaf.Issuer.String() == leaf.Subject.String():
		return "self-signed certificate"
	case errors.As(err, &unknown):
		return "unknown authority " + leaf.Issuer.String()
	}
	return strings.TrimPrefix(err.Error(), "x509: ")
}

// namesOf returns the names that a certificate is for, at least one word.
func namesOf(leaf *x509.Certificate) []string {
	names := leaf.DNSNames
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return []string{"no name"}
	}
	return names
}
