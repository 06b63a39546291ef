package main

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"postroom/web"
)

// webConnections is how many connections the whole world may have to each of
// listen.http and listen.https: whoever takes them all keeps admins from the page,
// but mail goes on.
const webConnections = 1000

// secureWeb returns the server of listen.https. It sends no
// Strict-Transport-Security: a browser that has heard it lets nobody past the
// self-signed certificate that stands in when the real one is lost, and then the
// admin can't reach the page that says why.
func (sv *server) secureWeb() *httpServer {
	return &httpServer{
		handler: sv.pages().Handler(),
		tls:     sv.certs.webConfig(),
		timeout: time.Minute,
		most:    webConnections,
		noise:   slog.LevelDebug,
		log:     sv.log.With("service", "https"),
	}
}

// plainWeb returns the server of listen.http, which shows nothing that needs to be
// secret: it answers the certificate authority, and the mail programs that look for
// their settings here (most of them don't follow a redirect). Everybody else is
// sent to the same page with TLS, other servers that ask for an MTA-STS policy too:
// one that came in the clear would be worth nothing (RFC 8461 section 3.3).
func (sv *server) plainWeb() *httpServer {
	elsewhere := &front{hostname: sv.conf.Load().certificateName(), certs: sv.certs, port: securePort(sv.bound("https"))}
	settings := sv.pages().Public()
	return &httpServer{
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch path := r.URL.Path; {
			case strings.HasPrefix(path, challengePath):
				answerChallenge(w, r)
			case slices.Contains(web.OutlookPaths, path): // it follows no other redirect than this one
				elsewhere.redirect(w, r, http.StatusFound)
			case path == "/mail/config-v1.1.xml" || path == "/.well-known/autoconfig/mail/config-v1.1.xml":
				settings.ServeHTTP(w, r)
			default:
				elsewhere.ServeHTTP(w, r)
			}
		}),
		timeout: 10 * time.Second,
		most:    webConnections,
		noise:   slog.LevelDebug,
		log:     sv.log.With("service", "http"),
	}
}

// securePort returns what goes behind a name in the URL of listen.https; "none" if
// it isn't there.
func securePort(addr net.Addr) string {
	if addr == nil {
		return noPort
	}
	_, port, _ := net.SplitHostPort(addr.String())
	if port == "443" {
		return ""
	}
	return ":" + port
}

const noPort = "none"

// A front sends everybody who comes without TLS to the same page with TLS.
type front struct {
	hostname string
	certs    *certificates
	port     string // as securePort has it
}

// ServeHTTP redirects to one of our own names: never to any other that a client
// has put into Host.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.redirect(w, r, http.StatusPermanentRedirect)
}

func (f *front) redirect(w http.ResponseWriter, r *http.Request, code int) {
	setPlainHeaders(w.Header())
	if f.port == noPort {
		http.NotFound(w, r)
		return
	}
	name := f.hostname
	if asked := hostOf(r); slices.Contains(f.certs.names(), asked) {
		name = asked
	}
	target := url.URL{Scheme: "https", Host: name + f.port, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	http.Redirect(w, r, target.String(), code)
}

// hostOf returns the name that a request asks, in lower case and without a port.
func hostOf(r *http.Request) string {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func setPlainHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
}

// challengePath begins the path of what an authority looks for (RFC 8555 section
// 8.3). None of it is redirected.
const challengePath = "/.well-known/acme-challenge/"

// answerChallenge answers the certificate authority.
func answerChallenge(w http.ResponseWriter, r *http.Request) {
	setPlainHeaders(w.Header())
	asked, ok := certmagic.GetACMEChallenge(r.Host)
	if !ok || !certmagic.SolveHTTPChallenge(zap.NewNop(), w, r, asked.Challenge) {
		http.NotFound(w, r)
	}
}

// webConfig returns the TLS configuration of listen.https: that of the other
// services, which also answers the certificate authority (RFC 8737).
func (c *certificates) webConfig() *tls.Config {
	config := c.config()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Equal(hello.SupportedProtos, []string{acmez.ACMETLS1Protocol}) {
			return nil, nil
		}
		return challengeConfig(hello.ServerName)
	}
	return config
}

// challengeConfig returns the configuration that answers a challenge for name; nil
// if there is none, and then the handshake fails, as for any protocol that we
// don't speak.
func challengeConfig(name string) (*tls.Config, error) {
	asked, ok := certmagic.GetACMEChallenge(name)
	if !ok || asked.Type != acme.ChallengeTypeTLSALPN01 {
		return nil, nil
	}
	cert, err := acmez.TLSALPN01ChallengeCert(asked.Challenge)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{*cert},
		NextProtos:   []string{acmez.ACMETLS1Protocol},
	}, nil
}
