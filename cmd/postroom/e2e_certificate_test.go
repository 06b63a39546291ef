package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postroom/store/admin"
)

// acmeConfig is a configuration that gets certificates from a.
func acmeConfig(t *testing.T, a *authority, names *nameServer, listen string) string {
	t.Helper()
	return writeConfig(t, fmt.Sprintf("hostname = \"mail.example.org\"\ndata = %q\n"+
		"[listen]\nmetrics = [\"127.0.0.1:0\"]\n%s\n[dns]\nservers = [%q]\n"+
		"[tls]\nacme = true\nacme_email = \"admin@example.org\"\nacme_directory = %q\nacme_roots = %q\n",
		t.TempDir(), listen, names.addr, a.directory, a.rootsFile))
}

// port returns the number of the port that a service listens on.
func (s *served) port(service string) int {
	s.t.Helper()
	_, number, _ := net.SplitHostPort(s.ports[service])
	port, err := strconv.Atoi(number)
	if err != nil {
		s.t.Fatalf("%s listens on %q", service, s.ports[service])
	}
	return port
}

// shows returns the certificate that a service shows a client who asks for name;
// protocols is what the client speaks inside of TLS.
func (s *served) shows(service, name string, protocols ...string) (*x509.Certificate, error) {
	conf := &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protocols}
	if service == "smtp" || service == "submission" {
		c, err := smtp.Dial(s.ports[service])
		if err != nil {
			return nil, err
		}
		defer c.Close()
		if err := c.StartTLS(conf); err != nil {
			return nil, err
		}
		state, _ := c.TLSConnectionState()
		return state.PeerCertificates[0], nil
	}
	c, err := tls.Dial("tcp", s.ports[service], conf)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// isSelfSigned reports whether a service shows the self-signed certificate.
func (s *served) isSelfSigned(service string) bool {
	s.t.Helper()
	cert, err := s.shows(service, "mail.example.org")
	if err != nil {
		s.t.Fatalf("%s: %v", service, err)
	}
	return cert.Issuer.String() == cert.Subject.String()
}

// certificates asks the server's command line for them.
func (s *served) certificates(file string) []admin.Certificate {
	s.t.Helper()
	out, err := command(s.t, filepath.Dir(file), nil, "--config", file, "check", "certificate", "--json").Output()
	var list []admin.Certificate
	if jsonErr := json.Unmarshal(out, &list); jsonErr != nil {
		s.t.Fatalf("check certificate: %v, %s", err, out)
	}
	return list
}

// isConcerned reports whether the admin is told about the certificate for name.
func (s *served) isConcerned(file, name string) bool {
	s.t.Helper()
	out, err := command(s.t, filepath.Dir(file), nil, "--config", file, "concerns", "--json").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Contains(string(out), `"certificate `+name+`"`)
}

func (s *served) hangup() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(unix.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
}

// The whole way: nothing waits for the authority, all services show its
// certificate as soon as it is there, and what the authority wants back.
func TestCertificateOverHTTP(t *testing.T) {
	names := startNameServer(t, map[string]string{
		"mail.example.org": "127.0.0.1", "mta-sts.example.org": "127.0.0.1", "autoconfig.example.org": "198.51.100.77",
	})
	a := newAuthority(t)
	file := acmeConfig(t, a, names, "http = [\"127.0.0.1:0\"]\nhttps = [\"127.0.0.1:0\"]")
	s := startWith(t, file)
	services := []string{"smtp", "submission", "submissions", "pop3s", "https"}
	for _, service := range services {
		if !s.isSelfSigned(service) {
			t.Errorf("%s begins with a certificate from somewhere", service)
		}
	}
	poll(t, "the failure shows", func() bool { return s.certificates(file)[0].Error != "" })
	if got := s.certificates(file)[0]; got.Source != admin.CertificateSelfSigned || got.NextTry.IsZero() || got.DaysLeft < 700 {
		t.Errorf("while the authority is closed: %+v", got)
	}
	poll(t, "the admin is told", func() bool { return s.isConcerned(file, "mail.example.org") })

	a.open(names, s.port("http"), 1)
	s.hangup()
	poll(t, "the certificate comes", func() bool { return !s.isSelfSigned("smtp") })
	roots := &tls.Config{RootCAs: a.trusted, ServerName: "mail.example.org"}
	for _, service := range services {
		if s.isSelfSigned(service) {
			t.Errorf("%s still shows the self-signed one", service)
		}
	}
	if c, err := tls.Dial("tcp", s.ports["pop3s"], roots); err != nil {
		t.Errorf("pop3s, believing nobody but the authority: %v", err)
	} else {
		c.Close()
	}
	first, err := s.shows("smtp", "mail.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.certificates(file); len(got) != 1 || got[0].Source != admin.CertificateACME || got[0].Error != "" || got[0].DaysLeft != 89 {
		t.Errorf("then: %+v", got)
	}
	poll(t, "that is over", func() bool { return !s.isConcerned(file, "mail.example.org") })

	if out, err := command(t, filepath.Dir(file), nil, "--config", file, "domain", "add", "example.org").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.hangup()
	poll(t, "the new domain's certificate comes", func() bool {
		cert, err := s.shows("https", "mta-sts.example.org")
		return err == nil && cert.VerifyHostname("mta-sts.example.org") == nil
	})
	if cert, err := s.shows("https", "autoconfig.example.org"); err != nil || !cert.Equal(first) {
		t.Errorf("for a name that leads elsewhere: %v, %v", cert.DNSNames, err)
	}
	s.checkPlainWeb(t)
	s.checkCertificateMetric(t)

	a.callBack(first)
	s.hangup()
	poll(t, "it is renewed at the authority's wish", func() bool {
		cert, err := s.shows("smtp", "mail.example.org")
		return err == nil && !cert.Equal(first) && cert.Issuer.String() == first.Issuer.String()
	})
	if status := s.end(unix.SIGTERM); status != statusDone {
		t.Errorf("SIGTERM: status %d", status)
	}
	again := startWith(t, file)
	if again.isSelfSigned("smtp") {
		t.Error("after a new start it is self-signed again")
	}
}

// checkPlainWeb looks at what is answered without TLS: a redirect to a name of
// ours, and nothing else.
func (s *served) checkPlainWeb(t *testing.T) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(host, path string) *http.Response {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, "http://"+s.ports["http"]+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	port := fmt.Sprint(s.port("https"))
	for _, test := range []struct{ host, path, want string }{
		{"evil.example", "/queue?x=%2F&y", "https://mail.example.org:" + port + "/queue?x=%2F&y"},
		{"MTA-STS.example.org:80", "/a%2Fb", "https://mta-sts.example.org:" + port + "/a%2Fb"},
		{"autoconfig.example.org", "//evil.example/", "https://mail.example.org:" + port + "//evil.example/"},
	} {
		resp := ask(test.host, test.path)
		if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusPermanentRedirect || got != test.want {
			t.Errorf("%s%s: %s to %q, want %q", test.host, test.path, resp.Status, got, test.want)
		}
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("policy %q", policy)
		}
	}
	if resp := ask("autoconfig.example.org", "/mail/config-v1.1.xml"); resp.StatusCode != http.StatusOK {
		t.Errorf("the settings of mail programs: %s", resp.Status)
	}
	if resp := ask("mail.example.org", challengePath+"stray"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a challenge that nobody has asked for: %s", resp.Status)
	}
}

func (s *served) checkCertificateMetric(t *testing.T) {
	t.Helper()
	metrics := regexp.MustCompile(`service=metrics address=(\S+)`).FindStringSubmatch(s.screen.String())
	if metrics == nil {
		metrics = regexp.MustCompile(`service=metrics address=(\S+)`).FindStringSubmatch(s.await("service=metrics"))
	}
	resp, err := http.Get("http://" + metrics[1] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), `postroom_certificate_expires_seconds{name="mta-sts.example.org",source="acme"} 1.`) {
		t.Errorf("the metric is missing: %v\n%s", err, body)
	}
}

// callBack has a say that a certificate is to be renewed at once.
func (a *authority) callBack(cert *x509.Certificate) {
	a.t.Helper()
	body, err := json.Marshal(map[string]string{
		"Certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
		"ARIResponse": `{"suggestedWindow":{"start":"2020-01-01T00:00:00Z","end":"2020-01-02T00:00:00Z"}}`,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/set-renewal-info/", bytes.NewReader(body))
	r.Header.Set("User-Agent", "the test") // it insists
	a.manage.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		a.t.Fatalf("set-renewal-info: %d %s", w.Code, w.Body)
	}
}

func TestCertificateOverTLS(t *testing.T) {
	names := startNameServer(t, map[string]string{"mail.example.org": "127.0.0.1"})
	a := newAuthority(t)
	file := acmeConfig(t, a, names, "https = [\"127.0.0.1:0\"]")
	s := startWith(t, file)
	poll(t, "the failure shows", func() bool { return s.certificates(file)[0].Error != "" })
	a.open(names, 1, s.port("https"))
	s.hangup()
	poll(t, "the certificate comes", func() bool { return !s.isSelfSigned("https") })
	if s.isSelfSigned("pop3s") {
		t.Error("pop3s doesn't have it")
	}
	for _, service := range []string{"https", "pop3s", "submissions", "smtp"} {
		if cert, err := s.shows(service, "mail.example.org", "acme-tls/1"); err == nil {
			t.Errorf("%s takes the authority's protocol outside of a challenge, and shows %v", service, cert.DNSNames)
		}
	}
	old, err := tls.DialWithDialer(&net.Dialer{}, "tcp", s.ports["https"], &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
	if err == nil {
		old.Close()
		t.Error("takes TLS 1.1")
	}
	page := s.signInPage(t, a)
	if page.ProtoMajor != 2 || page.StatusCode != http.StatusOK || page.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("the page over TLS: %s %s, %v", page.Proto, page.Status, page.Header)
	}
	if status := s.end(unix.SIGTERM); status != statusDone {
		t.Errorf("SIGTERM: status %d", status)
	}
}

// signInPage fetches the web page over TLS, believing nobody but a.
func (s *served) signInPage(t *testing.T, a *authority) *http.Response {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: a.trusted, ServerName: "mail.example.org"},
		ForceAttemptHTTP2: true,
	}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + s.ports["https"] + "/login")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// A certificate that is missing or wrong keeps nothing from starting or running.
func TestCertificateFilesThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	file := writeConfig(t, fmt.Sprintf("hostname = \"mail.example.org\"\ndata = %q\n[tls]\ncert = %q\nkey = %q\n[listen]\nmetrics = []\n",
		t.TempDir(), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")))
	s := startWith(t, file)
	if !s.isSelfSigned("smtp") {
		t.Error("shows a certificate from somewhere")
	}
	if got := s.certificates(file)[0]; got.Source != admin.CertificateSelfSigned || !strings.Contains(got.Error, "cert.pem: no such file") {
		t.Errorf("without the file: %+v", got)
	}
	put := func(content []byte) {
		t.Helper()
		for _, name := range []string{"cert.pem", "key.pem"} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(selfSignedPEM(t, "from-files.example.org"))
	s.hangup()
	s.await("read the configuration and the certificate again")
	fromFiles := func() bool {
		cert, err := s.shows("pop3s", "mail.example.org")
		return err == nil && cert.VerifyHostname("from-files.example.org") == nil
	}
	if !fromFiles() {
		t.Error("doesn't show the new file")
	}
	put([]byte("half a fi"))
	s.hangup()
	s.await("the certificate stays as it was")
	s.await("read the configuration and the certificate again")
	if got := s.certificates(file)[0]; !fromFiles() || got.Source != admin.CertificateFile || got.Error == "" {
		t.Errorf("with a broken file: %+v", got)
	}
	if status := s.end(unix.SIGTERM); status != statusDone {
		t.Errorf("SIGTERM: status %d", status)
	}
}
